"""A pass with many input events is run in pieces, with the result of a pass run at once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import UNBOUNDED, Simulator
from neuroasync.core.kernels.forward_pass import _first_at_or_after
from neuroasync.core.kernels.smallest_keys import MAX_INSERTED, select_further, sort_further
from tests.helpers.hand_networks import MS, dense, network, population

CHUNK_COST = 12 * 8192 + 8 * 16384
"""Upper bound of the work between two checks of the budget, in synaptic operations."""


def simulator(inputs, policy=None, group_size=8, input_mode="prioritised"):
    model = network(
        [population("output", 2)], [dense("input", "output", [[1e-4] * inputs] * 2)], inputs
    )
    run = RunSettings(Random() if policy is None else policy, group_size, input_mode)
    result = Simulator(ExecutionPlan(PackedNetwork(model), run))
    result.begin(3)
    return result


def feed(simulator, t_us, index):
    order = np.lexsort((index, t_us))
    simulator.feed(t_us[order].astype(np.int64), index[order].astype(np.int64))


def opening_group(simulator, work):
    """Open the first pass, and return the origins and multiplicities of its input group."""
    calls = 0
    while simulator.run_to_delivery(0, work) is None:
        calls += 1
        assert calls < 1000, "no group was opened"
    return (*simulator.group(), calls)


@settings(deadline=None, max_examples=20)
@given(
    inputs=st.sampled_from([1, 63, 64, 65, 300, 20_000]),
    events=st.sampled_from([4095, 4096, 4097, 8192, 8193, 30_000]),
    seed=st.integers(0, 2**32 - 1),
    is_shuffled=st.booleans(),
)
def test_group_of_many_events_counts_each_input_in_ascending_order(
    inputs, events, seed, is_shuffled
):
    index = np.random.default_rng(seed).integers(0, inputs, events)
    sample = simulator(inputs)
    index = index if is_shuffled else np.sort(index)
    sample.feed(np.zeros(events, np.int64), index.astype(np.int64))
    origins, counts, _ = opening_group(sample, UNBOUNDED)
    expected = np.unique(index, return_counts=True)
    assert_array_equal(origins - 2, expected[0])  # inputs are numbered after the two neurons
    assert_array_equal(counts, expected[1])


def test_reading_many_events_can_stop_after_each_chunk():
    index = np.random.default_rng(0).integers(0, 20_000, 100_000)
    groups = []
    for work in (UNBOUNDED, 1):
        sample = simulator(20_000)
        sample.feed(np.zeros(index.size, np.int64), index)
        groups.append(opening_group(sample, work))
    assert_array_equal(groups[0][0], groups[1][0])
    assert_array_equal(groups[0][1], groups[1][1])
    assert groups[0][2] == 0
    assert groups[1][2] >= 2 * 100_000 // 8192


def test_abandoned_reading_leaves_nothing_for_the_next_sample():
    index = np.random.default_rng(0).integers(0, 300, 30_000)
    sample = simulator(300)
    sample.feed(np.zeros(index.size, np.int64), index)
    assert sample.run_to_delivery(0, 1) is None
    sample.begin(4)
    sample.feed(np.zeros(2, np.int64), np.array([7, 7]))
    origins, counts, _ = opening_group(sample, UNBOUNDED)
    assert (origins - 2).tolist() == [7]
    assert counts.tolist() == [2]


@pytest.mark.parametrize("policy", [Random(), Momentum(0.1), Fifo(), LayerSync()])
@pytest.mark.parametrize("group_size", [1, 16, 40_000])
def test_queued_events_are_selected_alike_in_pieces_and_at_once(policy, group_size):
    rng = np.random.default_rng(0)
    t_us, index = np.sort(rng.integers(0, MS, 50_000)), rng.integers(0, 300, 50_000)
    groups = []
    for work in (UNBOUNDED, 1):
        sample = simulator(300, policy, group_size, "queued")
        feed(sample, t_us, index)
        opened = [opening_group(sample, work)]  # this group holds no input
        # Layer synchronization delivers all input events in one group.
        more = 1 if isinstance(policy, LayerSync) else 2
        opened += [opening_group(sample, work) for _ in range(more)]
        groups.append([group[:2] for group in opened])
    for at_once, in_pieces in zip(*groups, strict=True):
        assert_array_equal(at_once[0], in_pieces[0])
        assert_array_equal(at_once[1], in_pieces[1])


@pytest.mark.parametrize(("inputs", "input_mode"), [(300, "prioritised"), (300, "queued")])
def test_call_exceeds_its_work_budget_by_one_chunk_at_most(inputs, input_mode):
    rng = np.random.default_rng(0)
    t_us, index = np.sort(rng.integers(0, 2 * MS, 200_000)), rng.integers(0, inputs, 200_000)
    sample = simulator(inputs, Random(), 8, input_mode)
    feed(sample, t_us, index)
    for _ in range(200):
        before = sample.work
        is_done = sample.run_compiled(2 * MS - 1, 10_000)
        assert sample.work - before <= 10_000 + CHUNK_COST
        if is_done:
            break


@settings(deadline=None)
@given(
    keys=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), min_size=1, max_size=150),
    data=st.data(),
)
def test_selection_in_pieces_returns_the_k_smallest_keys_in_order(keys, data):
    n = len(keys)
    k = data.draw(st.integers(1, n))
    ends = sorted({n, *data.draw(st.lists(st.integers(1, n), max_size=5))})
    ties = np.array(data.draw(st.permutations(range(n))), np.int64)
    array, out, begin = np.array(keys, np.uint64), np.zeros(n, np.int64), 0
    for end in ends:
        select_further(array, ties, begin, end, k, out)
        begin = end
    if k > MAX_INSERTED:
        cuts = [0, *sorted(data.draw(st.lists(st.integers(0, k), max_size=3))), k]
        for begin, end in pairwise(cuts):
            sort_further(array, ties, begin, end, k, out)
    assert out[:k].tolist() == sorted(range(n), key=lambda i: (keys[i], ties[i]))[:k]


@settings(deadline=None)
@given(times=st.lists(st.integers(0, 50), max_size=60).map(sorted), data=st.data())
def test_end_of_a_timestep_is_found_by_searching(times, data):
    t_us = np.array(times, np.int64)
    first = data.draw(st.integers(0, t_us.size))
    time = data.draw(st.integers(0, 60))
    expected = first + int(np.searchsorted(t_us[first:], time))
    assert _first_at_or_after(t_us, first, time) == expected
