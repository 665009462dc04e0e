"""The packed network shares the memory of the model, unless its arrays have to be contiguous."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Momentum
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.kernels.layout import Connections, Context
from neuroasync.core.model.connections import INPUT, Conv2d, Dense, Pool, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.errors import ForwardStepLimitError
from tests.helpers.strategies import models, spike_trains

SOURCES, FAN_OUT = 1000, 50
SYNAPSES = SOURCES * FAN_OUT


def sparse_model() -> Model:
    """Return a network with 50 random targets for each of 1,000 inputs."""
    rng = np.random.default_rng(1)
    indices = np.sort(rng.permuted(np.tile(np.arange(200), (SOURCES, 1)), axis=1)[:, :FAN_OUT])
    indptr, weight = np.arange(SOURCES + 1) * FAN_OUT, rng.normal(size=SYNAPSES)
    connection = Sparse(INPUT, "a", indptr, indices.ravel(), weight, np.ones(200))
    return Model(1000, (SOURCES,), (Population("a", (200,)),), (connection,), "a")


def test_a_synapse_of_a_sparse_connection_takes_8_bytes_in_model_and_packed_network_together():
    model = sparse_model()
    (c,), arrays = model.connections, PackedNetwork(model).arrays
    assert c.indices.nbytes + c.weight.nbytes == 8 * SYNAPSES
    assert c.indptr.nbytes == 4 * (SOURCES + 1)
    # One link from the input, a bias for each neuron, and the entry at the end of each array.
    assert (arrays.links.size, arrays.weights.size) == (1 + 1, 200 + 1)


def test_plain_neurons_take_only_their_thresholds():
    one = Sparse(INPUT, "a", np.array([0, 1]), np.array([7]), np.ones(1))
    model = Model(1000, (1,), (Population("a", (10_000,)),), (one,), "a")
    PackedNetwork(model)  # modules that are imported now are not counted
    tracemalloc.start()
    try:
        packed = PackedNetwork(model)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert packed.arrays.thresholds.nbytes == 40_000
    assert size < 40_000 + 20_000


@pytest.mark.parametrize(
    ("neurons", "connections", "slots"),
    [(2**15, 1, 0), (2**16, 1, 16), (2**16, 8, 16), (2**16, 9, 14), (2**16, 200, 1)],
)
def test_kernels_prefetch_a_bounded_number_of_rows_together(neurons, connections, slots):
    one = np.ones(1, np.float32)
    links = tuple(
        Sparse(INPUT, f"p{k}", np.array([0, 1]), np.array([0]), one) for k in range(connections)
    )
    rest = neurons - connections + 1
    populations = tuple(Population(f"p{k}", (1 if k else rest,)) for k in range(connections))
    packed = PackedNetwork(Model(1000, (1,), populations, links, "p0"))
    assert packed.context[Context.PREFETCHES] == slots


def test_offsets_lead_to_the_memory_of_the_model():
    model = sparse_model()
    (c,), packed = model.connections, PackedNetwork(model)
    (row,), context = packed.arrays.connections, packed.context
    for column, base, values in (
        (Connections.INDPTR, Context.LINKS, c.indptr),
        (Connections.INDICES, Context.LINKS, c.indices),
        (Connections.WEIGHT, Context.WEIGHTS, c.weight),
    ):
        assert context[base] + 4 * row[column] == values.ctypes.data


def test_the_synapses_of_a_pool_are_not_copied():
    pool = Pool(INPUT, "a", "sum", (2, 2))
    model = Model(1000, (1, 8, 8), (Population("a", (1, 4, 4)),), (pool,), "a")
    packed = PackedNetwork(model)
    assert packed.arrays.weights.size == 1
    assert packed.connections[0].weight.size == 64


def test_contiguous_arrays_hold_all_values_in_declared_order():
    first = Conv2d(INPUT, "a", np.arange(1, 5).reshape(1, 1, 2, 2), bias=np.array([5.0]))
    second = Sparse("a", "b", [0, 1, 1, 1, 2], [1, 0], [6.0, 7.0])
    third = Dense("a", "b", np.arange(8, 16).reshape(2, 4), delay_us=1000)
    populations = Population("a", (1, 2, 2)), Population("b", (2,))
    model = Model(1000, (1, 3, 3), populations, tuple(map(_arrays, (first, second, third))), "b")
    arrays = PackedNetwork(model, contiguous=True).arrays
    dense = [8, 12, 9, 13, 10, 14, 11, 15]  # by source
    assert arrays.weights.tolist() == [1, 2, 3, 4, 5, 5, 5, 5, 6, 7, *dense, 0]
    assert arrays.links.tolist() == [1, 2, 0, 0, 1, 1, 1, 2, 1, 0, 0]
    assert arrays.connections[:, Connections.WEIGHT].tolist() == [0, 8, 10]
    assert arrays.connections[1, Connections.INDPTR] == 3
    assert arrays.connections[1, Connections.INDICES] == 8


def _arrays(c):
    if not isinstance(c, Sparse):
        return c
    return Sparse(c.source, c.target, np.array(c.indptr), np.array(c.indices), np.array(c.weight))


@settings(deadline=None, max_examples=50)
@given(data=st.data(), model=models())
def test_contiguous_arrays_change_no_decision(data, model):
    train, outcomes = data.draw(spike_trains(model)), []
    for contiguous in (False, True):
        run = RunSettings(Momentum(), 3, max_forward_steps=100)
        simulator = Simulator(ExecutionPlan(PackedNetwork(model, contiguous=contiguous), run))
        try:
            decision = run_sample(simulator, train, 3)
        except ForwardStepLimitError as error:
            outcomes.append(str(error))
        else:
            potential = simulator.state.potential.tobytes()
            outcomes.append((decision.label, decision.spikes, decision.synops, potential))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("contiguous", [False, True])
def test_a_pickle_has_the_same_layout(contiguous):
    packed = PackedNetwork(sparse_model(), contiguous=contiguous)
    copy = pickle.loads(pickle.dumps(packed))
    assert copy.arrays.weights.tolist() == packed.arrays.weights.tolist()
    assert copy.arrays.links.tolist() == packed.arrays.links.tolist()
