"""Integrate, fire, select, fire late: steps 4 to 6 of a pass, computed by hand."""

import math

import numpy as np
import pytest

from neuroasync.core.engine.policies import Fifo, LayerSync
from neuroasync.core.model.connections import INPUT, Conv2d
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.errors import ForwardStepLimitError, ModelError
from tests.helpers.hand_networks import (
    MS,
    delivered,
    dense,
    events,
    fired,
    in_every_engine,
    network,
    one_neuron,
    population,
    sparse,
)

FIFO, SYNC = Fifo(), LayerSync()
HALVES = MS / math.log(2)
"""Time constant, µs, with which a potential halves in one millisecond."""
LARGE = 2.0**24
"""In float32, LARGE + 1 equals LARGE, so that a sum shows the order of its terms."""


# 4. Integrate and fire


@in_every_engine
def test_neuron_at_its_threshold_does_not_fire(run):
    result = run(one_neuron(1.0), events((0, 0)), FIFO)
    assert (result.rows, result.v) == ([], (1,))


@in_every_engine
@pytest.mark.parametrize(("reset", "v"), [("zero", 0), ("subtract", 0.5)])
def test_spike_resets_to_zero_or_subtracts_the_threshold(run, reset, v):
    result = run(one_neuron(1.5, reset=reset), events((0, 0)), FIFO)
    assert fired(result) == [(0, 0, 0)]
    assert (result.m, result.v) == ((1.5,), (v,))


def loop(**neuron):
    """Return a network a -> b -> a, in which the spike of b arrives while a is refractory."""
    return network(
        [population("a", **neuron), population("b")],
        [dense(INPUT, "a", 1.5), dense("a", "b", 2), dense("b", "a", 5)],
    )


@in_every_engine
@pytest.mark.parametrize(("reset", "v"), [("zero", 0), ("subtract", 0.5)])
def test_refractory_neuron_loses_its_current_until_the_pass_ends(run, reset, v):
    result = run(loop(reset=reset), events((0, 0)), FIFO)
    assert fired(result) == [(0, 0, 0), (0, 1, 1)]
    assert result.v == (v, 0)
    assert fired(run(loop(), events((0, 0), (1 * MS, 0)), FIFO))[2:] == [(1, 0, 0), (1, 1, 1)]


@in_every_engine
def test_neuron_that_is_not_refractory_fires_again_in_the_pass(run):
    # a fires at step 0, b at 1, a again (m = 5) at 2; b is refractory then
    result = run(loop(refractory=False), events((0, 0)), FIFO)
    assert fired(result) == [(0, 0, 0), (0, 1, 1), (0, 2, 0)]
    assert result.m == (5, 2)


@in_every_engine
def test_currents_are_summed_before_they_are_added_to_the_potential(run):
    # v = 1, then I = LARGE - LARGE = 0; added to v one by one they would leave 0
    model = one_neuron([[LARGE, -LARGE, 1]], inputs=3, v_threshold=2 * LARGE)
    assert run(model, events((0, 2), (1 * MS, 0), (1 * MS, 1)), FIFO).v == (1,)


@in_every_engine
@pytest.mark.parametrize(
    ("weights", "v"), [((LARGE, 1, -LARGE), 0), ((LARGE, -LARGE, 1), 1), ((-LARGE, -1, LARGE), 0)]
)
def test_currents_are_summed_in_slot_order_and_within_a_slot_in_declared_order(run, weights, v):
    by_slot = one_neuron([weights], inputs=3, v_threshold=2 * LARGE)
    assert run(by_slot, events((0, 0), (0, 1), (0, 2)), FIFO).v == (v,)
    by_connection = network(
        [population("a", v_threshold=2 * LARGE)], [dense(INPUT, "a", w) for w in weights]
    )
    assert run(by_connection, events((0, 0)), FIFO).v == (v,)


@in_every_engine
def test_sync_threshold_prevents_firing_until_enough_spikes_arrived_in_the_pass(run):
    # pass 0: one spike, v = 2; pass 1: one more, v = 4; pass 2: two, v = 8 fires
    model = one_neuron([[2, 2]], inputs=2, sync_threshold=2)
    train = events((0, 0), (1 * MS, 1), (2 * MS, 0), (2 * MS, 1))
    result = run(model, train, FIFO)
    assert fired(result) == [(2, 0, 0)]
    assert result.m == (8,)


@in_every_engine
def test_sync_threshold_counts_multiplicity_and_parallel_synapses(run):
    twice = run(one_neuron(2, sync_threshold=2), events((0, 0), (1, 0)), FIFO)
    assert fired(twice) == [(0, 0, 0)]
    parallel = network(
        [population("a", sync_threshold=2)], [dense(INPUT, "a", 2), dense(INPUT, "a", 2)]
    )
    assert fired(run(parallel, events((0, 0)), FIFO)) == [(0, 0, 0)]


@in_every_engine
def test_neurons_of_one_step_fire_in_ascending_order_of_population_and_neuron(run):
    model = network(
        [population("a", 2), population("b", 1), population("c", 2)],
        [dense(INPUT, name, [[2]] * size) for name, size in (("c", 2), ("a", 2), ("b", 1))],
    )
    assert fired(run(model, events((0, 0)), FIFO)) == [(0, 0, j) for j in range(5)]


@in_every_engine
def test_convolutions_are_cross_correlations(run):
    # out[x] = sum over k of w[k] * in[x + k - 1]: input 0 reaches out 0 with w[1] and out 1
    # with w[0], but not out 2.
    conv = Conv2d(INPUT, "a", np.array([[[[1, 2, 4]]]], np.float32), padding=(0, 1))
    model = Model(MS, (1, 1, 3), (Population("a", (1, 1, 3), LIF(v_threshold=9.0)),), (conv,), "a")
    result = run(model, events((0, 0)), FIFO)
    assert (result.v, result.synops) == ((2, 1, 0), 2)


@in_every_engine
def test_convolution_may_have_the_largest_stride(run):
    conv = Conv2d(INPUT, "a", np.ones((1, 1, 1, 1), np.float32), stride=(2**20 - 1, 2**20 - 1))
    model = Model(MS, (1, 2, 3), (Population("a", (1, 1, 1), LIF(v_threshold=9.0)),), (conv,), "a")
    assert run(model, events((0, 0), (0, 1), (0, 3)), FIFO).v == (1,)


@pytest.mark.parametrize("key", ["stride", "padding"])
def test_stride_or_padding_beyond_the_range_of_the_kernels_is_rejected(key):
    conv = Conv2d(INPUT, "a", np.ones((1, 1, 1, 1), np.float32), **{key: (1, 2**20)})
    with pytest.raises(ModelError, match=rf"^`connections\[0\]\.{key}` must be two integers from "):
        Model(MS, (1, 2, 3), (Population("a", (1, 2, 1)),), (conv,), "a")


# 5. Select


@in_every_engine
def test_output_spikes_also_take_slots(run):
    result = run(one_neuron(), events((0, 0)), FIFO)
    assert delivered(result) == [[0]]
    assert (result.steps, result.rounds, result.synops) == (1, 1, 1)


def refiring(**of_b):
    """Return a network input -> a -> b, in which a is not refractory."""
    return network(
        [population("a", refractory=False), population("b", **of_b)],
        [dense(INPUT, "a", [[2, 3]]), dense("a", "b", 0.75)],
        inputs=2,
    )


@in_every_engine
def test_firing_again_while_a_spike_is_pending_raises_its_multiplicity(run):
    # fifo: step 1 input 0, a fires (m = 2); step 2 input 1, a fires again (m = 3);
    # step 3 a, twice: b gets 2 * 0.75 and fires; step 4 b
    result = run(refiring(), events((0, 0), (0, 1)), FIFO, 1, "queued")
    assert fired(result) == [(0, 1, 0), (0, 2, 0), (0, 3, 1)]
    assert delivered(result) == [[2], [3], [0], [1]]
    assert result.groups[2] == (0, 3, ((0, 0, 2, -1),))
    assert (result.m, result.synops, result.rounds) == ((3, 1.5), 1 + 1 + 2, 4)


@in_every_engine
@pytest.mark.parametrize(("needed", "fires"), [(2, True), (3, False)])
def test_multiplicity_counts_towards_a_sync_threshold(run, needed, fires):
    model = refiring(sync_threshold=needed)
    result = run(model, events((0, 0), (0, 1)), FIFO, 1, "queued")
    assert ((0, 3, 1) in fired(result)) == fires
    assert result.v[1] == (0 if fires else 1.5)


@in_every_engine
def test_loop_that_excites_itself_without_end_is_an_error(run):
    model = network(
        [population("a"), population("echo", refractory=False)],
        [dense(INPUT, "a", 2), dense("a", "echo", 2), dense("echo", "echo", 2)],
    )
    with pytest.raises(ForwardStepLimitError):
        run(model, events((0, 0)), FIFO, max_forward_steps=50)


@in_every_engine
def test_limit_of_forward_steps_applies_to_each_pass(run):
    model, train = one_neuron(), events((0, 0), (1 * MS, 0))
    assert run(model, train, FIFO, max_forward_steps=1).steps == 2
    with pytest.raises(ForwardStepLimitError):  # input and a: two steps in each pass
        run(model, train, FIFO, 1, "queued", max_forward_steps=1)


# 6. Late firing


@in_every_engine
def test_unreached_neuron_above_threshold_fires_late_in_a_separate_step(run):
    # a: bias 2, not reached. Step 0: b fires; 1: b delivered; 2: a fires late; 3: a delivered
    model = network(
        [population("a"), population("b")],
        [sparse(INPUT, "b", 1, [(0, 0, 2)]), dense("b", "b", 0), dense("b", "a", 0, [2], 9 * MS)],
    )
    result = run(model, events((0, 0)), FIFO)
    assert fired(result) == [(0, 0, 1), (0, 2, 0)]
    assert delivered(result) == [[1], [0]]
    assert (result.steps, result.rounds) == (3, 2)


@in_every_engine
def test_synapse_of_weight_zero_counts_as_reaching_its_target(run):
    # both have a bias of 2 and get no current; neuron 0 has a synapse
    connection = sparse(INPUT, "a", 1, [(0, 0, 0.0)])
    bias = dense("a", "a", np.zeros((2, 2)), [2, 2], 1 * MS)
    model = network([population("a", 2)], [connection, bias])
    assert fired(run(model, events((0, 0)), FIFO)) == [(0, 0, 0), (0, 2, 1)]


@in_every_engine
def test_lowest_ranked_population_fires_late_first_and_can_inhibit_others(run):
    # a (rank 0) and b (rank 1) are both above threshold. The late spike of a inhibits b
    model = network(
        [population("a"), population("b")],
        [dense(INPUT, "a", 0, [2]), dense("a", "b", -2, [2])],
    )
    result = run(model, events(), FIFO, duration_us=1 * MS)
    assert fired(result) == [(0, 1, 0)]
    assert result.v == (0, 0)


@in_every_engine
def test_the_population_declared_first_fires_late_first_if_ranks_are_equal(run):
    model = network(
        [population("a", 2), population("b")],
        [dense(INPUT, "b", 0, [2]), dense(INPUT, "a", [[0], [0]], [2, 2])],
    )
    result = run(model, events(), FIFO, 4, duration_us=1 * MS)
    assert fired(result) == [(0, 1, 0), (0, 1, 1), (0, 3, 2)]


@in_every_engine
@pytest.mark.parametrize("refractory", [True, False])
def test_potential_left_by_a_subtracting_reset_fires_late_once_in_the_next_pass(run, refractory):
    # 3.5 fires and leaves 2.5. A reached neuron does not fire late in the same pass. Pass 1 leaves
    # 1.5, and so on.
    model = one_neuron(3.5, reset="subtract", refractory=refractory)
    result = run(model, events((0, 0)), FIFO, duration_us=5 * MS)
    assert fired(result) == [(0, 0, 0), (1, 1, 0), (2, 1, 0)]
    assert (result.m, result.v) == ((1.5,), (0.5,))


@in_every_engine
def test_neuron_that_fires_late_is_refractory(run):
    # a fires late; the spike that b sends back is lost
    model = network(
        [population("a"), population("b")],
        [dense(INPUT, "a", 0, [2]), dense("a", "b", 2), dense("b", "a", 5)],
    )
    result = run(model, events(), FIFO, duration_us=1 * MS)
    assert fired(result) == [(0, 1, 0), (0, 2, 1)]
    assert result.v == (0, 0)


@in_every_engine
def test_neuron_below_its_sync_threshold_does_not_fire_late(run):
    model = one_neuron(0, bias=[2], sync_threshold=1)
    result = run(model, events(), FIFO, duration_us=2 * MS)
    assert (result.rows, result.v) == ([], (4,))
