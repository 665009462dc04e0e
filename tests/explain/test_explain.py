"""Explanations: the terms of a potential, and the chain from a spike back to the input."""

import math

import numpy as np
import pytest
from hypothesis import given

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.connections import Dense
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import RecordingError
from neuroasync.explain import Place, explain
from neuroasync.replay.sample_replay import SampleReplay
from tests.helpers.recordings import moderate, record, recordings, relay, relay_recording
from tests.helpers.strategies import dyadic, models


def potentials(recording, bundle):
    """Return the potential at each spike, just before its reset, as the engine computes it."""
    found = []
    for k in range(len(recording)):
        replay = SampleReplay(recording, PackedNetwork(bundle.model), k)
        integrate = replay._integrate

        def noted(reached, replay=replay, integrate=integrate):
            fired = integrate(reached)
            found.extend(replay._simulator.state.momentum[fired].tolist())
            return fired

        replay._integrate = noted
        replay.run()
    return found


def assert_sums(made):
    """Check that contributions sum to the membrane potential at each spike."""
    bundle, recording = made
    expected = potentials(recording, bundle)
    for row in range(0, len(expected), 1 + len(expected) // 6):
        explanation = explain(recording, bundle, row)
        spike = explanation.spike
        assert math.fsum(c.value for c in spike.contributions) == spike.potential
        assert spike.potential == pytest.approx(expected[row], rel=1e-5, abs=1e-5)
        values = [c.value for c in spike.contributions]
        assert values == sorted(values, reverse=True)
        assert_chain(explanation, recording)


def assert_chain(explanation, recording):
    """Check that each link is the largest contribution to the one before, and earlier."""
    info = recording.info
    for account in explanation.chain:
        place = info.place(int(recording.neuron[account.row]))
        assert (account.place.population, account.place.position) == place
        assert account.pass_index == recording.pass_[account.row]
        assert account.step == recording.step[account.row]
        assert account.time_us == recording.time_us[account.row]
    for later, earlier in zip(explanation.chain, explanation.chain[1:], strict=False):
        assert later.strongest.row == earlier.row < later.row
    assert explanation.origin == explanation.chain[-1].strongest
    assert explanation.origin is None or explanation.origin.row is None  # no spike is left
    assert str(explanation)


@given(made=recordings())
@moderate(60)
def test_contributions_sum_to_the_potential_at_the_spike(made):
    assert_sums(made)


@given(made=recordings(networks=models(dyadic(0, 64), reset="subtract", sync_threshold=False)))
@moderate(40)
def test_contributions_sum_with_subtracting_resets(made):
    assert_sums(made)


@given(made=recordings(networks=models(dyadic(-8, 64), kinds=("conv2d", "sparse"))))
@moderate(40)
def test_contributions_sum_over_convolutions_and_sparse_connections(made):
    assert_sums(made)


@given(made=recordings(networks=models(dyadic(), leak=False)))
@moderate(30)
def test_without_a_leak_the_sum_is_exact(made):
    bundle, recording = made
    expected = potentials(recording, bundle)
    for row in range(0, len(expected), 1 + len(expected) // 6):
        assert explain(recording, bundle, row).spike.potential == expected[row]


def test_a_chain_is_followed_to_the_input():
    explanation = explain(relay_recording(), relay(), 2)
    spike = explanation.spike
    assert (spike.place, spike.potential, spike.threshold) == (Place("out", 0), 1.25, 1.0)
    assert [(c.value, str(c.source), c.step) for c in spike.contributions] == [
        (0.75, "hidden[0]", 1),
        (0.5, "hidden[1]", 2),
    ]
    assert [str(c.source) for c in spike.trigger] == ["hidden[1]"]
    assert [a.row for a in explanation.chain] == [2, 0]
    assert explanation.origin.source == Place("input", 0)
    assert str(explanation).splitlines() == [
        "out[0] fired in pass 0, step 2 (t = 0 µs): potential 1.25 > 1",
        "    +0.75 from hidden[0] (weight 0.75, pass 0, step 1)",
        "    +0.5 from hidden[1] (weight 0.5, pass 0, step 2)",
        "    it fired when step 2 delivered hidden[1]",
        "because hidden[0] fired in pass 0, step 0 (t = 0 µs)",
        "because of input[0] in pass 0",
    ]


def one_neuron(**neuron) -> Model:
    """Return a neuron with one input of weight 1, whose potential halves in 1000 µs."""
    halving = LIF(tau_mem_us=1000 / math.log(2), **neuron)
    weight = Dense("input", "p", np.ones((1, 1)))
    return Model(1000, (1,), (Population("p", (1,), halving),), (weight,), "p")


def test_earlier_contributions_have_decayed():
    bundle = Bundle(one_neuron(v_threshold=1.25))
    recording = record(bundle, [SpikeTrain([0, 2000, 3000], [0, 0, 0])], RunSettings(Fifo()))
    # 1 decays to 1/4 by 2000 µs: 1.25 is not above 1.25. By 3000: 0.625 + 1 fires.
    assert recording.pass_.tolist() == [3]
    spike = explain(recording, bundle, 0).spike
    assert [c.value for c in spike.contributions] == pytest.approx([1.0, 0.5, 0.125])
    assert [c.pass_index for c in spike.contributions] == [3, 2, 0]
    assert spike.potential == pytest.approx(1.625)


def test_a_subtracting_reset_leaves_a_contribution():
    bundle = Bundle(one_neuron(v_threshold=0.5, reset="subtract"))
    recording = record(bundle, [SpikeTrain([0, 1000], [0, 0])], RunSettings(Fifo()))
    explanation = explain(recording, bundle, 1)
    arrived, left = explanation.spike.contributions
    assert (arrived.kind, arrived.value) == ("spike", 1.0)
    assert (left.kind, left.value, left.weight, left.row) == ("reset", pytest.approx(0.25), 0.5, 0)
    assert "+0.25 left by its last reset (pass 0, step 0)" in str(explanation)


def test_a_bias_contributes_to_each_pass_and_can_cause_a_late_spike():
    model = one_neuron(v_threshold=1.25)
    biased = Dense("input", "p", np.ones((1, 1)), bias=np.ones(1))
    bundle = Bundle(Model(1000, (1,), model.populations, (biased,), "p"))
    recording = record(bundle, [SpikeTrain([], [])], RunSettings(Fifo()), duration_us=3000)
    # The potential at the start of each pass: 1, then 1.5: it fires, though nothing came.
    explanation = explain(recording, bundle, 0)
    assert [c.kind for c in explanation.spike.contributions] == ["bias", "bias"]
    assert [c.value for c in explanation.spike.contributions] == pytest.approx([1.0, 0.5])
    assert explanation.spike.trigger == ()
    assert "above its threshold without a delivery" in str(explanation)
    assert str(explanation).endswith("because of a bias in pass 1")


def test_a_delayed_spike_is_followed_to_the_pass_that_it_was_sent_in():
    populations = (Population("a", (1,), LIF(v_threshold=0.5)), Population("b", (1,), LIF()))
    connections = (
        Dense("input", "a", np.ones((1, 1))),
        Dense("a", "b", np.full((1, 1), 2.0), delay_us=2000),
    )
    bundle = Bundle(Model(1000, (1,), populations, connections, "b"))
    recording = record(bundle, [SpikeTrain([1000], [0])], RunSettings(Fifo()), duration_us=4000)
    assert recording.neuron.tolist() == [0, 1]
    explanation = explain(recording, bundle, 1)
    assert explanation.spike.strongest.delay_us == 2000
    assert [(a.place.population, a.pass_index) for a in explanation.chain] == [("b", 3), ("a", 1)]
    assert "+2 from a[0] (weight 2, pass 3, step 0, delayed by 2000 µs)" in str(explanation)


def test_chain_ends_at_its_maximum_length():
    model = Model(
        1000,
        (1,),
        (Population("p", (1,), LIF(v_threshold=0.5)),),
        (Dense("input", "p", np.ones((1, 1))), Dense("p", "p", np.ones((1, 1)), delay_us=1000)),
        "p",
    )
    run, events = RunSettings(Fifo()), SpikeTrain([0], [0])
    recording = record(Bundle(model), [events], run, duration_us=1_100_000)
    explanation = explain(recording, Bundle(model), 1099)
    assert len(explanation.chain) == 1000
    assert explanation.origin.row == 99


@pytest.mark.parametrize("row", [-1, 6, 1.0, True, None])
def test_missing_row_is_rejected(row):
    with pytest.raises(RecordingError, match=f"^`row` must be an integer from 0 to 5, got {row}$"):
        explain(relay_recording(), relay(), row)


def test_a_recording_without_spikes_has_nothing_to_explain():
    silent = record(relay(), [SpikeTrain([], [])], RunSettings())
    with pytest.raises(RecordingError, match=r"^the recording has no spikes$"):
        explain(silent, relay(), 0)


def test_spike_of_a_custom_population_is_not_explained():
    bundle, run = relay(), RunSettings(Fifo(), 1)
    simulator, recorder = (
        Simulator(ExecutionPlan(PackedNetwork(bundle.model, ["hidden"]), run)),
        Recorder(bundle, run),
    )
    simulator.state.keep = True
    events = SpikeTrain([0], [0])
    simulator.begin(0)
    simulator.feed(events.t_us, events.index)
    while (reached := simulator.run_to_delivery(0)) is not None:
        for p in reached:
            if p == 0:
                simulator.current(p)
                simulator.report(p, np.array([1]))  # It fires for every group.
            else:
                simulator.integrate(p)
    recorder.add(simulator, events, simulator.decision(0.0), number=0, seed=0)
    recording = recorder.finish()
    with pytest.raises(
        RecordingError,
        match=r"^row 0: hidden\[1\] belongs to a custom population, whose spikes cannot be explain",
    ):
        explain(recording, bundle, 0)
    explanation = explain(recording, bundle, 1)
    assert len(explanation.chain) == 1
    assert explanation.origin.source == Place("hidden", 1)
