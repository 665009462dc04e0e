"""Resets, synaptic currents, adaptive thresholds and leaky integrators, computed by hand.

Unless stated otherwise, a neuron has threshold 1 and no leak, and passes are 1 ms apart.
"""

import math

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.engine.policies import Fifo, LayerSync
from neuroasync.core.model.connections import INPUT
from neuroasync.errors import StopRuleError
from tests.helpers.engine_runners import compiled
from tests.helpers.hand_networks import (
    MS,
    by_step,
    dense,
    events,
    fired,
    in_every_engine,
    network,
    one_neuron,
    population,
)

FIFO = Fifo()
HALVES = MS / math.log(2)
"""Time constant, µs, with which a variable halves in one millisecond."""
in_any_order = pytest.mark.parametrize("policy", [FIFO, LayerSync()], ids=["fifo", "layer-sync"])


def passes(result):
    """Return the pass of each spike."""
    return [at for at, *_ in result.rows]


@in_every_engine
@in_any_order
def test_delayed_reset_subtracts_after_the_decay_of_the_next_pass(run, policy):
    # pass 0: 1.5 fires and stays; pass 1: 0.75 - 1 + 1.5 = 1.25 fires and stays
    neuron = {"tau_mem_us": HALVES, "reset": "subtract", "reset_delayed": True}
    result = run(one_neuron(1.5, **neuron), events((0, 0), (1 * MS, 0)), policy)
    assert passes(result) == [0, 1]
    assert (result.v, result.m, result.extras) == ((1.25,), (1.25,), ((0, 0, 1),))


@in_every_engine
@in_any_order
def test_delayed_reset_to_zero_keeps_the_potential_until_the_next_pass(run, policy):
    # pass 0: 1.5 fires and stays; pass 1: 0 + 0.75; pass 2: 1.5 fires; pass 3: 0
    model = one_neuron([[1.5, 0.75]], inputs=2, reset_delayed=True)
    train = events((0, 0), (1 * MS, 1), (2 * MS, 1))
    result = run(model, train, policy)
    assert (passes(result), result.v) == ([0, 2], (1.5,))
    assert run(model, train, policy, duration_us=4 * MS).v == (0,)


@in_every_engine
@in_any_order
def test_neuron_that_a_delayed_reset_leaves_above_threshold_fires_without_input(run, policy):
    # 4 fires; passes 1 to 3 begin with 3, 2 and 1
    model = one_neuron(4, reset="subtract", reset_delayed=True)
    result = run(model, events((0, 0)), policy, duration_us=5 * MS)
    assert (passes(result), result.v, result.extras) == ([0, 1, 2], (1,), ((0, 0, 0),))


@in_every_engine
def test_neuron_that_is_not_refractory_owes_a_reset_for_each_spike_of_a_pass(run):
    # a fires at 1.5 and, as b's spike arrives, at 6.5; pass 1 begins with 6.5 - 2
    model = network(
        [
            population("a", refractory=False, reset="subtract", reset_delayed=True),
            population("b", v_threshold=1.25),
        ],
        [dense(INPUT, "a", 1.5), dense("a", "b", 1.5), dense("b", "a", 5)],
    )
    result = run(model, events((0, 0)), FIFO)
    assert fired(result) == [(0, 0, 0), (0, 1, 1), (0, 2, 0)]
    assert result.extras[0] == (0, 0, 2)
    after = run(model, events((0, 0)), FIFO, duration_us=2 * MS, until="steps(3)")
    assert after.m[0] == 4.5


@in_every_engine
@in_any_order
def test_neuron_without_reset_fires_as_long_as_it_is_above_threshold(run, policy):
    model = one_neuron(4, tau_mem_us=HALVES, reset="none")
    result = run(model, events((0, 0)), policy, duration_us=4 * MS)
    assert (passes(result), result.m, result.v) == ([0, 1], (2,), (0.5,))


@in_every_engine
@in_any_order
def test_reset_subtracts_its_own_amount(run, policy):
    # 2 fires, 1.5 is left, which fires in pass 1; 1 is left
    model = one_neuron(2, reset="subtract", reset_amount=0.5)
    result = run(model, events((0, 0)), policy, duration_us=4 * MS)
    assert (passes(result), result.v) == ([0, 1], (1,))


@in_every_engine
def test_amounts_may_differ_within_a_population(run):
    amount = np.array([0.25, 4], np.float32)
    model = network(
        [population("a", 2, reset="subtract", reset_amount=amount, v_threshold=3.0)],
        [dense(INPUT, "a", [[3.5], [3.5]])],
    )
    result = run(model, events((0, 0)), FIFO, duration_us=3 * MS)
    assert result.v == (3, -0.5)
    assert fired(result) == [(0, 0, 0), (0, 0, 1), (1, 1, 0)]


@in_every_engine
@in_any_order
def test_synaptic_current_charges_the_neuron_in_later_passes(run, policy):
    # i = 4, 2, 1, 0.5; v = 4, 6, 7, 7.5
    model = one_neuron(4, v_threshold=10.0, tau_syn_us=HALVES)
    result = run(model, events((0, 0)), policy, duration_us=4 * MS)
    assert (result.v, result.extras) == ((7.5,), ((0.5, 0, 0),))
    # pass 1: i = 2 + 4, v = 4 + 2 + 4
    result = run(model, events((0, 0), (1 * MS, 0)), policy)
    assert (result.v, result.extras) == ((10,), ((6, 0, 0),))


@in_every_engine
@in_any_order
def test_synaptic_current_can_make_a_neuron_fire_that_nothing_reaches(run, policy):
    model = one_neuron(4, v_threshold=6.5, tau_syn_us=HALVES)
    result = run(model, events((0, 0)), policy, duration_us=4 * MS)
    assert (passes(result), result.m, result.v) == ([2], (7,), (0.5,))


@in_every_engine
def test_synaptic_current_of_a_refractory_neuron_takes_what_arrives(run):
    # a fires, then 5 arrives from b: v stays 0, i = 1.5 + 5; pass 1: i = 3.25 = v fires
    model = network(
        [population("a", tau_syn_us=HALVES), population("b", v_threshold=1.25)],
        [dense(INPUT, "a", 1.5), dense("a", "b", 1.5), dense("b", "a", 5)],
    )
    result = run(model, events((0, 0)), FIFO)
    assert (result.v, result.extras[0]) == ((0, 0), (6.5, 0, 0))
    assert run(model, events((0, 0)), FIFO, duration_us=2 * MS).m[0] == 3.25


@in_every_engine
@in_any_order
def test_bias_is_added_to_the_synaptic_current_too(run, policy):
    # i = 1, 1.5, 1.75; v = 1, 2.5, 4.25
    model = one_neuron(1, bias=[1], v_threshold=10.0, tau_syn_us=HALVES)
    result = run(model, events(), policy, duration_us=3 * MS)
    assert (result.v, result.extras) == ((4.25,), ((1.75, 0, 0),))


def adapting(**neuron):
    """Return a neuron whose threshold rises by 1 with each spike, which halves in each pass."""
    return one_neuron(1.5, adaptation=na.Adaptation(HALVES, 1.0), **neuron)


@in_every_engine
@in_any_order
def test_adaptive_threshold_rises_with_each_spike_and_falls_back(run, policy):
    # thresholds 1, 1.5, 1.25: v = 1.5 fires; 1.5 does not; 3 fires; a = 0.25 + 1
    train = events((0, 0), (1 * MS, 0), (2 * MS, 0))
    result = run(adapting(), train, policy)
    assert (passes(result), result.m) == ([0, 2], (3,))
    assert (result.v, result.extras) == ((0,), ((0, 1.25, 0),))


@in_every_engine
@in_any_order
def test_neuron_fires_without_input_when_its_threshold_has_fallen(run, policy):
    train = events((0, 0), (1 * MS, 0))
    result = run(adapting(), train, policy, duration_us=4 * MS)
    assert (passes(result), result.m) == ([0, 2], (1.5,))


@in_every_engine
def test_reset_subtracts_the_adapted_threshold_unless_an_amount_is_given(run):
    # pass 2: 1.5 is left of the first spike: v = 0.5, 2; threshold 1.5 in pass 1
    train = events((0, 0), (1 * MS, 0))
    result = run(adapting(reset="subtract"), train, FIFO)
    assert (passes(result), result.v, result.extras) == ([0, 1], (0.5,), ((0, 1.5, 0),))
    delayed = run(adapting(reset="subtract", reset_delayed=True), train, FIFO)
    assert (delayed.v, delayed.extras) == ((2,), ((0, 1.5, 1.5),))
    given = run(adapting(reset="subtract", reset_amount=1.0), train, FIFO)
    assert given.v == (1,)


def readout(weights, **neuron):
    """Return a network of an input for each class and leaky integrators as the output."""
    weights = np.array(weights, np.float32)
    output = na.Population("out", weights.shape[:1], na.LI(**neuron))
    return na.Model(MS, weights.shape[1:], (output,), (na.Dense("input", "out", weights),), "out")


@in_every_engine
@in_any_order
def test_leaky_integrators_never_fire_and_the_highest_potential_decides(run, policy):
    model = readout([[5, 0], [1, 3], [0, 4]], tau_mem_us=HALVES)
    result = run(model, events((0, 0), (1 * MS, 1)), policy)
    assert (result.rows, result.votes, result.v) == ([], [0, 0, 0], (2.5, 3.5, 4))
    assert result.label == 2
    assert run(model, events((0, 0)), policy).label == 0
    assert run(model, events(), policy).label is None


@in_every_engine
def test_equal_potentials_decide_for_the_lowest_class(run):
    assert run(readout([[0, -1], [2, 1], [2, 1]]), events((0, 0)), FIFO).label == 1


@in_every_engine
def test_leaky_integrators_may_have_a_synaptic_current(run):
    # i = 2, 1; v = 2, 2 * 0.5 + 1
    model = readout([[2.0]], tau_mem_us=HALVES, tau_syn_us=HALVES)
    result = run(model, events((0, 0)), FIFO, duration_us=2 * MS)
    assert (result.v, result.extras) == ((2,), ((1, 0, 0),))


def test_decision_reports_the_potentials_of_leaky_integrators():
    model = readout([[5, 0], [1, 3], [0, 4]], tau_mem_us=HALVES)

    async def decide():
        async with na.Network(na.Bundle(model, ("a", "b", "c"))) as network:
            events = na.SpikeTrain([0, MS], [0, 1])
            return await network.decide(events), await network.decide(na.SpikeTrain([], []))

    import asyncio

    decision, empty = asyncio.run(decide())
    assert decision.potentials.tolist() == [2.5, 3.5, 4]
    assert (decision.label, decision.class_name, decision.margin) == (2, "c", 0)
    assert repr(decision).startswith("<Decision label=2 'c', potential 4, 2 passes")
    assert (empty.label, empty.class_name) == (None, None)


async def test_a_sample_without_a_pass_has_no_potentials_of_the_sample_before_it():
    bundle = na.Bundle(readout([[5, 0], [1, 3]]))
    async with na.Network(bundle) as network, network.session() as session:
        empty = await session.decide(na.SpikeTrain([], []))
        await session.decide(events((0, 0)))
        assert (await session.decide(na.SpikeTrain([], []))) == empty


@by_step
@in_any_order
def test_a_stop_rule_gets_the_label_of_leaky_integrators(run, policy):
    model, train = readout([[5, 0], [1, 3]]), events((0, 0), *((k * MS, 1) for k in range(1, 5)))
    result = run(model, train, policy, until=lambda progress: progress.label == 1)
    assert (result.passes, result.label, result.v) == (3, 1, (5, 7))


def test_only_the_end_of_a_sample_can_decide_by_potentials():
    message = r"^`until` must be 'quiet', because the output 'out' consists of leaky integrators"
    with pytest.raises(StopRuleError, match=message):
        compiled(readout([[1.0]]), events((0, 0)), FIFO, until="votes(2)")
