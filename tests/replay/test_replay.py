"""Replay in the recorded order, reports of the first difference, and golden samples."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Random
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle, GoldenSample, PolicySpec
from neuroasync.core.model.connections import Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import LimitError, RecordingError, ReplayError
from neuroasync.replay import pass_times, replay, rerun, verify
from neuroasync.replay.comparison import compare
from tests.helpers.recordings import (
    BUILT_IN,
    NewestFirst,
    moderate,
    record,
    recordings,
    relay,
    relay_recording,
)
from tests.helpers.strategies import dyadic, models


@given(made=recordings())
@moderate(120)
def test_every_recording_replays(made):
    bundle, recording = made
    assert replay(recording, bundle) == recording.neuron.size


@given(
    made=recordings(
        networks=models(dyadic(0, 64), refractory=False, sync_threshold=False, delays=False)
    )
)
@moderate(50)
def test_recordings_of_neurons_that_fire_while_pending_replay(made):
    bundle, recording = made
    assert replay(recording, bundle) == recording.neuron.size


@given(made=recordings(policies=BUILT_IN))
@moderate(60)
def test_a_built_in_policy_computes_the_same_recording_again(made):
    bundle, recording = made
    again = rerun(recording, bundle)
    assert compare(recording, again) is None
    assert again == recording


@given(made=recordings(), data=st.data())
@moderate(80)
def test_a_changed_row_fails_at_that_very_spike(made, data):
    bundle, recording = made
    assume(recording.neuron.size and recording.info.neurons > 1)
    row = data.draw(st.integers(0, recording.neuron.size - 1))
    neuron = recording.neuron.copy()
    neuron[row] = (neuron[row] + 1) % recording.info.neurons
    try:
        changed = replace(recording, neuron=neuron)
    except RecordingError:  # two neurons out of order in one step
        assume(False)
    number, p = recording.number[recording.sample[row]], recording.pass_[row]
    where = f"sample {number}, pass {p}, step {recording.step[row]} "
    with pytest.raises(ReplayError, match=f"^{where}"):
        replay(changed, bundle)


def test_changed_row_is_reported_with_names():
    recording = relay_recording()
    changed = replace(recording, neuron=np.array([0, 1, 2, 3, 0, 3]))
    with pytest.raises(ReplayError) as caught:
        replay(changed, relay())
    assert str(caught.value) == (
        "sample 0, pass 1, step 0 (t = 1000 µs): neuron 1 (hidden[1]) fired; "
        "the recording has neuron 0 (hidden[0])"
    )


def test_missing_or_extra_spike_is_reported():
    recording = relay_recording()
    keep = np.array([0, 1, 2, 4, 5])
    rows = {n: getattr(recording, n)[keep] for n in ("pass_", "step", "time_us", "neuron")}
    fewer = replace(recording, **rows, sample=np.zeros(5, np.int64), spikes=np.array([5]))
    with pytest.raises(ReplayError, match=r"step 2 .*: neuron 3 \(out\[1\]\) fired; .* no further"):
        replay(fewer, relay())
    more = replace(
        recording,
        sample=np.zeros(7, np.int64),
        pass_=np.array([0, 0, 0, 0, 1, 1, 1]),
        step=np.array([0, 0, 2, 2, 0, 0, 1]),
        time_us=np.array([0, 0, 0, 0, 1000, 1000, 1000]),
        neuron=np.array([0, 1, 2, 3, 1, 2, 3]),
        spikes=np.array([7]),
    )
    with pytest.raises(ReplayError, match=r"no further neuron fired; .* neuron 2 \(out\[0\]\)"):
        replay(more, relay())


def test_another_order_fails_at_the_first_spike_that_it_changes():
    recording = relay_recording()
    # Neuron 1 before neuron 0: out[1] fires in step 1 already, and out[0] after both.
    order = np.array([4, 5, 1, 0, 2, 3, 5, 1, 3])
    changed = replace(recording, delivered_neuron=order, delivered_origin=order)
    with pytest.raises(ReplayError) as caught:
        replay(changed, relay())
    assert str(caught.value) == (
        "sample 0, pass 0, step 1 (t = 0 µs): neuron 3 (out[1]) fired; "
        "the recording has no further spike"
    )


def test_delivery_of_a_spike_that_is_not_pending_is_reported():
    order = np.array([4, 5, 0, 2, 1, 3, 5, 1, 3])
    changed = replace(relay_recording(), delivered_neuron=order, delivered_origin=order)
    with pytest.raises(ReplayError) as caught:
        replay(changed, relay())
    assert str(caught.value) == (
        "sample 0, pass 0, step 2 (t = 0 µs): slot 0: the recording delivers neuron 2, "
        "which is not pending"
    )


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("delivered_count", [1, 2, 1, 1, 1, 1, 1, 1, 1], "step 0 .* slot 1 delivers input 1; the"),
        ("delivered_step", [0, 0, 1, 2, 3, 5, 0, 1, 2], "1 spikes are pending; .* none of them"),
        ("delivered_step", [0, 0, 1, 2, 3, 4, 0, 1, 1], "slot 1: .* neuron 3, .* not pending"),
        ("input_index", [1, 1, 1], "step 0 .* slot 0 delivers input 1 2 times; the .* input 0"),
        ("time_us", [1, 1, 1, 1, 1000, 1000], "the passes were not at the recorded times"),
        ("votes", [[2, 1]], r"votes \[1, 2\] at the end of the sample; .* \[2, 1\]"),
        ("label", [0], "label 1 at the end of the sample; the recording has 0"),
        ("rounds", [7], "rounds 6 at the end of the sample; the recording has 7"),
        ("synops", [11], "synops 12 at the end of the sample; the recording has 11"),
        ("duration_us", [3000], "a pass at 2000 µs; the recording has none"),
        ("passes", [3], "passes 2 at the end of the sample; the recording has 3"),
    ],
)
def test_any_other_change_is_reported(field, values, message):
    changed = replace(relay_recording(), **{field: np.array(values)})
    with pytest.raises(ReplayError, match=f"^sample 0, pass .*{message}"):
        replay(changed, relay())


def test_a_recording_that_was_stopped_replays_to_where_it_stopped():
    run = RunSettings(Fifo(), 1).with_changes(until="first-spike")
    recording = record(relay(), [SpikeTrain([0, 0, 1000], [0, 1, 1])], run)
    assert (recording.stopped[0], recording.steps[0], recording.neuron.size) == (True, 2, 4)
    assert replay(recording, relay()) == 4
    with pytest.raises(ReplayError, match="2 spikes are pending; the recording delivers none"):
        replay(replace(recording, stopped=np.array([False])), relay())


def test_custom_stop_rule_and_policy_replay_but_do_not_rerun():
    run = RunSettings(NewestFirst(), 1, until=lambda progress: progress.spikes >= 3)
    recording = record(relay(), [SpikeTrain([0, 0, 1000], [0, 1, 1])], run)
    assert (recording.info.policy, recording.info.until) == ("NewestFirst", "custom")
    assert replay(recording, relay()) == 3
    with pytest.raises(
        RecordingError,
        match=r"^the recording was made with a custom policy, stop rule or population, which it do",
    ):
        rerun(recording, relay())


def test_custom_population_fires_as_recorded():
    bundle, run = relay(), RunSettings(Fifo(), 1)
    simulator, recorder = (
        Simulator(ExecutionPlan(PackedNetwork(bundle.model, ["hidden"]), run)),
        Recorder(bundle, run),
    )
    simulator.state.keep = True
    events = SpikeTrain([0, 1000], [0, 1])
    simulator.begin(0)
    simulator.feed(events.t_us, events.index)
    while (reached := simulator.run_to_delivery(1000)) is not None:
        for p in reached:
            if p == 0:
                simulator.current(p)
                simulator.report(p, np.array([0, 1]))  # They fire for every group.
            else:
                simulator.integrate(p)
    recorder.add(simulator, events, simulator.decision(0.0), number=0, seed=0)
    recording = recorder.finish()
    assert recording.info.custom_populations == ("hidden",)
    assert replay(recording, bundle) == 8
    with pytest.raises(
        RecordingError,
        match=r"^the recording was made with a custom policy, stop rule or population, which it do",
    ):
        rerun(recording, bundle)


def heavier(bundle: Bundle) -> Bundle:
    """The same network with one weight changed: hidden[0] alone makes out[0] fire."""
    model = bundle.model
    connection = Dense("hidden", "out", np.array([[1.25, 0.5], [0, 1.5]]))
    return Bundle(replace(model, connections=(model.connections[0], connection)))


def test_another_bundle_is_rejected_and_both_digests_are_named():
    recording, other = relay_recording(), heavier(relay())
    for run in (replay, rerun):
        with pytest.raises(RecordingError) as caught:
            run(recording, other)
        assert relay().digest.hex() in str(caught.value)
        assert other.digest.hex() in str(caught.value)


def test_a_path_is_no_recording_and_a_name_is_no_bundle():
    recording = relay_recording()
    for run in (replay, rerun):
        with pytest.raises(TypeError, match=r"^`recording` must be a Recording, got str$"):
            run("run.npz", relay())
        with pytest.raises(TypeError, match=r"^`bundle` must be a Bundle, got str$"):
            run(recording, "unlayered")
    with pytest.raises(TypeError, match=r"^`second` must be a Recording, got str$"):
        compare(recording, "run.npz")
    with pytest.raises(TypeError, match=r"^`bundle` must be a Bundle, got str$"):
        verify("unlayered")


def test_an_empty_recording_has_no_sample():
    with pytest.raises(RecordingError, match=r"^the recording has no samples, and so no sample 0$"):
        pass_times(record(relay(), [], RunSettings(Fifo(), 1)), relay(), 0)


def test_a_changed_weight_fails_at_the_first_spike_that_it_changes():
    other, recording = heavier(relay()), relay_recording()
    claimed = replace(recording, info=replace(recording.info, bundle=other.digest.hex()))
    with pytest.raises(ReplayError) as caught:
        replay(claimed, other)
    assert str(caught.value) == (
        "sample 0, pass 0, step 1 (t = 0 µs): neuron 2 (out[0]) fired; "
        "the recording has no further spike"
    )


def test_pass_times_include_passes_without_spikes():
    run = RunSettings(Fifo(), 1)
    recording = record(relay(), [SpikeTrain([3500], [0])], run)
    assert pass_times(recording, relay(), 0).tolist() == [0, 1000, 2000, 3000]
    with pytest.raises(RecordingError, match=r"^`sample` must be an integer from 0 to 0, got 1$"):
        pass_times(recording, relay(), 1)


def test_golden_samples_are_verified_by_label_and_digest():
    recording = relay_recording()
    events, spec = recording.events(0), PolicySpec("fifo", 1)
    right = GoldenSample(events, spec, 0, 1, recording.sample_digest(0))
    golden = (right, replace(right, label=0), replace(right, policy=PolicySpec("layer-sync")))
    results = verify(Bundle(relay().model, golden=golden))
    assert [r.holds for r in results] == [True, False, False]
    assert [r.number for r in results] == [0, 1, 2]
    assert (results[1].label, results[1].expected_label) == (1, 0)
    assert results[1].digest == results[1].expected_digest
    assert results[2].digest != results[2].expected_digest
    assert [r.spikes for r in results] == [6, 6, 6]


def test_sample_of_too_many_passes_is_rejected_before_the_first():
    simulator = Simulator(ExecutionPlan(PackedNetwork(relay().model), RunSettings(LayerSync())))
    with pytest.raises(LimitError, match="the limit is 10000000; times"):
        run_sample(simulator, SpikeTrain([2**52], [0]))
    assert simulator.passes == 0


def test_timestep_zero_runs_a_pass_per_distinct_time():
    model = Model(
        0,
        (1,),
        (Population("p", (1,), LIF(v_threshold=0.5)),),
        (Dense("input", "p", np.ones((1, 1))), Dense("p", "p", np.ones((1, 1)), delay_us=300)),
        "p",
    )
    recording = record(Bundle(model), [SpikeTrain([0, 1000], [0, 0])], RunSettings(Random()))
    # The spike at 0 comes back at 300, that at 600, and that at 900; at 1000 the input fires.
    assert recording.time_us.tolist() == [0, 300, 600, 900, 1000]
    assert pass_times(recording, Bundle(model), 0).tolist() == [0, 300, 600, 900, 1000]
