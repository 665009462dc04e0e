"""Passes that do not depend on the order: abelian networks, and the conditions that they need.

The theorem is in docs/concepts/order.md. Weights are dyadic, so that sums are exact.
"""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from neuroasync import LIF, Dense, Model, Population, SpikeTrain
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum
from neuroasync.errors import ForwardStepLimitError
from tests.helpers.engine_runners import compiled
from tests.helpers.recordings import POLICIES, moderate
from tests.helpers.strategies import dyadic, models, positive_dyadic, spike_trains

STEPS = 3_000


def counts_of(result):
    """Return how often each neuron fired in each pass."""
    return Counter((pass_, neuron) for pass_, _, _, neuron in result.rows)


def runs_of(data, model, train, inputs=("prioritised", "queued")):
    """Run a sample in several orders; None stands for a pass that does not end."""
    for policy in POLICIES:
        size = data.draw(st.sampled_from((1, 2, 3, 8, 64)))
        seed = data.draw(st.integers(0, 2**32))
        mode = data.draw(st.sampled_from(inputs))
        if type(policy).__name__ == "NewestFirst":
            continue  # the compiled loop has built-in policies only
        try:
            yield compiled(model, train, policy, size, mode, seed, max_forward_steps=STEPS)
        except ForwardStepLimitError:
            yield None


def thresholds_of(model):
    return np.concatenate([
        np.broadcast_to(np.asarray(p.neuron.v_threshold, np.float32), p.shape).ravel()
        for p in model.populations
    ])  # fmt: skip


def is_stable(model, result):
    """Return whether no neuron is above its threshold."""
    return result is not None and bool((np.array(result.v) <= thresholds_of(model)).all())


def check_one_pass(data, model, train, inputs=("prioritised", "queued")):
    """Check the theorem: what is stable agrees, and what is not has fired no more than that."""
    results = list(runs_of(data, model, train, inputs))
    stable = [result for result in results if is_stable(model, result)]
    assume(stable)
    for result in stable:
        assert counts_of(result) == counts_of(stable[0])
        assert result.v == stable[0].v
    for result in results:
        assert result is not None, "a pass that is stable in one order ends in every order"
        assert counts_of(result) <= counts_of(stable[0])


ABELIAN = {"reset": "subtract", "refractory": False, "delays": False, "sync_threshold": False}


def excitatory():
    """Return a strategy for small weights that excite; most are below most thresholds."""
    return positive_dyadic(16)


@moderate(150)
@given(data=st.data(), model=models(excitatory(), bias=False, **ABELIAN))
def test_without_inhibition_every_order_gives_the_same_counts_and_potentials(data, model):
    train = data.draw(spike_trains(model, max_bins=1))
    check_one_pass(data, model, train)


@moderate(100)
@given(data=st.data(), model=models(dyadic(-16, 16), bias=True, skip=True, **ABELIAN))
def test_inhibition_that_all_arrives_first_is_allowed(data, model):
    connections = tuple(
        c if c.source == "input" else replace(c, weight=np.abs(c.weight)) for c in model.connections
    )
    model = replace(model, connections=connections)
    train = data.draw(spike_trains(model, max_bins=1))
    check_one_pass(data, model, train, ("prioritised",))


@moderate(100)
@given(
    data=st.data(),
    model=models(positive_dyadic(8), bias=False, recurrent=False, **(ABELIAN | {"delays": True})),
)
def test_passes_that_are_all_stable_agree_over_time(data, model):
    # A leak would make potentials inexact, so that sums depend on the order by rounding.
    populations = (
        replace(p, neuron=replace(p.neuron, tau_mem_us=math.inf)) for p in model.populations
    )
    model = replace(model, populations=tuple(populations))
    train = data.draw(spike_trains(model, max_events=8, max_bins=3))
    last_us = int(train.t_us[-1]) if len(train) else 0
    ends = sorted({*(train.t_us + 1).tolist(), last_us + 1})
    cases = ((LayerSync(), 1, "queued"), (Momentum(), 1, "queued"), (Fifo(), 2, "prioritised"))
    parts = [(train.part(train.t_us < end), end) for end in ends]
    runs = [
        [compiled(model, part, policy, size, mode, duration_us=end) for part, end in parts]
        for policy, size, mode in cases
    ]
    assume(all(is_stable(model, result) for results in runs for result in results))
    for one, *others in zip(*runs, strict=True):
        assert all(counts_of(other) == counts_of(one) for other in others)
        assert all(other.v == one.v for other in others)


def network(weight, neuron=None, **parameters):
    """Return a network of inputs that each reach one target population over one matrix."""
    weight = np.array(weight, np.float32)
    parameters = {"v_threshold": 1.0, "reset": "subtract", "refractory": False} | parameters
    output = Population("output", (weight.shape[0],), neuron or LIF(**parameters))
    connections = (Dense("input", "output", weight),)
    return Model(1000, (weight.shape[1],), (output,), connections, "output")


def in_both_orders(model, index):
    """Return the numbers of spikes if events are delivered one by one, forwards and backwards."""
    counts = []
    for at in (index, index[::-1]):
        # Of queued input, FIFO delivers lower indices first, so the weights are permuted instead.
        permuted = Dense("input", "output", model.connections[0].weight[:, at])
        turned = Model(1000, model.input_shape, model.populations, (permuted,), "output")
        train = SpikeTrain([0] * len(at), list(range(len(at))))
        result = compiled(turned, train, Fifo(), 1, "queued")
        counts.append((len(result.rows), result.v))
    return counts


def test_two_exciting_events_commute():
    assert in_both_orders(network([[0.75, 0.5]]), [0, 1]) == [(1, (0.25,))] * 2


def test_inhibition_does_not_commute():
    forwards, backwards = in_both_orders(network([[1.25, -1.0]]), [0, 1])
    assert forwards == (1, (-0.75,))
    assert backwards == (0, (0.25,))


@pytest.mark.parametrize(
    ("change", "weight", "forwards", "backwards"),
    [
        # A reset to zero forgets what was above the threshold: 0.5 of 1.5, or 1.25 of 2.25.
        ({"reset": "zero"}, [1.5, 0.75], (1, (0.75,)), (1, (0.0,))),
        # A refractory neuron loses what arrives after its spike.
        ({"refractory": True}, [1.5, 0.5], (1, (0.5,)), (1, (1.0,))),
    ],
)
def test_other_neurons_do_not_commute(change, weight, forwards, backwards):
    assert in_both_orders(network([weight], **change), [0, 1]) == [forwards, backwards]


def test_a_delayed_reset_does_not_commute():
    # Once above its threshold, the neuron fires for every later event of the pass.
    found = in_both_orders(network([[1.25, 0.25, 0.25]], reset_delayed=True), [0, 1, 2])
    assert [count for count, _ in found] == [3, 1]


def test_a_group_that_brings_several_thresholds_leaves_its_neuron_above_the_threshold():
    # A neuron fires once for each group, so one group of three thresholds gives one spike.
    model, train = network([[1.25, 1.0, 1.0]]), SpikeTrain([0, 0, 0], [0, 1, 2])
    one_by_one = compiled(model, train, Fifo(), 1, "queued")
    together = compiled(model, train, Fifo(), 3, "queued")
    assert (len(one_by_one.rows), one_by_one.v) == (3, (0.25,))
    assert (len(together.rows), together.v) == (1, (2.25,))


def test_a_loop_that_amplifies_does_not_end_in_any_order():
    # Each spike brings more than a threshold back. The leak does not help: it acts between passes.
    pair = Population("pair", (1,), LIF(tau_mem_us=1.0, reset="subtract", refractory=False))
    connections = (Dense("input", "pair", [[1.5]]), Dense("pair", "pair", [[1.0]]))
    model = Model(1000, (1,), (pair,), connections, "pair")
    for policy in (Fifo(), Momentum(), LayerSync()):
        with pytest.raises(ForwardStepLimitError):
            compiled(model, SpikeTrain([0], [0]), policy, 1, max_forward_steps=STEPS)


def test_equal_counts_can_still_break_a_tie_of_votes_differently():
    # Both classes get one vote; the label is the one that got it first.
    model, train = network([[1.25, 0.0], [0.0, 1.25]]), SpikeTrain([0, 0], [0, 1])
    turned = network([[0.0, 1.25], [1.25, 0.0]])
    one, other = (compiled(m, train, Fifo(), 1, "queued") for m in (model, turned))
    assert counts_of(one) == counts_of(other)
    assert (one.label, other.label) == (0, 1)
