"""Reference simulator, stepwise engine and compiled loop agree on all kinds of neurons.

As in ``test_engines_agree``, the tests compare the complete result, with the synaptic currents,
adaptations and delayed resets of all neurons.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.events.spike_train import SpikeTrain
from tests.core.engine.test_engines_agree import (
    EXCITING,
    FLOATS,
    STEP_LIMIT,
    busy_trains,
    moderate,
    outcome,
    runs,
)
from tests.helpers.engine_runners import advanced, compiled, stepwise, take_steps
from tests.helpers.hand_networks import MS, events, one_neuron
from tests.helpers.reference import simulator as oracle
from tests.helpers.strategies import models, rule_for


@st.composite
def extended_runs(draw, weights=EXCITING, **features):
    """Draw the arguments of an engine, for a network with all kinds of neurons."""
    run = draw(runs(models(weights, extended=True, **features)))
    run["until"] = rule_for(run["model"], run["until"])
    return run


@given(run=extended_runs())
@moderate(150)
def test_all_engines_match_the_reference_simulator(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected


@given(run=extended_runs(FLOATS, max_populations=2, sync_threshold=False))
@moderate(100)
def test_any_weights_and_a_refractory_or_another_pass_give_the_same_bits(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected


@given(run=extended_runs(refractory=False, delays=False, sync_threshold=False))
@moderate(75)
def test_all_engines_agree_if_neurons_fire_again_in_a_pass(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected


@given(run=extended_runs(), data=st.data())
@moderate(75)
def test_a_sample_does_not_affect_the_next_one(run, data):
    how = RunSettings(run["policy"], run["group_size"], run["input_mode"], StopRule(), STEP_LIMIT)
    run["until"] = "quiet"
    simulator = Simulator(ExecutionPlan(PackedNetwork(run["model"]), how))
    outcome(take_steps, {"simulator": simulator, "train": data.draw(busy_trains(run["model"]))})
    sample = {key: run[key] for key in ("train", "seed", "duration_us")}
    assert outcome(take_steps, {"simulator": simulator} | sample) == outcome(stepwise, run)


def variables(simulator):
    """Return all variables of the neurons, as bytes."""
    simulator.state.apply_decay()
    extras = simulator.state.extra_state
    return simulator.state.potential.tobytes() + (b"" if extras is None else extras.tobytes())


@given(
    run=extended_runs(FLOATS, refractory=True, bias=False, timestep_us=MS),
    passes=st.integers(1, 300),
)
@moderate(150)
def test_a_quiescent_network_only_decays_in_passes_without_input(run, passes):
    """Those passes may be computed in one operation, to the same bits."""
    model, train = run["model"], run["train"]
    how = RunSettings(run["policy"], run["group_size"], run["input_mode"], StopRule(), STEP_LIMIT)
    one, other = (Simulator(ExecutionPlan(PackedNetwork(model), how)) for _ in range(2))
    one.begin(run["seed"])
    other.begin(run["seed"])
    first_us = (int(train.t_us[-1]) // MS + 1) * MS
    for end_us in range(first_us, first_us + 50 * MS, MS):
        if (
            outcome(advanced, {"simulator": one, "train": run["train"], "duration_us": end_us})
            == "limit"
        ):
            return
        if one.is_quiescent:
            break
        run["train"] = SpikeTrain([], [])  # the events have been read
    else:
        return
    spikes = one.state.spikes.tolist()
    advanced(other, train, end_us + passes * MS)
    assert other.state.spikes.tolist() == spikes
    one.skip_idle_passes(passes)
    assert variables(one) == variables(other)


@pytest.mark.parametrize(("weight", "fires"), [(1.4, True), (0.9, False)])
def test_a_network_is_quiescent_only_if_its_synaptic_currents_cannot_make_it_fire(weight, fires):
    # i = 0.7, 0.35, .. after a weight of 1.4: v rises to 2.8, and to 1.8 after a weight of 0.9
    model = one_neuron(weight, v_threshold=2.0, tau_syn_us=MS / math.log(2))
    plan = ExecutionPlan(PackedNetwork(model), RunSettings(LayerSync(), 1))
    simulator = Simulator(plan)
    simulator.begin(0)
    result = advanced(simulator, events((0, 0)))
    assert (result.rows, simulator.is_quiescent) == ([], not fires)
    simulator.state.keep = False
    if not fires:
        assert simulator.skip_idle_passes(10**9)
        assert not simulator.skip_idle_passes(10**9)


def test_a_current_that_is_too_small_for_now_keeps_a_leaky_network_from_being_quiescent():
    # The reset leaves v = -1e6, to which i = 0.02 adds nothing. As v decays, i brings it to 2.
    model = one_neuron(
        0.02,
        v_threshold=0.01,
        reset="subtract",
        reset_amount=1e6,
        tau_mem_us=100 * MS,
        tau_syn_us=math.inf,
    )
    simulator = Simulator(ExecutionPlan(PackedNetwork(model), RunSettings(LayerSync(), 1)))
    simulator.begin(0)
    advanced(simulator, events((0, 0)))
    assert not simulator.is_quiescent
    advanced(simulator, events(), 2000 * MS)
    assert simulator.state.spikes.tolist() == [2]
