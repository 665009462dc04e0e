"""Layer synchronization: each population has its turn and is evaluated as a whole.

The comments compute the results by hand. The last test compares random networks with a plain NumPy
loop over the layers.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync.core.engine.policies import LayerSync
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.model.connections import INPUT, Conv2d
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.errors import ForwardStepLimitError
from tests.helpers.engine_runners import compiled, stepwise
from tests.helpers.hand_networks import (
    MS,
    by_step,
    delivered,
    dense,
    events,
    fired,
    in_every_engine,
    network,
    one_neuron,
    opening,
    population,
    sparse,
)
from tests.helpers.layer_loop import run_layers
from tests.helpers.reference import simulator as oracle
from tests.helpers.strategies import dyadic, models

SYNC = LayerSync()


def skip_network(skip, through=2.0, **neuron):
    """Return input -> a -> b with weights 2 and ``through``, and input -> b with ``skip``."""
    return network(
        [population("a"), population("b", **neuron)],
        [dense(INPUT, "a", 2), dense("a", "b", through), dense(INPUT, "b", skip)],
    )


@in_every_engine
def test_a_population_is_evaluated_once_with_the_sum_of_all_that_arrived(run):
    # b has 0.75 from the input and 0.75 from a, which fires at step 0 and is delivered at step 1
    result = run(skip_network(0.75, 0.75), events((0, 0)), SYNC)
    assert fired(result) == [(0, 0, 0), (0, 1, 1)]
    assert (result.m, result.v) == ((2, 1.5), (0, 0))
    assert delivered(result) == [[0], [1]]
    assert (result.steps, result.rounds) == (2, 2)


@in_every_engine
def test_inhibition_of_a_later_rank_cancels_excitation_that_came_before(run):
    result = run(skip_network(1.5, -1), events((0, 0)), SYNC)
    assert fired(result) == [(0, 0, 0)]
    assert result.v == (0, 0.5)


@in_every_engine
def test_currents_of_several_ranks_are_summed_in_the_order_of_delivery(run):
    # 2**24 + 1 is 2**24 in float32: the input comes first, so that the 1 of a is lost
    large = 2.0**24
    result = run(skip_network(large, 1, v_threshold=1e9), events((0, 0)), SYNC)
    assert result.v[1] == large


@in_every_engine
def test_bias_is_evaluated_at_the_turn_together_with_the_input(run):
    # pass 0: 0.5 + 0.75 fires. Pass 1: 0.5. Pass 2: 1.0, not above 1. Pass 3: 1.5 fires.
    result = run(one_neuron(0.75, bias=[0.5]), events((0, 0)), SYNC, duration_us=4 * MS)
    assert fired(result) == [(0, 0, 0), (3, 0, 0)]
    assert result.m == (1.5,)
    assert (result.steps, result.rounds) == (2, 2)


@in_every_engine
def test_bias_can_make_up_for_inhibition_over_a_skip(run):
    # b: bias 2, -1.5 from the input, 0.75 from a: 1.25
    model = network(
        [population("a"), population("b")],
        [dense(INPUT, "a", 2), dense(INPUT, "b", -1.5, bias=[2]), dense("a", "b", 0.75)],
    )
    result = run(model, events((0, 0)), SYNC)
    assert fired(result) == [(0, 0, 0), (0, 1, 1)]
    assert result.m[1] == 1.25


@in_every_engine
def test_a_biased_population_of_rank_0_inhibits_the_next_one_before_its_turn(run):
    model = network(
        [population("a"), population("b")],
        [dense(INPUT, "a", 0, [2]), dense("a", "b", -2, [2])],
    )
    result = run(model, events(), SYNC, duration_us=1 * MS)
    assert fired(result) == [(0, 0, 0)]
    assert result.v == (0, 0)
    assert (result.steps, result.rounds) == (1, 1)


@in_every_engine
@pytest.mark.parametrize("refractory", [True, False])
def test_what_a_subtracting_reset_leaves_fires_at_the_turn_in_the_next_pass(run, refractory):
    # 3.5 fires and leaves 2.5; pass 1 leaves 1.5; pass 2 leaves 0.5
    model = one_neuron(3.5, reset="subtract", refractory=refractory)
    result = run(model, events((0, 0)), SYNC, duration_us=5 * MS)
    assert fired(result) == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    assert (result.m, result.v) == ((1.5,), (0.5,))


@in_every_engine
@pytest.mark.parametrize("kind", [dense, sparse])
def test_left_potential_fires_beside_neurons_that_input_reaches(run, kind):
    # pass 0: both at 2.5 fire and leave 1.5. Pass 1: input reaches neuron 0 only, with -1.
    connections = {
        dense: [dense(INPUT, "a", [[2.5, -1], [2.5, 0]])],
        sparse: [sparse(INPUT, "a", 2, [(0, 0, 2.5), (0, 1, 2.5), (1, 0, -1)])],
    }
    model = network([population("a", 2, reset="subtract")], connections[kind], inputs=2)
    result = run(model, events((0, 0), (1 * MS, 1)), SYNC)
    assert fired(result) == [(0, 0, 0), (0, 0, 1), (1, 0, 1)]
    assert result.v == (0.5, 0.5)


@in_every_engine
def test_convolution_with_bias(run):
    # One row of three pixels, kernel (1, 2, 1), padding 1, bias 0.5; event at the middle pixel.
    kernel = np.array([[[[1, 2, 1]]]], np.float32) / 2
    conv = Conv2d(INPUT, "a", kernel, padding=(0, 1), bias=np.array([0.5], np.float32))
    model = Model(MS, (1, 1, 3), (Population("a", (1, 1, 3), LIF()),), (conv,), "a")
    # 0.5 + 0.5, 0.5 + 1, 0.5 + 0.5; then 1.5, 0.5, 1.5
    result = run(model, events((0, 1)), SYNC, duration_us=2 * MS)
    assert fired(result) == [(0, 0, 1), (1, 0, 0), (1, 0, 2)]
    assert result.v == (0, 0.5, 0)


@in_every_engine
def test_a_silent_turn_is_no_step(run):
    # a gets 0.5 and is silent; b gets 2 and fires at step 0
    model = network(
        [population("a"), population("b")],
        [dense(INPUT, "a", 0.5), dense("a", "b", 1), dense(INPUT, "b", 2)],
    )
    result = run(model, events((0, 0)), SYNC)
    assert fired(result) == [(0, 0, 1)]
    assert (result.steps, delivered(result)) == (1, [[1]])


@in_every_engine
def test_populations_of_one_rank_have_their_turns_in_declared_order(run):
    # both have rank 0; b inhibits a, but a had its turn
    model = network(
        [population("a", 2), population("b")],
        [dense(INPUT, "b", 2), dense(INPUT, "a", [[2], [2]]), dense("a", "b", [[-1, -0.5]])],
        output="b",
    )
    assert model.ranks == (0, 1)
    result = run(model, events((0, 0)), SYNC, 1)
    assert fired(result) == [(0, 0, 0), (0, 0, 1)]
    assert result.v[2] == 0.5
    assert (result.steps, result.rounds) == (1, 2)


@in_every_engine
def test_a_population_reached_after_its_turn_has_another_one(run):
    # step 0: a; step 1: b; b sends 2 back: a is refractory and loses it, c has its turn
    model = network(
        [population("a", 2), population("b")],
        [
            sparse(INPUT, "a", 1, [(0, 0, 2)]),
            dense("a", "b", [[2, 0]]),
            dense("b", "a", [[2], [1.5]]),
        ],
    )
    result = run(model, events((0, 0)), SYNC)
    assert fired(result) == [(0, 0, 0), (0, 1, 2), (0, 2, 1)]
    assert result.v == (0, 0, 0)
    assert delivered(result) == [[0], [2], [1]]


@in_every_engine
def test_a_loop_without_refractoriness_takes_turns_until_the_step_limit(run):
    model = network(
        [population("a", refractory=False), population("b", refractory=False)],
        [dense(INPUT, "a", 2), dense("a", "b", 2), dense("b", "a", 2)],
    )
    with pytest.raises(ForwardStepLimitError):
        run(model, events((0, 0)), SYNC, max_forward_steps=7)


@in_every_engine
def test_another_turn_evaluates_the_whole_population(run):
    # Neuron 0 leaves 1.5, neuron 1 gets 2 from itself over b: at the second turn both are above.
    model = network(
        [population("a", 2, reset="subtract", refractory=False), population("b")],
        [
            sparse(INPUT, "a", 1, [(0, 0, 2.5)]),
            dense("a", "b", [[2, 0]]),
            sparse("b", "a", 1, [(0, 1, 1.25)]),
        ],
    )
    result = run(model, events((0, 0)), SYNC)
    assert fired(result) == [(0, 0, 0), (0, 1, 2), (0, 2, 0), (0, 2, 1)]
    # The spikes of step 3 reach b, which is refractory.
    assert result.v == (0.5, 0.25, 0)


@in_every_engine
def test_sync_threshold_counts_the_spikes_of_all_ranks(run):
    # b needs two spikes: one of the input and one of a
    result = run(skip_network(2, 0.25, sync_threshold=2), events((0, 0)), SYNC)
    assert fired(result) == [(0, 0, 0), (0, 1, 1)]
    alone = run(skip_network(2, 0.25, sync_threshold=3), events((0, 0)), SYNC)
    assert fired(alone) == [(0, 0, 0)]


@in_every_engine
def test_enough_spikes_hold_for_further_turns_of_the_pass(run):
    # Neuron 0 got its one spike at the first turn, and is above threshold at the second turn.
    model = network(
        [population("a", 2, reset="subtract", refractory=False, sync_threshold=1), population("b")],
        [
            sparse(INPUT, "a", 1, [(0, 0, 2.5)]),
            dense("a", "b", [[2, 0]]),
            sparse("b", "a", 1, [(0, 1, 0.25)]),
        ],
    )
    result = run(model, events((0, 0)), SYNC, duration_us=2 * MS)
    assert fired(result) == [(0, 0, 0), (0, 1, 2), (0, 2, 0)]
    assert result.v == (0.5, 0.25, 0)


@in_every_engine
def test_queued_input_is_the_first_group(run):
    result = run(skip_network(0.75, 0.75), events((0, 0), (1, 0)), SYNC, 1, "queued")
    assert fired(result) == [(0, 1, 0), (0, 2, 1)]
    assert delivered(result) == [[2, 3], [0], [1]]
    assert result.m == (4, 2.25)
    assert (result.steps, result.rounds) == (3, 4)


@in_every_engine
@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
def test_due_spikes_are_summed_with_the_input_of_their_pass(run, input_mode):
    # a fires in pass 0 and sends 0.75, due in pass 1; in pass 1 the input sends 0.75 to b
    model = network(
        [population("a"), population("b")],
        [
            sparse(INPUT, "a", 2, [(0, 0, 2)]),
            sparse(INPUT, "b", 2, [(1, 0, 0.75)]),
            dense("a", "b", 0.75, delay_us=1 * MS),
        ],
        inputs=2,
    )
    result = run(model, events((0, 0), (1 * MS, 1)), SYNC, 1, input_mode)
    step = 1 if input_mode == "queued" else 0
    assert fired(result) == [(0, step, 0), (1, step, 1)]
    assert result.m[1] == 1.5
    assert (0, 1, 2) in opening(result, at=1)


@in_every_engine
def test_an_empty_pass_decays_and_does_nothing_else(run):
    model = one_neuron(0.75, tau_mem_us=MS / math.log(2))
    result = run(model, events((0, 0)), SYNC, duration_us=3 * MS)
    assert (result.rows, result.steps, result.v) == ([], 0, (0.1875,))


@in_every_engine
def test_a_stop_rule_ends_the_sample_after_a_turn(run):
    # a is the output; b has current, but its turn never comes
    model = network(
        [population("a"), population("b")],
        [dense(INPUT, "a", 2), dense("a", "b", 2), dense(INPUT, "b", 2)],
        output="a",
    )
    result = run(model, events((0, 0), (1 * MS, 0)), SYNC, until="first-spike")
    assert fired(result) == [(0, 0, 0)]
    assert (result.stopped, result.steps, result.passes, result.v) == (True, 0, 1, (0, 0))


@in_every_engine
def test_a_stop_rule_is_asked_after_the_last_delivery_of_a_pass(run):
    result = run(one_neuron(2), events((0, 0), (1 * MS, 0)), SYNC, until="steps(1)")
    assert (result.stopped, result.steps, result.passes) == (True, 1, 1)


@by_step
def test_a_callable_rule_sees_each_turn(run):
    seen = []

    def rule(progress):
        seen.append((progress.passes, progress.steps, progress.spikes))
        return False

    run(skip_network(0.75, 0.75), events((0, 0)), SYNC, until=rule)
    assert seen == [(1, 0, 1), (1, 1, 2), (1, 2, 2)]


FLOATS = st.floats(-0.5, 1.0, width=32).map(lambda w: w if abs(w) > 1e-30 else 0.0)


@pytest.mark.parametrize("weights", [dyadic(-16, 64), FLOATS], ids=["dyadic", "any"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_layer_sync_equals_a_plain_loop_over_the_layers(weights, data):
    model = data.draw(
        models(
            weights, recurrent=False, delays=False, sync_threshold=False, per_neuron=False,
            timestep_us=MS,
        )
    )  # fmt: skip
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    counts = rng.poisson(0.5, (4, model.input_size))
    t, index = np.nonzero(counts)
    times = counts[t, index]
    train = SpikeTrain(np.repeat(t * MS, times), np.repeat(index, times))
    expected_spikes, expected_v = run_layers(model, counts)
    for run in (oracle.run, stepwise, compiled):
        result = run(model, train, SYNC, 3, duration_us=4 * MS)
        spikes = np.zeros(expected_spikes.shape, bool)
        for at, _, _, neuron in result.rows:
            spikes[at, neuron] = True
        assert np.array_equal(spikes, expected_spikes)
        assert np.array_equal(np.array(result.v, np.float32), expected_v)
