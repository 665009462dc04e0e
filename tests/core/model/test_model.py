"""Models: rejection of invalid fields, immutability, ranks and counts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from neuroasync.core.model.connections import Conv2d, Dense, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import LIF
from neuroasync.core.model.topology import parse_topology
from neuroasync.errors import ModelError
from tests.helpers.malformed_files import rich_bundle
from tests.helpers.strategies import models

ONES = np.ones((2, 3), np.float32)


def small(**changes) -> Model:
    """Return a model of three inputs and two neurons."""
    fields = {
        "timestep_us": 100,
        "input_shape": (3,),
        "populations": (Population("a", (2,)),),
        "connections": (Dense("input", "a", ONES),),
        "output": "a",
    }
    return Model(**(fields | changes))


def neuron(**changes) -> dict:
    """Return model fields for one population with the given neuron parameters."""
    return {"populations": (Population("a", (2,), LIF(**changes)),)}


def named(*names) -> dict:
    """Return model fields for populations with the given names."""
    return {"populations": tuple(Population(name, (2,)) for name in names)}


def dense(**changes) -> dict:
    """Return model fields for one dense connection, with some fields replaced."""
    return {"connections": (replace(Dense("input", "a", ONES), **changes),)}


def sparse(indptr=(0, 1, 2, 2), indices=(0, 1), weight=(1.0, 2.0)) -> dict:
    """Return model fields for one sparse connection."""
    c = Sparse("input", "a", indptr, indices, np.array(weight))
    return {"connections": (c,)}


def conv(target=(2, 3, 3), **changes) -> dict:
    """Return model fields for one convolution, with some fields replaced."""
    c = Conv2d("input", "a", np.ones((2, 1, 2, 2)))
    return {
        "input_shape": (1, 4, 4),
        "populations": (Population("a", target),),
        "connections": (replace(c, **changes),),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timestep_us": -1}, r"^`timestep_us` must be an integer of at least 0, got -1$"),
        ({"timestep_us": 1.0}, r"^`timestep_us` must be an integer of at least 0, got 1\.0$"),
        ({"timestep_us": True}, r"^`timestep_us` must be an integer of at least 0, got True$"),
        ({"input_shape": ()}, r"^`input\.shape` must be a tuple of 1 to 8 integers, got \(\)$"),
        ({"input_shape": [3]}, r"^`input\.shape` must be a tuple of 1 to 8 integers, got \[3\]$"),
        ({"input_shape": (0,)}, r"^`input\.shape\[0\]` must be an integer from 1 to 16777216, got"),
        ({"input_shape": (2**13, 2**13)}, r"^`input\.shape` must be a shape of at most 16777216 e"),
        ({"populations": ()}, r"^`populations` must be a list of 1 to 4096 entries, got 0 entries"),
        ({"connections": ()}, r"^`connections` must be a list of 1 to 16384 entries, got 0 entrie"),
        (
            {"populations": None},
            r"^`populations` must be a tuple or list of 1 to 4096 entries, got N",
        ),
        ({"populations": Population("a", (2,))}, r"^`populations` must be .* got Population$"),
        ({"populations": ["a"]}, r"^`populations\[0\]` must be a Population, got str$"),
        (
            {"connections": None},
            r"^`connections` must be a tuple or list of 1 to 16384 entries, got",
        ),
        ({"output": "b"}, r"^`output` must be one of \['a'\], got 'b'$"),
        (named("a", "a"), r"^`populations\[1\]\.name` must be different from all names before it,"),
        (named("input"), r"^`populations\[0\]\.name` must be a name other than that of the networ"),
        (named(""), r"^`populations\[0\]\.name` must be text of 1 to 128 characters, got ''$"),
        (named("a" * 129), r"^`populations\[0\]\.name` must be text of 1 to 128 characters, got"),
        (named("\udc80"), r"^`populations\[0\]\.name` must be text that UTF-8 can encode, got '\\"),
        (named(3), r"^`populations\[0\]\.name` must be text of 1 to 128 characters, got 3$"),
        (
            {"populations": tuple(Population(n, (2**23,)) for n in "abc")},
            r"^`populations` must be at most 16777216 neurons in total, got 25165824 neurons$",
        ),
        (neuron(reset="no"), r"^`populations\[0\]\.neuron\.reset` must be one of \['zero', 'sub"),
        (neuron(refractory=1), r"^`populations\[0\]\.neuron\.refractory` must be true or false, g"),
        (neuron(sync_threshold=-1), r"^`populations\[0\]\.neuron\.sync_threshold` must be an inte"),
        (neuron(tau_mem_us=0.0), r"^`populations\[0\]\.neuron\.tau_mem_us` must be above 0 \(inf"),
        (neuron(tau_mem_us=np.nan), r"^`populations\[0\]\.neuron\.tau_mem_us` must be above 0 \(i"),
        (neuron(tau_mem_us=True), r"^`populations\[0\]\.neuron\.tau_mem_us` must be a number or a"),
        (neuron(tau_mem_us=np.bool_(1)), r"^`populations\[0\]\.neuron\.tau_mem_us` must be a numb"),
        (neuron(tau_mem_us=10**400), r"^`populations\[0\]\.neuron\.tau_mem_us` must be a number o"),
        (neuron(tau_mem_us="1"), r"^`populations\[0\]\.neuron\.tau_mem_us` must be a number or an"),
        (neuron(tau_mem_us=np.ones(3)), r"^`populations\[0\]\.neuron\.tau_mem_us` must be of shap"),
        (neuron(v_threshold=-1.0), r"^`populations\[0\]\.neuron\.v_threshold` must be above 0 and"),
        (neuron(v_threshold=np.inf), r"^`populations\[0\]\.neuron\.v_threshold` must be above 0 a"),
        (neuron(v_threshold=1e300), r"^`populations\[0\]\.neuron\.v_threshold` must be above 0 an"),
        (neuron(v_threshold=np.array([1, 1e300])), r"^`populations\[0\]\.neuron\.v_threshold` mus"),
        (neuron(v_threshold=np.array([1, 0])), r"^`populations\[0\]\.neuron\.v_threshold` must be"),
        (dense(source="b"), r"^`connections\[0\]\.source` must be one of \['input', 'a'\], got 'b"),
        (
            dense(source=["input"]),
            r"^`connections\[0\]\.source` must be one of .* got \['input'\]$",
        ),
        (
            dense(weight=[[1, 2, 3], [4]]),
            r"^`connections\[0\]\.weight` must be an array of float32",
        ),
        (dense(target="b"), r"^`connections\[0\]\.target` must be one of \['a'\], got 'b'$"),
        (dense(target="input"), r"^`connections\[0\]\.target` must be one of \['a'\], got 'input'"),
        (dense(delay_us=-100), r"^`connections\[0\]\.delay_us` must be an integer of at least 0"),
        (dense(delay_us=100.0), r"^`connections\[0\]\.delay_us` must be an integer of at least 0"),
        (dense(delay_us=150), r"^`connections\[0\]\.delay_us` must be a multiple of `timestep_us`"),
        (
            dense(weight=ONES.T),
            r"^`connections\[0\]\.weight` must be of shape \(2, 3\) \(target 'a' has 2 neurons, "
            r"source 'input' has 3\), got shape \(3, 2\)$",
        ),
        (dense(weight=ONES * np.nan), r"^`connections\[0\]\.weight\[0, 0\]` must be finite, got n"),
        (dense(weight=np.full((2, 3), 1e300)), r"^`connections\[0\]\.weight\[0, 0\]` must be fini"),
        (dense(weight=ONES * 1j), r"^`connections\[0\]\.weight` must be an array of float32, got"),
        (dense(weight=ONES.astype(str)), r"^`connections\[0\]\.weight` must be an array of float3"),
        (dense(bias=np.ones(3)), r"^`connections\[0\]\.bias` must be of shape \(2,\), got shape"),
        (dense(bias=np.array([1, -np.inf])), r"^`connections\[0\]\.bias\[1\]` must be finite, got"),
        (
            {"connections": ("c",)},
            r"^`connections\[0\]` must be a Dense, Conv1d, Conv2d, Pool or Sparse, got st",
        ),
        (
            sparse(indptr=(0, 1, 2)),
            r"^`connections\[0\]\.indptr` must be an integer array of shape",
        ),
        (sparse(indptr=[[0, 1], [2]]), r"^`connections\[0\]\.indptr` must be an integer array"),
        (sparse(indices=[[0], []]), r"^`connections\[0\]\.indices` must be an integer array, got"),
        (sparse(indptr=(0, 1, 2, 3)), r"^`connections\[0\]\.indptr` must ascend from 0 to 2$"),
        (sparse(indptr=(0, 2, 1, 2)), r"^`connections\[0\]\.indptr` must ascend from 0 to 2$"),
        (sparse(indptr=(1, 1, 2, 2)), r"^`connections\[0\]\.indptr` must ascend from 0 to 2$"),
        (  # the difference of the two in the middle does not fit into 32 bits
            sparse(indptr=(0, 2**31 - 1, -2, 2)),
            r"^`connections\[0\]\.indptr` must ascend from 0 to 2$",
        ),
        (sparse(indices=(0, 2)), r"^`connections\[0\]\.indices` must be integers from 0 to 1$"),
        (sparse(indices=(-1, 1)), r"^`connections\[0\]\.indices` must be integers from 0 to 1$"),
        (sparse(indptr=(0, 2, 2, 2), indices=(1, 0)), r"^`connections\[0\]\.indices` must be stri"),
        (sparse(indptr=(0, 0, 2, 2), indices=(1, 1)), r"^`connections\[0\]\.indices` must be stri"),
        (
            sparse(indices=(0, 2**32 + 1)),
            r"^`connections\[0\]\.indices` must be integers from 0 to 1$",
        ),
        (
            sparse(indptr=(0, 1, 2, 2**32 + 2)),
            r"^`connections\[0\]\.indptr` must ascend from 0 to 2$",
        ),
        (
            sparse(indices=np.broadcast_to(0, 2**31)),
            r"^`connections\[0\]\.indices` must be an array of at most 2147483647 synapses, got ",
        ),
        (sparse(weight=(1.0,)), r"^`connections\[0\]\.weight` must be of shape \(2,\) \(one per i"),
        (conv(target=(18,)), r"^`connections\[0\]\.target` must be a population of shape \[channe"),
        (conv(target=(2, 4, 4)), r"^`connections\[0\]\.target` must be a population of shape \(2,"),
        (conv(stride=(0, 1)), r"^`connections\[0\]\.stride` must be two integers from 1 to 104857"),
        (conv(stride=[1, 1]), r"^`connections\[0\]\.stride` must be two integers from 1 to 104857"),
        (conv(padding=(0, -1)), r"^`connections\[0\]\.padding` must be two integers from 0 to 104"),
        (conv(weight=np.ones((2, 4))), r"^`connections\[0\]\.weight` must be an array of 4 dimens"),
        (conv(weight=np.ones((2, 2, 2, 2))), r"^`connections\[0\]\.weight` must be of shape \(2,"),
        (conv(weight=np.ones((2, 1, 5, 1))), r"^`connections\[0\]\.weight` must be a kernel of at"),
        (conv(weight=np.ones((2, 1, 0, 2))), r"^`connections\[0\]\.weight` must be a kernel of at"),
    ],
)
def test_invalid_model_is_rejected_by_path(changes, message):
    with pytest.raises(ModelError, match=message):
        small(**changes)


def test_arrays_are_copied_and_frozen():
    weight = ONES.copy()
    model = small(**dense(weight=weight))
    weight[:] = 7
    assert model.connections[0].weight.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        model.connections[0].weight[0, 0] = 7


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
def test_positions_of_any_integer_type_take_32_bits(dtype):
    indptr, indices = np.array([0, 1, 2, 2], dtype), np.array([0, 1], dtype)
    model = small(connections=(Sparse("input", "a", indptr, indices, np.ones(2)),))
    stored = model.connections[0]
    assert stored.indptr.dtype == stored.indices.dtype == np.int32
    assert (stored.indptr.tolist(), stored.indices.tolist()) == ([0, 1, 2, 2], [0, 1])


def test_numbers_become_floats_and_arrays_float32():
    model = small(**neuron(tau_mem_us=5, v_threshold=np.array([1, 2])))
    assert type(model.populations[0].neuron.tau_mem_us) is float
    assert model.populations[0].neuron.v_threshold.dtype == np.float32


@settings(deadline=None)
@given(model=models())
def test_models_of_equal_fields_are_equal(model):
    fields = ("timestep_us", "input_shape", "populations", "connections", "output")
    assert Model(*(getattr(model, name) for name in fields)) == model
    assert replace(model, timestep_us=0) != model or model.timestep_us == 0


@pytest.mark.parametrize(
    "changes",
    [
        neuron(v_threshold=2.0),
        neuron(v_threshold=np.ones(2)),
        dense(weight=ONES * 2),
        dense(bias=np.zeros(2)),
        dense(delay_us=100),
        sparse(),
    ],
)
def test_equality_includes_every_field(changes):
    assert small() == small()
    assert small(**changes) == small(**changes)
    assert small(**changes) != small()


def test_a_model_decides_by_potential_if_its_output_never_fires():
    text = "timestep_us=1000 decay=0.9; input 3; hidden d2; output d2"
    assert not parse_topology(text).decides_by_potential
    assert parse_topology(f"{text} neuron=li").decides_by_potential


def test_counts_of_a_model_worked_out_by_hand():
    model = rich_bundle().model
    assert model.size == 18 + 5 + 3
    assert model.input_size == 16
    assert model.starts == (0, 18, 23, 26)
    assert model.parameters == (8 + 2) + 4 + (15 + 3) + 25
    assert model.index("hidden") == 1
    with pytest.raises(
        ModelError, match=r"^`population` must be one of \['conv', 'hidden', 'out'\], got 'x'$"
    ):
        model.index("x")


def chain(*edges, delays=()) -> Model:
    """Return a model of single neurons with the given (source, target) edges."""
    names = sorted({n for edge in edges for n in edge} - {"input"})
    one = np.ones((1, 1))
    connections = tuple(Dense(s, t, one, delay_us=100 * ((s, t) in delays)) for s, t in edges)
    return Model(100, (1,), tuple(Population(n, (1,)) for n in names), connections, names[0])


@pytest.mark.parametrize(
    ("edges", "delays", "ranks"),
    [
        ([("input", "a"), ("a", "b"), ("b", "c")], [], (0, 1, 2)),
        ([("input", "a"), ("a", "b"), ("b", "c"), ("a", "c")], [], (0, 1, 2)),  # longest path
        ([("input", "a"), ("a", "b"), ("b", "a"), ("b", "b")], [], (0, 1)),  # back edges
        ([("input", "a"), ("a", "b"), ("b", "c")], [("a", "b")], (0, 0, 1)),  # delays
        ([("input", "c"), ("c", "b"), ("b", "a")], [], (0, 0, 0)),  # all are back edges
    ],
)
def test_ranks_are_longest_paths_without_delays_and_back_edges(edges, delays, ranks):
    assert chain(*edges, delays=delays).ranks == ranks


def test_a_model_at_its_population_limit_is_checked_and_ranked_quickly():
    names = [f"p{k}" for k in range(4096)]
    ends = [("input", "p0"), *pairwise(names)] * 4
    one = np.ones((1, 1))
    populations = tuple(Population(n, (1,)) for n in names)
    model = Model(0, (1,), populations, tuple(Dense(s, t, one) for s, t in ends), "p0")
    assert model.ranks == tuple(range(4096))
