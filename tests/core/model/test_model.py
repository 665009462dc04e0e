"""Models: what is refused and why, what is frozen, ranks and counts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from neuroasync.core.model.connections import Conv2d, Dense, Sparse
from neuroasync.core.model.model import LIF, Model, Population
from neuroasync.errors import ModelError
from tests.helpers.malformed_files import rich_bundle
from tests.helpers.strategies import models

ONES = np.ones((2, 3), np.float32)


def small(**changes) -> Model:
    """Three inputs, two neurons."""
    fields = {
        "timestep_us": 100,
        "input_shape": (3,),
        "populations": (Population("a", (2,)),),
        "connections": (Dense("input", "a", ONES),),
        "output": "a",
    }
    return Model(**(fields | changes))


def neuron(**changes) -> dict:
    return {"populations": (Population("a", (2,), LIF(**changes)),)}


def named(*names) -> dict:
    return {"populations": tuple(Population(name, (2,)) for name in names)}


def dense(**changes) -> dict:
    return {"connections": (replace(Dense("input", "a", ONES), **changes),)}


def sparse(indptr=(0, 1, 2, 2), indices=(0, 1), weight=(1.0, 2.0)) -> dict:
    c = Sparse("input", "a", np.array(indptr), np.array(indices, np.int64), np.array(weight))
    return {"connections": (c,)}


def conv(target=(2, 3, 3), **changes) -> dict:
    c = Conv2d("input", "a", np.ones((2, 1, 2, 2)))
    return {
        "input_shape": (1, 4, 4),
        "populations": (Population("a", target),),
        "connections": (replace(c, **changes),),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timestep_us": -1}, r"^timestep_us: -1, expected an integer from 0 to 90071992547"),
        ({"timestep_us": 1.0}, r"^timestep_us: 1.0, expected an integer"),
        ({"timestep_us": True}, r"^timestep_us: True, expected an integer"),
        ({"input_shape": ()}, r"^input.shape: \(\), expected 1 to 8 dimensions$"),
        ({"input_shape": [3]}, r"^input.shape: \[3\], expected 1 to 8 dimensions$"),
        ({"input_shape": (0,)}, r"^input.shape\[0\]: 0, expected an integer from 1 to 16777216$"),
        ({"input_shape": (2**13, 2**13)}, r"^input.shape: .* has 67108864 cells, the limit is"),
        ({"populations": ()}, r"^populations: 0 of them, expected 1 to 4096$"),
        ({"connections": ()}, r"^connections: 0 of them, expected 1 to 16384$"),
        ({"output": "b"}, r"^output: 'b' is no population; expected one of \['a'\]$"),
        (named("a", "a"), r"^populations\[1\].name: 'a' is used twice; expected a new name$"),
        (named("input"), r"^populations\[0\].name: 'input' is the network's input; expected"),
        (named(""), r"^populations\[0\].name: '', expected text of 1 to 128 characters$"),
        (named("a" * 129), r"^populations\[0\].name: 'a+, expected text of 1 to 128 characters$"),
        (named("\udc80"), r"^populations\[0\].name: '\\udc80', expected text that UTF-8 can enc"),
        (named(3), r"^populations\[0\].name: 3, expected text"),
        (
            {"populations": tuple(Population(n, (2**23,)) for n in "abc")},
            r"^populations: 25165824 neurons, the limit is 16777216$",
        ),
        (neuron(reset="none"), r"^populations\[0\].neuron.reset: 'none', expected one of \['zero'"),
        (neuron(refractory=1), r"^populations\[0\].neuron.refractory: 1, expected true or false$"),
        (neuron(sync_threshold=-1), r"^populations\[0\].neuron.sync_threshold: -1, expected an"),
        (neuron(tau_mem_us=0.0), r"^populations\[0\].neuron.tau_mem_us: 0.0, expected above 0"),
        (neuron(tau_mem_us=np.nan), r"^populations\[0\].neuron.tau_mem_us: nan, expected above 0"),
        (neuron(tau_mem_us=True), r"^populations\[0\].neuron.tau_mem_us: True, expected a number"),
        (neuron(tau_mem_us=np.bool_(1)), r"^populations\[0\].neuron.tau_mem_us: .*True.*, expecte"),
        (neuron(tau_mem_us=10**400), r"^populations\[0\].neuron.tau_mem_us: 1000+, expected a num"),
        (neuron(tau_mem_us="1"), r"^populations\[0\].neuron.tau_mem_us: '1', expected a number"),
        (neuron(tau_mem_us=np.ones(3)), r"^populations\[0\].neuron.tau_mem_us: shape \(3,\), expe"),
        (neuron(v_threshold=-1.0), r"^populations\[0\].neuron.v_threshold: -1.0, expected above 0"),
        (neuron(v_threshold=np.inf), r"^populations\[0\].neuron.v_threshold: inf, expected above"),
        (neuron(v_threshold=1e300), r"^populations\[0\].neuron.v_threshold: 1e\+300, expected ab"),
        (neuron(v_threshold=np.array([1, 1e300])), r"^populations\[0\].neuron.v_threshold: array"),
        (neuron(v_threshold=np.array([1, 0])), r"^populations\[0\].neuron.v_threshold: array"),
        (dense(source="b"), r"^connections\[0\].source: 'b' is unknown, expected one of \['input"),
        (dense(target="b"), r"^connections\[0\].target: 'b' is unknown, expected one of \['a'\]$"),
        (dense(target="input"), r"^connections\[0\].target: 'input' is unknown, expected one of"),
        (dense(delay_us=-100), r"^connections\[0\].delay_us: -100, expected µs from 0$"),
        (dense(delay_us=100.0), r"^connections\[0\].delay_us: 100.0, expected µs from 0$"),
        (dense(delay_us=150), r"^connections\[0\].delay_us: 150, expected a multiple of timestep"),
        (
            dense(weight=ONES.T),
            r"^connections\[0\].weight: shape \(3, 2\), expected \(2, 3\) "
            r"\(target 'a' has 2 neurons, source 'input' has 3\)$",
        ),
        (dense(weight=ONES * np.nan), r"^connections\[0\].weight\[0, 0\]: nan, expected a finite"),
        (
            dense(weight=np.full((2, 3), 1e300)),
            r"^connections\[0\].weight\[0, 0\]: inf, expected a finite",
        ),
        (dense(weight=ONES * 1j), r"^connections\[0\].weight: complex64 values, expected float32$"),
        (dense(weight=ONES.astype(str)), r"^connections\[0\].weight: <U32 values, expected float"),
        (dense(bias=np.ones(3)), r"^connections\[0\].bias: shape \(3,\), expected \(2,\)$"),
        (dense(bias=np.array([1, -np.inf])), r"^connections\[0\].bias\[1\]: -inf, expected a fin"),
        ({"connections": ("c",)}, r"^connections\[0\]: str, expected Dense, Conv2d or Sparse$"),
        (sparse(indptr=(0, 1, 2)), r"^connections\[0\].indptr: int64 of shape \(3,\), expected in"),
        (sparse(indptr=(0, 1, 2, 3)), r"^connections\[0\].indptr: expected to ascend from 0 to 2$"),
        (sparse(indptr=(0, 2, 1, 2)), r"^connections\[0\].indptr: expected to ascend from 0 to 2$"),
        (sparse(indptr=(1, 1, 2, 2)), r"^connections\[0\].indptr: expected to ascend from 0 to 2$"),
        (sparse(indices=(0, 2)), r"^connections\[0\].indices: out of range, expected 0 to 1$"),
        (sparse(indices=(-1, 1)), r"^connections\[0\].indices: out of range, expected 0 to 1$"),
        (
            sparse(indptr=(0, 2, 2, 2), indices=(1, 0)),
            r"^connections\[0\].indices: expected strictly ascending within a source$",
        ),
        (
            sparse(indptr=(0, 0, 2, 2), indices=(1, 1)),
            r"^connections\[0\].indices: expected strictly ascending within a source$",
        ),
        (sparse(weight=(1.0,)), r"^connections\[0\].weight: shape \(1,\), expected \(2,\) \(one p"),
        (
            conv(target=(18,)),
            r"^connections\[0\].target: 'a' has shape \(18,\), expected \[c, h, w",
        ),
        (
            conv(target=(2, 4, 4)),
            r"^connections\[0\].target: 'a' has shape .* expected \(2, 3, 3\)",
        ),
        (conv(stride=(0, 1)), r"^connections\[0\].stride: \(0, 1\), expected two integers from 1$"),
        (conv(stride=[1, 1]), r"^connections\[0\].stride: \[1, 1\], expected two integers from 1$"),
        (conv(padding=(0, -1)), r"^connections\[0\].padding: \(0, -1\), expected two integers fro"),
        (conv(weight=np.ones((2, 4))), r"^connections\[0\].weight: shape \(2, 4\), expected 4 dim"),
        (
            conv(weight=np.ones((2, 2, 2, 2))),
            r"^connections\[0\].weight: shape \(2, 2, 2, 2\), expected \(2, 1, 2, 2\) \(out, in",
        ),
        (
            conv(weight=np.ones((2, 1, 5, 1))),
            r"^connections\[0\].weight: kernel \(5, 1\), expected at most \(4, 4\)$",
        ),
        (conv(weight=np.ones((2, 1, 0, 2))), r"^connections\[0\].weight: kernel \(0, 2\), expect"),
    ],
)
def test_a_model_that_cannot_run_is_refused_with_path_and_expectation(changes, message):
    with pytest.raises(ModelError, match=message):
        small(**changes)


def test_arrays_are_copied_and_frozen():
    weight = ONES.copy()
    model = small(**dense(weight=weight))
    weight[:] = 7
    assert model.connections[0].weight.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        model.connections[0].weight[0, 0] = 7


def test_numbers_become_floats_and_arrays_float32():
    model = small(**neuron(tau_mem_us=5, v_threshold=np.array([1, 2])))
    assert type(model.populations[0].neuron.tau_mem_us) is float
    assert model.populations[0].neuron.v_threshold.dtype == np.float32


@settings(deadline=None)
@given(model=models())
def test_a_model_equals_one_made_of_the_same_parts(model):
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
def test_equality_sees_every_part(changes):
    assert small() == small()
    assert small(**changes) == small(**changes)
    assert small(**changes) != small()


def test_counts_of_a_model_worked_out_by_hand():
    model = rich_bundle().model
    assert model.size == 18 + 5 + 3
    assert model.input_size == 16
    assert model.starts == (0, 18, 23, 26)
    assert model.parameters == (8 + 2) + 4 + (15 + 3) + 25
    assert model.index("hidden") == 1
    with pytest.raises(ModelError, match=r"^no population 'x'; expected one of \['conv', 'hid"):
        model.index("x")


def chain(*edges, delays=()) -> Model:
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
