"""Calibration tries stop rules in a fixed sequence, from the most to the least cautious."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.metrics import slowest_lead, stop_points
from neuroasync.metrics.calibration import correct_at, rule_sequence
from neuroasync.metrics.trajectory import trajectories
from tests.helpers.calibrations import trajectory
from tests.helpers.recordings import BUILT_IN, moderate, recordings


def test_required_lead_falls_in_the_latest_pass_first():
    # The correct class is 0. In the first sample, the wrong class leads by 1 in pass 0, then the
    # correct one by 2 in pass 1. In the second, the correct class leads by 1 in both passes.
    known = [trajectory((0, 1, 1), (1, 0, 2)), trajectory((0, 0, 1), (1, 0, 1))]
    sequence = rule_sequence(known, correct_at(known, np.array([0, 0])))
    # Rules: 0 margin(3,2), 1 margin(2), 2 margin(2,1), 3 margin(1). Only rule 3 has an error.
    assert (sequence.passes, sequence.max_lead) == (2, 2)
    assert sequence.boldest(2) == ((2, 1), 2)
    assert sequence.boldest(1) == ((1,), 1)


def test_sequence_ends_at_the_first_rule_that_fails():
    # The correct class is 0. A lead of 2 is wrong; a lead of 1, which comes earlier, is correct.
    known = [trajectory((0, 0, 1), (1, 1, 2), (2, 0, 3))]
    sequence = rule_sequence(known, correct_at(known, np.array([0])))
    assert sequence.boldest(1) == (
        (3, 3, 2),
        1,
    )  # stops in pass 2 only; the next rule would stop in pass 1


@given(
    made=recordings(policies=BUILT_IN, rules=("quiet",)),
    share=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]),
)
@moderate(60)
def test_slowest_lead_is_the_first_rule_within_its_share_of_rounds(made, share):
    _, recording = made
    recording = replace(recording, target=np.zeros(len(recording), np.int64))
    if not len(recording):
        return
    runs = trajectories(recording)
    sequence = rule_sequence(runs, [t.rounds for t in runs])
    rules = [
        str(StopRule("margin", sequence.leads(c)))
        for c in range(sequence.max_lead * sequence.passes)
    ]
    rounds = [int(p.rounds.sum()) for p in stop_points(recording, ["quiet", *rules])]
    assert rounds == sorted(rounds, reverse=True)
    result = str(slowest_lead(recording, share))
    meet = [k for k, spent in enumerate(rounds) if spent <= share * rounds[0]]
    if meet and meet[0]:
        assert result == rules[meet[0] - 1]
    elif meet:
        assert int(stop_points(recording, [result])[0].rounds.sum()) == rounds[0]
    else:
        assert int(stop_points(recording, [result])[0].rounds.sum()) == rounds[-1]


@given(made=recordings(policies=BUILT_IN, rules=("quiet",)), targets=st.integers(0, 2**16))
@moderate(60)
def test_sequence_counts_the_correct_decisions_of_each_rule(made, targets):
    _, recording = made
    classes, samples = recording.info.classes, len(recording)
    target = np.array([targets >> k & 1 for k in range(samples)], np.int64) % classes
    recording = replace(recording, target=target)
    if not samples:
        return
    runs = trajectories(recording)
    sequence, known = rule_sequence(runs, correct_at(runs, target)), []
    for c in range(sequence.max_lead * sequence.passes):
        lowered, late = divmod(c, sequence.passes)
        lead = sequence.max_lead - lowered
        leads = [lead + 1] * (sequence.passes - 1 - late) + [lead]
        known.append(f"margin({','.join(map(str, leads))})")
    points = stop_points(recording, ["quiet", *known])
    correct = [int((p.label == target).sum()) for p in points]
    counted = sequence.total[np.searchsorted(sequence.at, np.arange(len(known)), side="right")]
    assert [sequence.total[0], *counted] == correct
    for min_correct in range(correct[0] + 1):
        failing = next((k for k, n in enumerate(correct) if n < min_correct), len(correct))
        leads, result = sequence.boldest(min_correct)
        assert result == correct[failing - 1]
        if failing >= 2:
            assert str(na.StopRule("margin", leads)) == known[failing - 2]
