"""Every ordering policy, both input modes, on networks computed by hand in the comments."""

import numpy as np
import pytest

from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.model.connections import INPUT
from neuroasync.errors import ForwardStepLimitError, PolicyError
from tests.helpers.engine_runners import stepwise
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
    population,
)
from tests.helpers.reference.order_keys import order_key

FIFO, SYNC, MOMENTUM = Fifo(), LayerSync(), Momentum()
SEED = 0xFEDC_BA98_7654_3210


def fan(*weights):
    """Return a network in which one input event leaves spikes of these momenta pending."""
    return network([population("a", len(weights))], [dense(INPUT, "a", [[w] for w in weights])])


@in_every_engine
@pytest.mark.parametrize(
    ("group_size", "groups"), [(1, [[1], [2], [0]]), (2, [[1, 2], [0]]), (3, [[1, 2, 0]])]
)
def test_momentum_delivers_the_highest_potential_first(run, group_size, groups):
    result = run(fan(1.25, 1.75, 1.5), events((0, 0)), MOMENTUM, group_size)
    assert delivered(result) == groups


@in_every_engine
def test_the_lower_neuron_is_selected_first_if_momenta_are_equal(run):
    result = run(fan(1.5, 1.75, 1.5, 1.75), events((0, 0)), MOMENTUM, 3)
    assert delivered(result) == [[1, 3, 0], [2]]


@in_every_engine
def test_noise_is_added_to_momentum_from_the_key_of_pass_step_and_neuron(run):
    momenta, noise, order, left = [1.75, 1.5, 1.25], 8.0, [], {0, 1, 2}
    for step in (1, 2, 3):
        uniform = {j: (order_key(SEED, 0, step, j) >> 40) / 2**24 for j in left}
        order.append(max(left, key=lambda j: momenta[j] + noise * uniform[j]))
        left.remove(order[-1])
    assert order != [0, 1, 2]
    result = run(fan(*momenta), events((0, 0)), Momentum(noise), seed=SEED)
    assert delivered(result) == [[j] for j in order]


@in_every_engine
@pytest.mark.parametrize("at", [0, 1])
def test_random_order_is_that_of_the_keys_of_pass_step_and_neuron(run, at):
    keys = [[order_key(SEED, at, step, j) for j in range(4)] for step in (1, 2)]
    first = sorted(range(4), key=lambda j: keys[0][j])[:2]
    second = sorted(set(range(4)) - set(first), key=lambda j: keys[1][j])
    train = events(*[(k * MS, 0) for k in range(at + 1)])
    result = run(fan(2, 2, 2, 2), train, Random(), 2, seed=SEED)
    assert delivered(result, at) == [first, second]


@in_every_engine
def test_random_order_follows_the_seed(run):
    orders = {
        str(delivered(run(fan(2, 2, 2), events((0, 0)), Random(), 3, seed=seed)))
        for seed in range(40)
    }
    assert len(orders) == 6


def overtaking():
    """Return a network input -> a (3 neurons), a0 -> b, in which b has a high momentum."""
    return network(
        [population("a", 3), population("b")],
        [dense(INPUT, "a", [[2], [2], [2]]), dense("a", "b", [[8, 0, 0]])],
    )


@in_every_engine
def test_fifo_delivers_in_the_order_of_firing(run):
    # a0, a1, a2 fired at step 0, b (neuron 3) at step 1
    assert delivered(run(overtaking(), events((0, 0)), FIFO)) == [[0], [1], [2], [3]]
    assert delivered(run(overtaking(), events((0, 0)), FIFO, 3)) == [[0, 1, 2], [3]]


@in_every_engine
def test_momentum_can_select_a_later_spike_first(run):
    assert delivered(run(overtaking(), events((0, 0)), MOMENTUM)) == [[0], [3], [1], [2]]
    assert delivered(run(overtaking(), events((0, 0)), MOMENTUM, 2)) == [[0, 1], [3, 2]]


@in_every_engine
def test_neuron_that_fires_again_while_it_waits_keeps_its_arrival_and_takes_the_new_momentum(run):
    # queued: input 0 -> a (2.0, at step 1), input 1 -> b (2.5, at step 2), input 2 -> a (3.0)
    model = network(
        [population("a", refractory=False), population("b")],
        [dense(INPUT, "a", [[2, 0, 3]]), dense(INPUT, "b", [[0, 2.5, 0]])],
        inputs=3,
    )
    train = events((0, 0), (0, 1), (0, 2))
    in_order_of_arrival = run(model, train, FIFO, 1, "queued")
    assert delivered(in_order_of_arrival) == [[2], [3], [4], [0], [1]]
    assert in_order_of_arrival.m == (3, 2.5)


@in_every_engine
@pytest.mark.parametrize("group_size", [1, 2, 64])
def test_layer_sync_delivers_a_whole_layer_for_any_group_size(run, group_size):
    # rounds: 3 neurons of a take ceil(3 / F), b takes 1
    result = run(overtaking(), events((0, 0)), SYNC, group_size)
    assert delivered(result) == [[0, 1, 2], [3]]
    assert result.rounds == {1: 3, 2: 2, 64: 1}[group_size] + 1


def skipping():
    """Return a network a -> b -> c and a -> c. The rank of c is 2, by its longest path."""
    return network(
        [population("a"), population("b"), population("c")],
        [dense(INPUT, "a", 2), dense("a", "b", 2), dense("a", "c", 2), dense("b", "c", -9)],
    )


@in_every_engine
def test_layer_sync_evaluates_a_layer_after_all_that_lead_to_it(run):
    # a reaches b and c at step 1. Only under layer-sync does c wait for b, which inhibits it
    assert delivered(run(skipping(), events((0, 0)), SYNC, 2)) == [[0], [1]]
    assert delivered(run(skipping(), events((0, 0)), FIFO, 2)) == [[0], [1, 2]]


@in_every_engine
def test_layer_sync_delivers_the_population_declared_first_if_ranks_are_equal(run):
    model = network(
        [population("a", 2), population("b", 2)],
        [dense(INPUT, "b", [[2], [2]]), dense(INPUT, "a", [[2], [2]])],
    )
    assert delivered(run(model, events((0, 0)), SYNC)) == [[0, 1], [2, 3]]


@in_every_engine
def test_back_edge_does_not_raise_a_rank(run):
    # a (rank 0) -> b (rank 1) -> a: in the second round of the loop, a's spike goes before c's
    model = network(
        [population("a", refractory=False), population("b"), population("c")],
        [dense(INPUT, "a", 2), dense("a", "b", 2), dense("b", "a", 2), dense("b", "c", 2)],
    )
    result = run(model, events((0, 0)), SYNC)
    assert delivered(result) == [[0], [1], [0], [2]]


# Input: prioritised or queued


def racing():
    """Return a network in which input 0 excites b through a, and input 1 inhibits b."""
    return network(
        [population("a"), population("b")],
        [
            dense(INPUT, "a", [[2, 0]]),
            dense(INPUT, "b", [[0, -4]]),
            dense("a", "b", 2),
        ],
        inputs=2,
    )


BOTH = events((0, 0), (0, 1))


@in_every_engine
def test_prioritised_input_is_delivered_before_hidden_spikes(run):
    result = run(racing(), BOTH, MOMENTUM)
    assert fired(result) == [(0, 0, 0)]
    assert result.v == (0, -2)


@in_every_engine
def test_hidden_spikes_can_be_delivered_before_queued_input(run):
    # keys 2 and 3 are the input events. 2: a fires (m = 2); a goes before the other event: b fires
    result = run(racing(), BOTH, MOMENTUM, 1, "queued")
    assert fired(result) == [(0, 1, 0), (0, 2, 1)]
    assert delivered(result) == [[2], [0], [1], [3]]
    assert (result.rounds, result.input_events, result.v) == (4, 2, (0, 0))


@in_every_engine
@pytest.mark.parametrize(
    ("policy", "groups"), [(FIFO, [[2], [3], [0]]), (SYNC, [[2, 3], [0]])], ids=["fifo", "sync"]
)
def test_queued_input_has_the_earliest_arrival_and_the_lowest_rank(run, policy, groups):
    result = run(racing(), BOTH, policy, 1, "queued")
    assert delivered(result) == groups
    assert (result.rounds, result.v) == (3, (0, -2))


@in_every_engine
def test_queued_events_are_numbered_by_time_then_index_and_not_merged(run):
    # keys are 1 + i; origins are 1 + the input index
    train = events((3, 0), (5, 1), (5, 1), (7, 0))
    result = run(one_neuron([[0, 0]], inputs=2), train, FIFO, 2, "queued")
    assert result.groups == [
        (0, 1, ((1, 1, 1, -1), (2, 2, 1, -1))),
        (0, 2, ((3, 2, 1, -1), (4, 1, 1, -1))),
    ]
    assert (result.steps, result.rounds, result.synops) == (2, 2, 4)


@in_every_engine
def test_random_order_uses_the_number_of_a_queued_event_as_its_neuron(run):
    train = events((0, 1), (1, 0), (2, 1))  # events 0, 1, 2; the network has one neuron
    keys = [order_key(SEED, 0, 1, 1 + i) for i in range(3)]
    first = 1 + keys.index(min(keys))
    result = run(one_neuron([[0, 0]], inputs=2), train, Random(), 1, "queued", SEED)
    assert delivered(result)[0] == [first]


# Custom policies


class Fixed:
    """A policy that returns given orders and stores its arguments."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def order(self, pending, group_size):
        self.asked.append((pending, group_size))
        return self.answers.pop(0)


@by_step
def test_custom_policy_gets_all_pending_spikes(run):
    # three neurons; input events have keys 3 and 4. The policy returns positions in these
    model = network([population("a", 3)], [dense(INPUT, "a", [[2, 0], [0, 3], [0, 0]])], inputs=2)

    class LastNeuronFirst(Fixed):
        def order(self, pending, group_size):
            self.asked.append((pending, group_size))
            return np.argsort(-pending.neuron)

    policy = LastNeuronFirst()
    result = run(model, BOTH, policy, 1, "queued", seed=SEED)
    assert delivered(result) == [[4], [3], [1], [0]]
    pending, group_size = policy.asked[1]
    told = {
        neuron: columns
        for neuron, *columns in zip(
            pending.neuron, pending.population, pending.momentum, pending.arrival, strict=True
        )
    }
    assert told == {1: [0, 3, 1], 3: [1, 0, -1]}
    assert pending.multiplicity.tolist() == [1, 1]
    assert (pending.seed, pending.pass_index, pending.step, group_size) == (SEED, 0, 2, 1)


@pytest.mark.parametrize(
    "answer",
    [[], [0], [0, 0], [0, 3], [-1, 0], [0.0, 1.0], [[0, 1]], 0, None, "ab", [[0], [1, 2]]],
    ids=str,
)
def test_impossible_order_of_a_custom_policy_is_rejected(answer):
    with pytest.raises(
        PolicyError, match=r"Fixed\.order must return 2 distinct positions from 0 to 2, got "
    ):
        stepwise(fan(2, 2, 2), events((0, 0)), Fixed(answer), 2)


# The limit of forward steps


def test_error_names_the_population_that_kept_firing():
    model = network(
        [population("a"), population("echo", refractory=False), population("out")],
        [dense(INPUT, "a", 2), dense("a", "echo", 2), dense("echo", "echo", 2)],
    )
    message = r"^pass 1 \(t = 1000 µs\) .* max_forward_steps = 50; population 'echo' was the last"
    with pytest.raises(ForwardStepLimitError, match=message):
        stepwise(model, events((1 * MS, 0)), FIFO, max_forward_steps=50)


def test_error_names_no_population_if_only_input_is_pending():
    # pass 0: the event, then a: two steps; pass 1: three events that excite no neuron
    model, train = one_neuron([[2, 0]], inputs=2), events((0, 0), *[(1 * MS, 1)] * 3)
    with pytest.raises(ForwardStepLimitError, match=r"^pass 1 .* no population fired"):
        stepwise(model, train, FIFO, 1, "queued", max_forward_steps=2)
