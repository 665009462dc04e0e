"""Decisions over time of samples and of streams."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.runtime.over_time.decisions import labels_of_scores, window_sums
from tests.helpers.small_networks import chain, sample

ONE = np.eye(2, dtype=np.float32)
MS = 1000


def relay(neuron=na.LIF(tau_mem_us=np.inf, v_threshold=0.5), window=2 * MS, **fields):  # noqa: B008
    """Return two neurons that pass two inputs on."""
    populations = (na.Population("output", (2,), neuron),)
    model = na.Model(MS, (2,), populations, (na.Dense("input", "output", ONE),), "output")
    return na.Bundle(model, ("left", "right"), vote_window=na.VoteWindow(window), **fields)


def trains(events, intervals, every_us=MS, inputs=2):
    """Return one sample without classes."""
    t_us, index = zip(*events, strict=True) if events else ((), ())
    labels = na.LabelsOverTime([-1] * intervals, [0, intervals], every_us)
    return na.SpikeTrains(t_us, index, [0, len(t_us)], None, (inputs,), labels)


EVENTS = [(0, 0), (1500, 1), (2000, 1), (4999, 0)]
"""Inputs of the intervals: left; right; right; none; left."""


def test_decisions_worked_by_hand():
    (found,) = na.decide_over_time(relay(), trains(EVENTS, 7))
    # The votes of an interval and of the one before it.
    assert found.scores.tolist() == [[1, 0], [1, 1], [0, 2], [0, 1], [1, 0], [1, 0], [0, 0]]
    assert found.labels.tolist() == [0, 0, 1, 1, 0, 0, -1]
    sure, surer = 1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(-1))
    expected = [sure, 0.5, surer, sure, sure, sure, 0]
    np.testing.assert_allclose(found.confidence, expected, rtol=1e-12)
    assert found.decision.votes.tolist() == [2, 2]
    assert (found.decision.passes, found.decision.class_name) == (7, "right")
    assert repr(found) == "<DecisionsOverTime: 7 decisions, one every 1000 µs, 1 without a label>"


def test_an_interval_may_have_several_passes():
    (found,) = na.decide_over_time(relay(), trains(EVENTS, 3, 2 * MS))
    assert found.scores.tolist() == [[1, 1], [0, 1], [1, 0]]


def test_leaky_integrators_decide_by_their_potentials():
    bundle = relay(na.LI(tau_mem_us=np.inf), window=MS)
    (found,) = na.decide_over_time(bundle, trains(EVENTS, 5))
    assert found.scores.tolist() == [[1, 0], [1, 1], [1, 2], [1, 2], [2, 2]]
    assert found.labels.tolist() == [0, 0, 1, 1, 0]


@given(
    votes=st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), max_size=12),
    window=st.integers(1, 15),
)
def test_a_window_is_the_sum_of_its_intervals(votes, window):
    values = np.array(votes, float).reshape(-1, 3)
    expected = [values[max(0, k + 1 - window) : k + 1].sum(0) for k in range(len(values))]
    assert window_sums(values, window).tolist() == [row.tolist() for row in expected]


def test_without_votes_there_is_no_label():
    scores = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-2.0, -1.0]])
    assert labels_of_scores(scores).tolist() == [-1, 1, 0, -1]
    assert labels_of_scores(scores, fires=False).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("policy", ["layer-sync", "random", "momentum", "fifo"])
def test_the_spikes_are_those_of_an_ordinary_run(policy):
    bundle = dataclasses.replace(chain(), vote_window=na.VoteWindow(MS))
    samples = [sample(seed=s) for s in (1, 2, 3)]
    labels = na.LabelsOverTime.from_samples([[-1] * n for n in (9, 8, 12)], MS)
    spikes = na.SpikeTrains.from_trains(samples, (12,), labels_over_time=labels)
    recorder = na.Network(bundle, policy=policy).recorder()
    found = na.decide_over_time(
        bundle, spikes, seed=5, first=7, recorder=recorder, policy=policy, workers=2
    )
    recording = recorder.finish()
    settings = RunSettings(na.Network(bundle, policy=policy).settings.policy, group_size=2)
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), settings))
    for k, (train, each) in enumerate(zip(samples, found, strict=True)):
        duration_us = len(each) * MS
        expected = run_sample(simulator, train, na.sample_seed(5, 7 + k), duration_us)
        assert each.decision == expected
        of_sample = recording.sample == k
        counts = np.zeros((len(each), 4))
        start = bundle.model.starts[-2]
        voted = of_sample & (recording.neuron >= start)
        np.add.at(counts, (recording.pass_[voted], recording.neuron[voted] - start), 1)
        assert each.scores.tolist() == counts.tolist()
    again = na.decide_over_time(bundle, spikes[1:], seed=5, first=8, policy=policy, workers=1)
    assert again == found[1:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"until": "votes(2)"}, "`until` must be quiet with labels over time"),
        ({"vote_window": na.VoteWindow(2500)}, r"`vote_window` must be a multiple of the interval"),
        ({"seed": -1}, "`seed` must be"),
        ({"workers": 0}, "`workers` must be"),
        (
            {"engine": "coroutines"},
            "`engine` must be 'auto', or 'compiled' without a custom policy",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        na.decide_over_time(relay(), trains(EVENTS, 5), **change)


def test_samples_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"^`samples` must be samples with labels over time"):
        na.decide_over_time(relay(), na.SpikeTrains([], [], [0, 0], None, (2,)))
    with pytest.raises(ValueError, match="a multiple of the network's timestep, 1000 µs, got 2500"):
        na.decide_over_time(relay(), trains(EVENTS, 2, 2500))
    with pytest.raises(ValueError, match="`vote_window` must be given"):
        na.decide_over_time(dataclasses.replace(relay(), vote_window=None), trains(EVENTS, 5))
    with pytest.raises(na.EventsError) as error:
        na.decide_over_time(relay(), trains([(0, 3)], 5, inputs=4), first=9)
    assert error.value.__notes__ == ["in sample 9"]


async def test_a_stream_decides_at_the_end_of_each_interval():
    bundle = relay()
    chunks = [([t], [i]) for t, i in EVENTS]
    async with na.Network(bundle) as network, network.session() as session:
        found = [d async for d in na.stream_over_time(session, chunks, "1ms")]
    assert [d.votes.tolist() for d in found] == [[1, 0], [1, 1], [0, 2], [0, 1], [1, 0]]
    assert [d.class_name for d in found] == ["left", "left", "right", "right", "left"]
    assert bundle.vote_window.probabilities(found[0].votes).sum() == pytest.approx(1)


@pytest.mark.parametrize("policy", ["layer-sync", "momentum", "fifo"])
async def test_a_stream_decides_as_a_sample_does(policy):
    bundle = dataclasses.replace(chain(policy=policy), vote_window=na.VoteWindow(3 * MS))
    train = sample(events=200, duration_us=20_000)
    train = na.SpikeTrain(train.t_us - train.t_us[0] // MS * MS, train.index)
    labels = na.LabelsOverTime.from_samples([[-1] * 20], MS)
    spikes = na.SpikeTrains.from_trains([train], (12,), labels_over_time=labels)
    (expected,) = na.decide_over_time(bundle, spikes)
    async with na.Network(bundle) as network, network.session() as session:
        found = [d async for d in na.stream_over_time(session, [train], MS)]
    assert [d.votes.tolist() for d in found] == expected.scores[: len(found)].tolist()
    assert len(found) >= 19


async def test_a_stream_of_leaky_integrators_has_potentials():
    bundle = relay(na.LI(tau_mem_us=np.inf), window=MS)
    chunks = [([t], [i]) for t, i in EVENTS]
    async with na.Network(bundle) as network, network.session() as session:
        found = [d async for d in na.stream_over_time(session, chunks, MS)]
    assert [d.potentials.tolist() for d in found] == [[1, 0], [1, 1], [1, 2], [1, 2], [2, 2]]
    assert [d.label for d in found] == [0, 0, 1, 1, 0]


async def test_a_stream_with_a_stop_rule_is_refused():
    bundle = relay()
    async with na.Network(bundle, until="votes(1)") as network, network.session() as session:
        with pytest.raises(ValueError, match="`until` must be quiet"):
            async for _ in na.stream_over_time(session, [([0], [0])], MS):
                pass
