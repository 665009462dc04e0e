"""Each node of NIR becomes neurons and connections that send the same spikes in each step."""

import nir
import numpy as np
import pytest

from neuroasync.core.model.connections import Conv2d, Dense, Pool, Sparse
from neuroasync.core.model.neurons import LI
from neuroasync.interchange import import_nir
from tests.helpers.layered_loop import run_layers
from tests.helpers.nir_graphs import chain, lif, run_graph

RNG = np.random.default_rng(17)
STEP_US = 1000
EULER = {"jump": "euler", "decay": "euler", "reset": "zero"}
FAMILIES = [
    EULER,
    {"jump": "euler", "decay": "exact", "reset": "subtract"},
    {"jump": "exact", "decay": "exact", "reset": "subtract"},
    {"jump": "unit", "decay": "exact", "reset": "zero"},
]


def weights(*shape):
    """Return weights with three significant digits, so that no sum is near a threshold."""
    return np.round(RNG.normal(0.3, 0.5, shape), 3).astype(np.float32)


def assert_same_spikes(graph, shape, names, family=EULER, step_us=STEP_US, steps=12, **options):
    """Import ``graph`` and compare what the nodes ``names`` send; return the bundle."""
    bundle = import_nir(graph, timestep_us=STEP_US, step_us=step_us, **family, **options)
    inputs = RNG.integers(0, 2, (steps, *shape))
    delayed = options.get("reset_delay", False)
    expected = run_graph(graph, inputs, names, step_s=step_us / 1e6, delayed=delayed, **family)
    found = run_layers(bundle.model, inputs)
    for name in names:
        rows = expected[name].reshape(steps, -1)
        if isinstance(bundle.model.populations[bundle.model.index(name)].neuron, LI):
            np.testing.assert_allclose(found[name], rows, rtol=1e-5, atol=1e-6)
        else:
            assert rows.any(), "the case shows nothing"
            np.testing.assert_array_equal(found[name], rows)
    return bundle


def affine(out, size):
    return nir.Affine(weights(out, size), weights(out) / 10)


@pytest.mark.parametrize("family", FAMILIES)
def test_leaky_neurons(family):
    neurons = nir.LIF(
        tau=np.linspace(0.004, 0.02, 5),
        r=np.linspace(4, 9, 5),
        v_leak=np.full(5, 0.05),
        v_threshold=np.linspace(0.5, 1, 5),
    )
    bundle = assert_same_spikes(chain(affine(5, 7), neurons, shape=[7]), (7,), ["n1"], family)
    (connection,) = bundle.model.connections
    assert isinstance(connection, Dense)


@pytest.mark.parametrize("family", FAMILIES[:2])
def test_a_reset_may_take_effect_in_the_next_step(family):
    graph = chain(affine(5, 7), lif(5, r=9), shape=[7])
    bundle = assert_same_spikes(graph, (7,), ["n1"], family, reset_delay=True)
    assert bundle.model.populations[0].neuron.reset_delayed


def test_a_reset_to_a_value_shifts_the_potential():
    graph = chain(affine(5, 7), lif(5, r=9, v_leak=0.1, v_reset=-0.3), shape=[7])
    bundle = assert_same_spikes(graph, (7,), ["n1"])
    assert bundle.model.populations[0].neuron.v_threshold == 1.3


@pytest.mark.parametrize(("r", "weight"), [(2.0, 2.0), (1e6 / STEP_US, 1.0)])
def test_integrators_count_the_charge_of_a_spike_as_one_whatever_the_convention(r, weight):
    graph = chain(nir.Linear(np.ones((1, 1))), nir.IF(np.full(1, r), np.full(1, 3.0)), shape=[1])
    bundle = import_nir(graph, timestep_us=STEP_US, reset="subtract")
    assert bundle.model.connections[0].weight == [[weight]]
    assert bundle.model.populations[0].neuron.tau_mem_us == np.inf


@pytest.mark.parametrize("family", FAMILIES)
def test_current_based_neurons(family):
    full = [np.full(5, value) for value in (0.004, 0.008, 3.0, 0.0, 0.5, 0.0, 2.0)]
    graph = chain(affine(5, 7), nir.CubaLIF(*full), shape=[7])
    assert_same_spikes(graph, (7,), ["n1"], family)


def test_a_threshold_remembers_nothing():
    graph = chain(affine(5, 7), nir.Threshold(np.full(5, 0.8)), shape=[7])
    assert_same_spikes(graph, (7,), ["n1"])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("readout", [
    nir.LI(np.full(3, 0.006), np.full(3, 2.0), np.full(3, 0.1)),
    nir.I(np.full(3, 2.0)),
    nir.CubaLI(*[np.full(3, value) for value in (0.004, 0.006, 2.0, 0.0, 1.5)]),
])  # fmt: skip
def test_readouts_have_the_same_potentials(readout, family):
    graph = chain(affine(5, 7), lif(5, r=9), affine(3, 5), readout, shape=[7])
    bundle = assert_same_spikes(graph, (7,), ["n1", "n3"], family)
    assert isinstance(bundle.model.populations[1].neuron, LI)


def conv2d(out, each, kernel, stride=1, padding=0, dilation=1, groups=1):
    return nir.Conv2d(
        None, weights(out, each, *kernel), stride, padding, dilation, groups, weights(out) / 10
    )


@pytest.mark.parametrize(("node", "shape", "kind"), [
    (conv2d(3, 2, (3, 3), stride=(2, 1), padding=(1, 0)), (3, 3, 4), Conv2d),
    (conv2d(3, 2, (3, 3), padding="same"), (3, 5, 6), Conv2d),
    (conv2d(3, 2, (3, 2), padding="valid"), (3, 3, 5), Conv2d),
    (conv2d(4, 1, (2, 3), groups=2), (4, 4, 4), Sparse),
    (conv2d(3, 2, (2, 2), dilation=(2, 3), padding=(1, 1)), (3, 5, 5), Sparse),
    (nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), (2, 2, 3), Sparse),
    (nir.AvgPool2d(np.array([3, 2]), np.array([1, 2]), np.array([1, 1])), (2, 5, 4), Sparse),
    (nir.Scale(weights(2, 5, 6)), (2, 5, 6), Sparse),
])  # fmt: skip
def test_maps_of_pictures(node, shape, kind):
    graph = chain(node, lif(shape, r=20, v_threshold=0.7), shape=[2, 5, 6])
    bundle = assert_same_spikes(graph, (2, 5, 6), ["n1"])
    assert type(bundle.model.connections[0]) is kind


@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d])
def test_a_pooling_alone_between_neurons_is_a_pool(kind):
    node = kind(np.array([2, 3]), np.array([1, 2]), np.array([0, 1]))
    integrators = nir.IF(np.full((2, 4, 3), 1.0), np.full((2, 4, 3), 0.9))
    graph = chain(node, integrators, shape=[2, 5, 6])
    bundle = assert_same_spikes(graph, (2, 5, 6), ["n1"])
    mode = "sum" if kind is nir.SumPool2d else "average"
    expected = Pool("input", "n1", mode, (2, 3), (1, 2), (0, 1))
    assert bundle.model.connections == (expected,)


@pytest.mark.parametrize("options", [
    {"stride": 2, "padding": 1, "dilation": 2, "groups": 1},
    {"stride": 1, "padding": "same", "dilation": 1, "groups": 2},
])  # fmt: skip
def test_convolutions_of_signals(options):
    groups = options["groups"]
    node = nir.Conv1d(None, weights(4, 2 // groups, 3), bias=weights(4) / 10, **options)
    shape = (4, 4 if options["stride"] == 2 else 9)
    graph = chain(node, lif(shape, r=20, v_threshold=0.7), shape=[2, 9])
    assert_same_spikes(graph, (2, 9), ["n1"])


def test_a_chain_becomes_one_connection():
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    flatten = nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1)
    graph = chain(
        conv2d(3, 2, (3, 3), padding=1), nir.Scale(weights(3, 5, 4)), pool, flatten,
        affine(6, 12), lif(6, r=20), shape=[2, 5, 4],
    )  # fmt: skip
    bundle = assert_same_spikes(graph, (2, 5, 4), ["n5"])
    (connection,) = bundle.model.connections
    assert isinstance(connection, Dense)


def test_neurons_may_follow_each_other_without_weights():
    graph = chain(lif(4, r=20, v_threshold=0.8), lif(4, r=15, v_threshold=0.8), shape=[4])
    bundle = assert_same_spikes(graph, (4,), ["n0", "n1"])
    assert all(isinstance(c, Sparse) for c in bundle.model.connections)


def test_each_delay_becomes_a_connection():
    delay = nir.Delay(np.array([0.0, 0.002, 0.002, 0.005], np.float32))
    graph = chain(lif(4, r=20, v_threshold=0.8), delay, affine(3, 4), lif(3, r=9), shape=[4])
    bundle = assert_same_spikes(graph, (4,), ["n0", "n3"], steps=20)
    assert [c.delay_us for c in bundle.model.connections] == [0, 0, 2000, 5000]


def test_equal_delays_keep_the_kind_of_connection():
    delay = nir.Delay(np.array([0.003]))
    graph = chain(delay, conv2d(3, 2, (3, 3)), lif((3, 3, 4), r=20), shape=[2, 5, 6])
    bundle = assert_same_spikes(graph, (2, 5, 6), ["n2"])
    (connection,) = bundle.model.connections
    assert isinstance(connection, Conv2d)
    assert connection.delay_us == 3000


def recurrent():
    graph = chain(affine(5, 4), lif(5, r=9), affine(3, 5), lif(3, r=9), shape=[4])
    graph.nodes["rec"] = affine(5, 5)
    graph.nodes["back"] = affine(5, 3)
    graph.edges += [("n1", "rec"), ("rec", "n1"), ("n3", "back"), ("back", "n1")]
    return graph


def test_what_leads_back_acts_a_step_later():
    bundle = assert_same_spikes(recurrent(), (4,), ["n1", "n3"], steps=20)
    delays = {(c.source, c.target): c.delay_us for c in bundle.model.connections}
    assert delays == {
        ("input", "n1"): 0, ("n1", "n1"): 1000, ("n3", "n1"): 1000, ("n1", "n3"): 0,
    }  # fmt: skip


def test_populations_are_ordered_by_their_distance_from_the_input():
    graph = chain(affine(5, 4), lif(5), affine(3, 5), lif(3), shape=[4])
    graph.nodes["a"] = affine(3, 4)  # A skip that does not make n3 first.
    graph.edges += [("input", "a"), ("a", "n3")]
    model = import_nir(graph, timestep_us=STEP_US, **EULER).model
    assert [p.name for p in model.populations] == ["n1", "n3"]
    assert all(c.delay_us == 0 for c in model.connections)


def test_biases_count_once_where_paths_join_and_in_each_place_where_they_part():
    graph = chain(affine(5, 4), lif(5, r=9), affine(3, 5), lif(3, r=9), shape=[4])
    graph.nodes["skip"] = affine(5, 4)
    graph.edges += [("input", "skip"), ("skip", "n2")]  # n2 receives spikes and an affine map
    assert_same_spikes(graph, (4,), ["n1", "n3"], steps=20)


def test_subgraphs_are_dissolved():
    inner = recurrent()
    edges = [("input", "sub"), ("sub", "output")]
    ends = {"input": nir.Input(np.array([4])), "output": nir.Output(np.array([3]))}
    outer = nir.NIRGraph({**ends, "sub": inner}, edges, {}, type_check=False)
    plain = import_nir(inner, timestep_us=STEP_US, **EULER).model
    nested = import_nir(outer, timestep_us=STEP_US, **EULER).model
    assert [p.name for p in nested.populations] == ["sub.n1", "sub.n3"]
    for one, other in zip(plain.connections, nested.connections, strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)


def test_one_value_holds_for_all_neurons():
    one = [np.array(value) for value in (0.01, 9.0, 0.0, 1.0)]
    graph = chain(affine(5, 7), nir.LIF(*one), shape=[7])
    assert import_nir(graph, timestep_us=STEP_US, **EULER).model.populations[0].shape == (5,)


def test_times_are_scaled_so_that_a_step_of_the_framework_is_a_timestep():
    delay = nir.Delay(np.array([0.0003]))
    graph = chain(delay, affine(5, 7), lif(5, tau=0.001, r=10), shape=[7])
    graph.nodes["n1"].bias[:] = 0
    bundle = assert_same_spikes(graph, (7,), ["n2"], step_us=100)
    assert bundle.model.connections[0].delay_us == 3000


def test_products_that_the_file_rounded_count_as_one():
    tau = np.full(1, np.float32(1e-4) / np.float32(1 - 0.7))
    r = (tau / np.float32(1e-4)).astype(np.float32)
    graph = chain(
        nir.Linear(np.full((1, 1), 0.3, np.float32)),
        nir.LIF(tau, r, np.zeros(1), np.ones(1)),
        shape=[1],
    )
    bundle = import_nir(graph, timestep_us=1000, step_us=100, jump="euler", reset="zero")
    assert bundle.model.connections[0].weight == np.float32(0.3)
    beta = np.exp(-1000 / bundle.model.populations[0].neuron.tau_mem_us)
    assert np.float32(beta) == np.float32(0.7)


def test_an_euler_step_as_long_as_the_time_constant_leaves_nothing():
    graph = chain(affine(5, 7), lif(5, tau=0.001, r=1, v_threshold=0.5), shape=[7])
    assert_same_spikes(graph, (7,), ["n1"])
