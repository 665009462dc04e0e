"""Summaries of runs, against hand calculations."""

import json
import math

import numpy as np
import pytest
from hypothesis import given

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, make_policy
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.metrics import Mean, Moment, summarise
from tests.helpers.recordings import BUILT_IN, moderate, recordings, relay, relay_recording


def decision(label, spikes, steps, rounds, synops, first_led, wall_s) -> Decision:
    """Return a decision with the given label and cost."""
    return Decision(
        label=label,
        class_name=None,
        votes=np.zeros(2, np.int64),
        stopped=False,
        t_us=0,
        passes=1,
        steps=steps,
        rounds=rounds,
        spikes=spikes,
        input_events=0,
        synops=synops,
        first_spike=min(first_led.values(), default=None),
        first_led=first_led,
        undelivered=0,
        wall_s=wall_s,
    )


CORRECT = decision(1, {"a": 6, "b": 2}, 10, 12, 100, {0: (3, 4, 5), 1: (7, 8, 9)}, 0.001)
WRONG = decision(0, {"a": 3, "b": 1}, 6, 6, 50, {0: (2, 2, 2)}, 0.003)
SILENT = decision(None, {"a": 0, "b": 0}, 2, 3, 30, {}, 0.002)


def test_summary_has_the_means_computed_by_hand():
    result = summarise([CORRECT, WRONG, SILENT], [1, 1, 1], neurons=8).to_json()
    assert result == {
        "samples": 3,
        "accuracy": pytest.approx(1 / 3),  # a sample without a label counts as wrong
        "undecided": 1,
        "spikes_per_sample": 4.0,  # (8 + 4 + 0) / 3
        "spikes_per_neuron": 0.5,
        "spikes_by_population": {"a": 3.0, "b": 1.0},
        "passes_per_sample": 1.0,
        "steps_per_sample": 6.0,  # (10 + 6 + 2) / 3
        "rounds_per_sample": 7.0,  # (12 + 6 + 3) / 3
        "rounds_to_decision": 9.0,  # over the two with a label: (12 + 6) / 2
        "steps_to_decision": 8.0,
        "spikes_to_decision": 6.0,
        "rounds_to_first": 3.5,  # (5 + 2) / 2
        "steps_to_first": 3.0,
        "spikes_to_first": 2.5,
        "rounds_to_first_correct": 9.0,  # class 1 led in the first sample only
        "steps_to_first_correct": 8.0,
        "spikes_to_first_correct": 7.0,
        "synops_per_sample": 60.0,
        "latency_ms": {"p50": 2.0, "p99": pytest.approx(2.98)},
    }
    assert json.loads(json.dumps(result)) == result


def test_without_targets_there_is_no_accuracy():
    summary = summarise([CORRECT, WRONG])
    assert (summary.accuracy, summary.to_first_correct, summary.spikes_per_neuron) == (None,) * 3
    assert summary.to_first == Moment(2.5, 3.0, 3.5)


def test_empty_run_has_no_means():
    result = summarise([], [], neurons=8).to_json()
    assert result.pop("samples") == result.pop("undecided") == 0
    assert result.pop("spikes_by_population") == {}
    assert result.pop("latency_ms") == {"p50": None, "p99": None}
    assert set(result.values()) == {None}


def test_numbers_of_targets_and_decisions_must_match():
    with pytest.raises(ValueError, match=r"^`targets` must have one class per decision, 2, got 1"):
        summarise([CORRECT, WRONG], [1])


def test_targets_may_be_a_numpy_array():
    assert summarise([CORRECT], np.array([1])).to_first_correct == Moment(7.0, 8.0, 9.0)


def test_first_lead_is_recorded_at_the_spike_that_caused_it():
    events = SpikeTrain([0, 0, 1000], [0, 1, 1])
    result = run_sample(
        Simulator(ExecutionPlan(PackedNetwork(relay().model), RunSettings(Fifo(), 1))), events
    )
    # out[0] and out[1] fire in one step. The lower index leads in this tie. Class 1 leads with its
    # second vote, which is the 6th spike, in the first step of pass 1, which is the 5th step.
    assert relay_recording().step.tolist() == [0, 0, 2, 2, 0, 1]
    assert result.first_led == {0: (3, 2, 2), 1: (6, 5, 5)}
    assert result.first_spike == (3, 2, 2)


@given(made=recordings(policies=BUILT_IN, rules=("quiet",)))
@moderate(60)
def test_first_leads_follow_from_the_recorded_spikes(made):
    bundle, recording = made
    info = recording.info
    for k in range(len(recording)):
        rows = recording.rows_of(k)
        led, votes, reached = {}, np.zeros(info.classes, int), np.zeros(info.classes, int)
        for spikes, row in enumerate(range(rows.start, rows.stop), 1):
            name, position = info.place(int(recording.neuron[row]))
            if name != info.output:
                continue
            votes[position] += 1
            reached[position] = spikes
            leader = min(range(info.classes), key=lambda c: (-votes[c], reached[c]))
            led.setdefault(leader, spikes)
        run = RunSettings(make_policy(info.policy, info.noise), info.group_size, info.input)
        simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), run))
        result = run_sample(simulator, recording.events(k), k, recording.duration(k))
        assert {c: at[0] for c, at in result.first_led.items()} == led


def test_percentiles_cover_all_samples():
    result = [decision(0, {"a": 1}, 1, 1, 1, {}, k / 1000) for k in range(101)]
    summary = summarise(result)
    assert summary.latency_p50_ms == pytest.approx(50.0)
    assert summary.latency_p99_ms == pytest.approx(99.0)
    assert not math.isnan(summary.latency_p50_ms)


def test_no_values_have_no_mean():
    with pytest.raises(ValueError, match=r"^`values` must have at least one value, got none$"):
        Mean.of([])
