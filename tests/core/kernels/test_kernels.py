"""Optimisations inside the kernels do not change any bit of the result, at any network size."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.testing import assert_array_equal

from neuroasync.core.engine import packed_network
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.kernels.delivery.dense_rows import add_rows
from neuroasync.core.kernels.layout import GROUP_LIMIT, Control
from neuroasync.core.kernels.order_keys import order_key, step_prefix
from neuroasync.core.kernels.smallest_keys import sort
from neuroasync.core.kernels.vectors.firing import KEEPS, SUBTRACTS, TO_ZERO, integrate_lanes
from neuroasync.core.kernels.vectors.lanes import LANES
from neuroasync.core.kernels.vectors.ranking import (
    MAX_RANKED,
    order_by_rank,
    write_random_keys,
)
from neuroasync.core.kernels.vectors.scaling import clear_lanes, scale_lanes
from neuroasync.core.model.connections import Conv2d, Dense, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from tests.helpers.engine_runners import advanced, compiled, stepwise
from tests.helpers.reference import simulator as oracle


@settings(deadline=None)
@given(
    keys=st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(0, 5), max_size=MAX_RANKED),
    has_ties=st.booleans(),
    data=st.data(),
)
def test_ranks_order_neurons_by_key_unless_keys_are_equal_and_ties_have_no_order(
    keys, has_ties, data
):
    n = len(keys)
    neurons = data.draw(st.permutations(range(n)))
    arrays = [np.full(MAX_RANKED, -7, np.int32) for _ in range(4)]
    arrays[0][:n], arrays[1][:n] = keys, neurons
    ordered = arrays[3].copy()
    is_ordered = order_by_rank(arrays[0], arrays[1], n, arrays[2], ordered, has_ties)
    assert is_ordered == (has_ties or len(set(keys)) == n)
    expected = [neuron for _, neuron in sorted(zip(keys, neurons, strict=True))]
    assert ordered.tolist() == [*(expected if is_ordered else [-7] * n), *[-7] * (MAX_RANKED - n)]


@pytest.mark.parametrize("n", [1, 15, 16, 17, 64])
def test_keys_of_the_random_order_are_the_upper_halves_of_the_order_keys(n):
    neurons = np.random.default_rng(n).integers(0, 2**31, MAX_RANKED).astype(np.int32)
    keys = np.zeros(MAX_RANKED, np.int32)
    prefix = step_prefix(np.uint64(5), 3, 2)
    write_random_keys(keys.ctypes.data, neurons.ctypes.data, np.uint64(prefix), n)
    expected = [(order_key(5, 3, 2, int(i)) >> 32) - 2**31 for i in neurons[:n]]
    assert keys[:n].tolist() == expected


@settings(deadline=None)
@given(values=st.lists(st.integers(-5, 2**40), max_size=80))
def test_short_and_long_lists_are_sorted(values):
    array = np.array(values, np.int64)
    sort(array)
    assert array.tolist() == sorted(values)


@pytest.mark.parametrize("columns", [1, 10, 15, 16, 17, 63, 64, 65, 80, 144, 200])
def test_add_rows_sums_in_order_and_writes_only_its_columns(columns):
    rng = np.random.default_rng(columns)
    rows = rng.normal(size=(9, columns)).astype(np.float32)
    origins, counts = rng.integers(0, 9, 13), rng.integers(1, 4, 13)
    sums = np.full(columns + 16, np.float32(0.3))
    expected = sums.copy()
    for origin, count in zip(origins, counts, strict=True):
        expected[:columns] += rows[origin] * np.float32(count)
    places = (a.ctypes.data for a in (origins, counts))
    add_rows(sums.ctypes.data, rows.ctypes.data, columns, *places, 13)
    assert_array_equal(sums, expected)


@pytest.mark.parametrize("columns", [1, 16, 63, 80, 200])
def test_add_rows_without_counts_adds_each_row_once(columns):
    rng = np.random.default_rng(columns)
    rows = rng.normal(size=(9, columns)).astype(np.float32)
    origins, sums = rng.integers(0, 9, 13), np.full(columns + 16, np.float32(0.3))
    expected = sums.copy()
    for origin in origins:
        expected[:columns] += rows[origin]
    add_rows(sums.ctypes.data, rows.ctypes.data, columns, origins.ctypes.data, 0, 13)
    assert_array_equal(sums, expected)


@pytest.mark.parametrize("n", [1, 5, 15, 16])
@pytest.mark.parametrize("kind", [KEEPS, TO_ZERO, SUBTRACTS])
@pytest.mark.parametrize("locks", [0, 1])
def test_integration_changes_its_neurons_only(n, kind, locks):
    rng, threshold = np.random.default_rng(n), np.float32(0.5)
    v, momentum, current = rng.normal(size=(3, 32)).astype(np.float32)
    marks = rng.choice([4, 6, 12, 13, 14, 15, 17, 19], 32).astype(np.int32)
    arrays = v, momentum, current, marks
    before = [array.copy() for array in arrays]
    now, pass_mark, sample_mark = times = np.int32(20), np.int32(16), np.int32(8)
    places = (a.ctypes.data for a in arrays)
    bits = integrate_lanes(*places, threshold, times, kind, np.int32(locks), n)
    for i in range(32):
        after, mark = before[0][i], before[3][i]
        if i >= n:  # Lanes beyond the population must not change.
            assert [array[i] for array in arrays] == [array[i] for array in before]
            continue
        was_locked = mark >= pass_mark and mark & 1
        if not was_locked:
            after += before[2][i]
        fires = after > threshold and not was_locked
        assert bool(bits >> i & 1) == fires
        assert momentum[i] == (after if fires else before[1][i])
        if fires and kind != KEEPS:
            after = after - threshold if kind == SUBTRACTS else np.float32(0)
        kept = mark & 2 if mark >= sample_mark else 0
        is_locked = bool(was_locked or (fires and locks))
        assert (v[i], current[i], marks[i]) == (after, 0, now | kept | is_locked)


@njit
def scale_block(address, factor, times):
    scale_lanes(address, factor, times)


@njit
def clear_block(address):
    clear_lanes(address)


def chain_of(count, timestep_us=1000, tau_us=2000.0, size=2):
    """Return ``count`` populations in a chain, with a weak loop from the last to the first."""
    names = ["input", *(f"p{k}" for k in range(count))]
    neuron = LIF(tau_mem_us=tau_us, v_threshold=1.0)
    weight = np.full((size, size), 0.75, np.float32)
    connections = [Dense(a, b, weight) for a, b in itertools.pairwise(names)]
    connections.append(Dense(names[-1], "p0", np.full((size, size), 0.25, np.float32)))
    populations = tuple(Population(name, (size,), neuron) for name in names[1:])
    return Model(timestep_us, (size,), populations, tuple(connections), names[-1])


@pytest.mark.parametrize("policy", [LayerSync(), Random(), Momentum(), Fifo()])
def test_a_model_can_have_more_populations_than_a_mask_has_bits(policy):
    model = chain_of(70)
    train = SpikeTrain([0, 0, 1500, 1500], [0, 1, 0, 1])
    expected = oracle.run(model, train, policy, 3, "prioritised", 5)
    assert expected.rows
    assert {row[3] for row in expected.rows} >= {138, 139}
    assert stepwise(model, train, policy, 3, seed=5) == expected
    assert compiled(model, train, policy, 3, seed=5) == expected


def test_potentials_decay_exactly_over_more_passes_than_are_remembered():
    model = chain_of(2, timestep_us=0)
    rng = np.random.default_rng(3)
    t_us = np.cumsum(rng.integers(1, 900, 400))
    # The first input fires rarely, so its targets decay over many passes at once.
    train = SpikeTrain(t_us, (rng.random(400) < 0.05).astype(np.int64))
    expected = oracle.run(model, train, Random(), 1, "prioritised", 0)
    assert compiled(model, train, Random(), 1) == expected
    assert stepwise(model, train, Random(), 1) == expected


def test_group_numbers_restart_at_their_limit_without_changing_the_result():
    model = chain_of(3)
    train = SpikeTrain(np.arange(0, 40_000, 500), np.arange(80) % 2)
    simulator = Simulator(ExecutionPlan(PackedNetwork(model), RunSettings(Random(), 1)))
    simulator.state.keep = True
    expected = compiled(model, train, Random(), 1)
    for near in (4, 40, 400, 0):
        simulator.state.control[Control.GROUP_MARK] = GROUP_LIMIT - near
        simulator.begin(0)
        assert advanced(simulator, train) == expected
        assert simulator.state.control[Control.GROUP_MARK] < GROUP_LIMIT // 2


@pytest.mark.parametrize("work", [0, 1, 50, 1000])
def test_an_interrupted_forward_step_resumes_where_it_stopped(work):
    rng = np.random.default_rng(1)
    names = ["input", "a", "b"]
    neuron = LIF(tau_mem_us=3000.0, v_threshold=1.0)
    weights = [rng.integers(-8, 24, shape) / 64 for shape in ((600, 300), (400, 600))]
    model = Model(
        1000,
        (300,),
        (Population("a", (600,), neuron), Population("b", (400,), neuron)),
        tuple(Dense(names[k], names[k + 1], w.astype(np.float32)) for k, w in enumerate(weights)),
        "b",
    )
    train = SpikeTrain(np.sort(rng.integers(0, 4000, 600)), rng.integers(0, 300, 600))
    for policy in (LayerSync(), Random()):
        whole = compiled(model, train, policy, 64)
        assert compiled(model, train, policy, 64, work=work) == whole
        assert len(whole.rows) > 500


@pytest.fixture
def is_far(monkeypatch):
    """Let kernels prefetch in networks of any size, as if they exceeded the cache."""
    monkeypatch.setattr(packed_network, "_FAR_FROM", 1)


@pytest.mark.usefixtures("is_far")
@pytest.mark.parametrize("policy", [LayerSync(), Random(), Momentum()])
@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
def test_all_engines_match_the_reference_simulator_on_a_network_beyond_the_cache(
    policy, input_mode
):
    rng, n, inputs = np.random.default_rng(3), 517, 100

    def links(source, target, size):
        """Return a sparse connection with random targets; rows have 0 to 40 of them."""
        fan_out = rng.choice([0, 1, 6, 40], size, p=[0.1, 0.1, 0.7, 0.1])
        targets = [np.sort(rng.choice(n, k, replace=False)) for k in fan_out]
        indptr = np.concatenate([[0], np.cumsum(fan_out)])
        weights = (rng.integers(-16, 96, indptr[-1]) / 64).astype(np.float32)
        return Sparse(source, target, indptr, np.concatenate(targets), weights)

    populations = tuple(Population(name, (n,), LIF(2000.0, 0.75)) for name in "ab")
    connections = (links("input", "a", inputs), links("a", "b", n), links("b", "a", n))
    model = Model(1000, (inputs,), populations, connections, "b")
    # Between two events, blocks of neurons decay over many passes at once.
    times = np.repeat([0, 1000, 2000, 9000], 12)
    settings = RunSettings(policy, 8, input_mode)
    simulator = Simulator(ExecutionPlan(PackedNetwork(model), settings))
    simulator.state.keep = True
    for seed in (5, 6):  # the second sample finds neurons that the first one left charged
        train = SpikeTrain(times, rng.integers(0, inputs, times.size))
        expected = oracle.run(model, train, policy, 8, input_mode, seed)
        assert expected.steps > 10
        assert stepwise(model, train, policy, 8, input_mode, seed) == expected
        simulator.begin(seed)
        assert advanced(simulator, train) == expected


@pytest.mark.usefixtures("is_far")
def test_convolutions_beyond_the_cache_match_the_reference_simulator():
    rng = np.random.default_rng(4)
    weight = (rng.integers(-16, 96, (3, 2, 3, 3)) / 64).astype(np.float32)
    connections = (
        Conv2d("input", "a", weight, padding=(1, 1)),
        Dense("a", "b", (rng.integers(-16, 48, (10, 3 * 19 * 20)) / 64).astype(np.float32)),
    )
    populations = (
        Population("a", (3, 19, 20), LIF(2000.0, 0.75)),
        Population("b", (10,), LIF(2000.0, 0.75)),
    )
    model = Model(1000, (2, 19, 20), populations, connections, "b")
    train = SpikeTrain(np.repeat([0, 1000, 7000], 30), rng.integers(0, 760, 90))
    expected = oracle.run(model, train, Momentum(), 8)
    assert expected.steps > 10
    assert compiled(model, train, Momentum(), 8) == expected


@settings(deadline=None)
@given(
    values=st.lists(st.floats(width=32), min_size=LANES, max_size=LANES),
    factor=st.floats(0, 1, width=32),
    times=st.integers(1, 300),
)
def test_a_block_decays_as_if_it_were_multiplied_in_every_pass(values, factor, times):
    block = np.full(LANES + 2, 7, np.float32)
    block[1:-1] = values
    expected = block[1:-1].copy()
    with np.errstate(invalid="ignore", under="ignore"):
        for _ in range(times):
            expected *= np.float32(factor)
    scale_block(block[1:-1].ctypes.data, np.float32(factor), times)
    assert_array_equal(block[1:-1], expected)
    assert block[0] == block[-1] == 7


def test_a_block_at_rest_is_0_and_its_neighbours_stay():
    block = np.full(LANES + 2, 7, np.float32)
    clear_block(block[1:-1].ctypes.data)
    assert block.tolist() == [7, *[0] * LANES, 7]


def test_state_arrays_of_a_large_network_are_aligned_to_cache_lines():
    populations = (Population("a", (5000,), LIF(2000.0, 0.75)),)
    model = Model(1000, (1,), populations, (Dense("input", "a", np.ones((5000, 1))),), "a")
    plan = ExecutionPlan(PackedNetwork(model), RunSettings(Momentum()))
    session = Simulator(plan).state
    assert session.potential.ctypes.data % 64 == session.momentum.ctypes.data % 64 == 0


def test_work_does_not_depend_on_the_multiplicity_of_a_spike():
    lif = LIF(tau_mem_us=np.inf, v_threshold=1e6)
    weight = np.ones((100, 1), np.float32)
    for connection in (
        Dense("input", "output", weight),
        Sparse("input", "output", np.array([0, 100]), np.arange(100), weight.ravel()),
    ):
        model = Model(1000, (1,), (Population("output", (100,), lif),), (connection,), "output")
        costs = []
        for events in (1, 10_000):
            simulator = Simulator(ExecutionPlan(PackedNetwork(model), RunSettings()))
            train = SpikeTrain(np.zeros(events, np.int64), np.zeros(events, np.int64))
            decision = run_sample(simulator, train)
            assert decision.synops == 100 * events
            costs.append(simulator.work)
        # Reading an event has a cost. Delivering it to the 100 targets again has none.
        assert 0 < costs[1] - costs[0] <= 30 * 10_000
