"""A decision states its margin and its calibrated confidence, in one line and as a chart."""

import gc
import pickle
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine import decision as decision_module
from neuroasync.core.engine.decision import PackedDecisions, reported_fields
from neuroasync.core.formats.bundle_calibration import Calibration

RANDOM = na.PolicySpec("random", 2)


def decision(votes, label, passes=1, **fields):
    """Return a decision with these votes."""
    defaults = {
        "class_name": None, "stopped": False, "t_us": 0, "steps": 3, "rounds": 5,
        "spikes": {"hidden": 7, "output": int(sum(votes))}, "input_events": 4, "synops": 9,
        "first_spike": None, "first_led": {}, "undelivered": 0, "wall_s": 0.0,
    }  # fmt: skip
    votes = np.array(votes, np.int64)
    return na.Decision(label=label, votes=votes, passes=passes, **defaults | fields)


def calibration(accuracy, leads):
    return Calibration(accuracy, 0.01, 0.999, 100, leads, RANDOM)


@pytest.mark.parametrize(
    ("votes", "label", "margin"),
    [
        ([0, 0, 0], None, 0),
        ([0, 0, 4], 2, 4),
        ([3, 1, 2], 0, 1),
        ([5, 5, 0], 1, 0),
        ([6], 0, 6),
    ],
)
def test_margin_is_the_lead_over_the_next_class(votes, label, margin):
    assert decision(votes, label).margin == margin


@given(st.lists(st.integers(0, 9), min_size=2, max_size=6))
def test_margin_is_the_difference_of_the_two_highest_counts(votes):
    label = int(np.argmax(votes)) if any(votes) else None
    first, second = sorted(votes, reverse=True)[:2]
    assert decision(votes, label).margin == (first - second if any(votes) else 0)


# Leads of 0.8: 4 in pass 0, then 2. Leads of 0.9: 5 in pass 0, never in pass 1, then 3.
RULES = (calibration(0.8, (4, 2)), calibration(0.9, (5, 0, 3)))


@pytest.mark.parametrize(
    ("margin", "passes", "confidence"),
    [
        (3, 1, None),
        (4, 1, 0.8),
        (5, 1, 0.9),
        (1, 2, None),
        (2, 2, 0.8),
        (9, 2, 0.8),  # in the second pass, the rule of 0.9 does not stop
        (2, 3, 0.8),
        (3, 3, 0.9),
        (3, 70, 0.9),  # the last lead holds for all later passes
        (0, 0, None),
    ],
)
def test_confidence_is_the_largest_accuracy_whose_lead_is_reached(margin, passes, confidence):
    made = decision([margin, 0], 0 if margin else None, passes, calibrations=RULES)
    assert made.confidence == confidence


def test_without_calibration_there_is_no_confidence():
    assert decision([9, 0], 0).confidence is None


def test_calibrations_take_no_part_in_comparisons():
    assert decision([9, 0], 0, calibrations=RULES) == decision([9, 0], 0)


def test_a_decision_is_one_informative_line():
    assert repr(decision([0, 7, 4], 1)) == (
        "<Decision label=1, 7 of 11 votes, margin=3, 1 passes, 5 rounds, 18 spikes>"
    )
    named = decision([0, 7], 1, class_name="left\n<b>", is_final=False, calibrations=RULES)
    assert repr(named) == (
        "<Provisional decision label=1 'left\\n<b>', 7 of 7 votes, margin=7, confidence=0.9, "
        "1 passes, 5 rounds, 14 spikes>"
    )
    assert repr(decision([0, 0], None)).startswith("<Decision label=None, 0 of 0 votes, margin=0")


def test_the_chart_of_votes_is_valid_escaped_and_bounded():
    chart = decision([0, 7], 1, class_name="<script>")._repr_html_()
    assert "<script>" not in chart
    root = ElementTree.fromstring(chart)
    texts = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1:] == ["0", "0", "1: <script>", "7"]
    many = decision([k % 5 for k in range(100_000)], 4)._repr_html_()
    assert len(many) < 5000
    assert "and 99988 classes" in many
    assert len(re.findall("<rect", many)) == 12


async def test_packed_decisions_are_unpacked_as_they_were():
    async with na.Network.load("unlayered") as network:
        decisions = await network.decide_all(na.shipped.shipped_spikes()[:5])
    assert decisions[0].label is not None  # reads a field before
    packed = pickle.loads(pickle.dumps(PackedDecisions.of(decisions)))
    again = packed.unpack()
    assert again == decisions
    fields = ("class_name", "wall_s", "calibrations", "confidence")
    for name in fields:
        assert [getattr(d, name) for d in again] == [getattr(d, name) for d in decisions]


@pytest.mark.parametrize("is_enabled", [True, False])
async def test_unpacking_leaves_the_garbage_collector_as_it_was(monkeypatch, is_enabled):
    async with na.Network.load("unlayered") as network:
        packed = PackedDecisions.of(await network.decide_all(na.shipped.shipped_spikes()[:1]))
    before = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        packed.unpack()
        assert gc.isenabled() is is_enabled
        monkeypatch.setattr(decision_module, "decision_of", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            packed.unpack()
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if before else gc.disable)()


def fields_by_name(decision):
    """Return the reported fields, read from the decision one after the other."""
    potentials = decision.potentials
    return {
        "label": decision.label,
        "class_name": decision.class_name,
        "votes": decision.votes.tolist(),
        "spikes": sum(decision.spikes.values()),
        "rounds": decision.rounds,
        "is_final": decision.is_final,
        "potentials": None if potentials is None else potentials.tolist(),
    }


@pytest.mark.parametrize("neuron", [na.LIF(), na.LI()], ids=["votes", "potentials"])
@pytest.mark.parametrize("classes", [None, ("a", "b", "c")])
async def test_reported_fields_are_those_of_the_decision(neuron, classes):
    populations = (na.Population("hidden", (4,)), na.Population("output", (3,), neuron))
    connections = (
        na.Dense("input", "hidden", 2 * np.eye(4, dtype=np.float32)),
        na.Dense("hidden", "output", 2 * np.eye(3, 4, dtype=np.float32)),
    )
    model = na.Model(1000, (4,), populations, connections, "output")
    async with na.Network(na.Bundle(model, classes=classes)) as network:
        for count in (0, 1, 12):  # without events, there is no label
            events = (np.arange(count) * 500, np.arange(count) % 4)
            fresh, again = await network.decide(events), await network.decide(events)
            assert reported_fields(fresh)._asdict() == fields_by_name(again)
            provisional = replace(again, is_final=False)
            assert reported_fields(provisional)._asdict() == fields_by_name(provisional)
