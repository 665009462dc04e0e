"""What cannot be mapped exactly is refused, with an error that names the node."""

import nir
import numpy as np
import pytest

from neuroasync import InterchangeError
from neuroasync.interchange import import_nir
from tests.helpers.nir_graphs import chain, lif

EULER = {"jump": "euler", "reset": "zero"}
ONES = np.ones((3, 4), np.float32)


def plain(**changes):
    """Return a graph of an affine map and LIF neurons, with other nodes added or exchanged."""
    graph = chain(nir.Affine(ONES, np.zeros(3)), lif(3), shape=[4])
    graph.nodes |= changes
    return graph


def with_edges(graph, *edges):
    graph.edges += edges
    return graph


def without_edges(graph, *edges):
    graph.edges = [edge for edge in graph.edges if edge not in edges]
    return graph


def cuba(**changes):
    values = {"tau_syn": 0.01, "tau_mem": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}
    return nir.CubaLIF(**{key: np.full(3, v) for key, v in (values | changes).items()})


CASES = {
    "options": (plain(), {"timestep_us": None}, r"`timestep_us` must be given, because NIR"),
    "step": (plain(), {"timestep_us": 0}, r"with a timestep of 0, `step_us` must be given"),
    "jump": (plain(), {"jump": None}, r"node 'n1' \(LIF\): NIR does not say how far a spike"),
    "reset": (plain(), {"reset": None}, r"node 'n1' \(LIF\): NIR does not say what a reset does"),
    "delay_text": (plain(), {"reset_delay": "no"}, "`reset_delay` must be True, Fal"),
    "unknown": (plain(), {"jump": "eul"}, r"`jump` must be one of .*, got 'eul'; did you mean"),
    "negative": (plain(), {"step_us": -1}, r"`step_us` must be a number above 0 .*, got -1$"),
    "nan": (plain(), {"step_us": float("nan")}, r"`step_us` must be a number above 0 .*, got nan"),
    "bias": (
        plain(n0=nir.Affine(ONES, np.ones(3))), {"timestep_us": 0, "step_us": 100},
        r"population 'n1' has a bias, or a `v_leak` that is not its `v_reset`",
    ),
    "leak": (
        plain(n1=lif(3, v_leak=0.5)), {"timestep_us": 0, "step_us": 100},
        r"population 'n1' has a bias, or a `v_leak`",
    ),
    "tau": (plain(n1=lif(3, tau=-1)), {}, r"node 'n1' \(LIF\): `tau` must be above 0, got -1.0$"),
    "short tau": (
        plain(n1=lif(3, tau=0.0005)), {},
        r"node 'n1' \(LIF\): with decay 'euler', a time constant must be at least a step \(1000",
    ),
    "threshold": (
        plain(n1=lif(3, v_threshold=-1.0)), {},
        r"node 'n1' \(LIF\): `v_threshold` must be above `v_reset`, .*, got a distance of -1$",
    ),
    "reset value": (
        plain(n1=lif(3, v_reset=-0.5)), {"reset": "subtract"},
        r"node 'n1' \(LIF\): with reset 'subtract', `v_reset` must be 0",
    ),
    "infinite r": (
        plain(n1=lif(3, r=np.inf)), {},
        r"node 'n1' \(LIF\): `r` must be finite, got inf$",
    ),
    "infinite tau": (
        plain(n1=lif(3, tau=np.inf)), {},
        r"node 'n1' \(LIF\): `tau` must be finite, got inf; a neuron without leak is an IF node",
    ),
    "current event by event": (
        plain(n1=cuba()), {"timestep_us": 0, "step_us": 100},
        r"node 'n1' \(CubaLIF\): its current acts in each timestep",
    ),
    "current with leak": (
        plain(n1=cuba(v_leak=0.5)), {}, r"node 'n1' \(CubaLIF\): its `v_leak` must be its `v_reset`"
    ),
    "shape of weight": (
        plain(n0=nir.Linear(np.ones((3, 5)))), {},
        r"node 'n0' \(Linear\): its weight has shape \(3, 5\), which does not fit an input of "
        r"shape \(4,\)$",
    ),
    "missing flatten": (
        plain(input=nir.Input(np.array([2, 2]))), {},
        r"node 'n0' \(Affine\): .* of shape \(2, 2\); a Flatten node is missing$",
    ),
    "shape of neurons": (
        plain(n1=lif(5)), {},
        r"node 'n1' \(LIF\): it has neurons of shape \(5,\), but receives shape \(3,\)$",
    ),
    "delay": (
        chain(nir.Delay(np.array([0.0015])), nir.Linear(ONES), lif(3), shape=[4]), {},
        r"node 'n0' \(Delay\): a delay must be a multiple of the timestep, 1000 µs, got 1500 µs, "
        r"which leaves 500 µs$",
    ),
    "negative delay": (
        chain(nir.Delay(np.array([-0.001])), nir.Linear(ONES), lif(3), shape=[4]), {},
        r"node 'n0' \(Delay\): a delay of -0.001 s is out of range$",
    ),
    "delayed bias": (
        chain(nir.Affine(ONES, np.ones(3)), nir.Delay(np.full(3, 0.002)), lif(3), shape=[4]), {},
        r"node 'n1' \(Delay\): a bias must not lie before a Delay",
    ),
    "potential as input": (
        chain(
            nir.LI(*[np.full(4, value) for value in (0.01, 1.0, 0.0)]), nir.Linear(ONES), lif(3),
            shape=[4],
        ), {}, r"node 'n0' \(LI\): its output is a potential, which must lead to an Output",
    ),
    "no neuron at the end": (
        chain(nir.Linear(ONES), lif(3), nir.Linear(np.ones((2, 3))), shape=[4]), {},
        r"node 'output' \(Output\): a neuron must lead to it, got Linear$",
    ),
    "no neuron at all": (
        chain(nir.Linear(ONES), shape=[4]), {},
        r"node 'output' \(Output\): a neuron must lead to it, got Linear$",
    ),
    "two outputs": (
        with_edges(plain(more=nir.Output(np.array([3]))), ("n1", "more")), {},
        r"the graph must have one Output, got 'more', 'output'$",
    ),
    "two inputs": (
        with_edges(plain(more=nir.Input(np.array([4]))), ("more", "n0")), {},
        r"the graph must have one Input, got 'input', 'more'$",
    ),
    "no input": (
        without_edges(plain(), ("input", "n0")), {},
        r"node 'n0' \(Affine\): no path from the input leads to it$",
    ),
    "neurons without input": (
        without_edges(plain(), ("n0", "n1")), {}, r"node 'n1' \(LIF\): it receives nothing$"
    ),
    "loop": (
        with_edges(
            chain(nir.Linear(np.eye(3)), nir.Linear(np.eye(3)), lif(3), shape=[3]), ("n1", "n0")
        ), {}, r"nodes form a loop without neurons: n",
    ),
    "edge to nowhere": (
        with_edges(plain(), ("n1", "nobody")), {}, r"the graph has an edge to 'nobody', but no such"
    ),
    "two parts": (
        with_edges(
            plain(sub=nir.NIRGraph(
                {"a": nir.Input(np.array([3])), "b": nir.Input(np.array([3])),
                 "c": nir.Output(np.array([3]))}, [("a", "c"), ("b", "c")], {}, type_check=False,
            )), ("n1", "sub"),
        ), {}, r"subgraph 'sub' must have one Input and one Output, got 2 and 1$",
    ),
    "stride and same": (
        chain(
            nir.Conv2d(None, np.ones((1, 1, 3, 3)), 2, "same", 1, 1, np.zeros(1)), lif((1, 4, 4)),
            shape=[1, 4, 4],
        ), {}, r"node 'n0' \(Conv2d\): padding 'same' requires a stride of 1",
    ),
    "groups": (
        chain(
            nir.Conv2d(None, np.ones((3, 1, 2, 2)), 1, 0, 1, 2, np.zeros(3)), lif((3, 3, 3)),
            shape=[2, 4, 4],
        ), {}, r"node 'n0' \(Conv2d\): its weight has shape \(3, 1, 2, 2\) in 2 groups",
    ),
    "kernel": (
        chain(
            nir.SumPool2d(np.array([5, 5]), np.array([1, 1]), np.array([0, 0])), lif((1, 1, 1)),
            shape=[1, 4, 4],
        ), {}, r"node 'n0' \(SumPool2d\): its kernel \(5, 5\) is larger than its padded input",
    ),
    "overflow": (
        plain(n0=nir.Linear(ONES * 1e38), n1=lif(3, r=1e9)), {},
        r"the graph cannot become a bundle: `connections\[0\].weight\[0, 0\]` must be finite",
    ),
    "overflow of a product": (
        plain(n1=lif(3, r=1e308)), {"step_us": 1e9, "decay": "exact"},
        r"the graph cannot become a bundle: `connections\[0\].weight\[0, 0\]` must be finite",
    ),
    "name": (
        chain(nir.Linear(ONES), lif(3), shape=[4], names=["n0", "x" * 200]), {},
        r"the graph cannot become a bundle: `populations\[0\].name` must be text of 1 to 128",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_graph_that_cannot_be_mapped_is_refused(case):
    graph, options, message = CASES[case]
    with pytest.raises(InterchangeError, match=f"^{message}"):
        import_nir(graph, **{"timestep_us": 1000, **EULER, **options})


def test_unknown_types_of_nodes_are_named():
    tree = plain().to_dict()
    tree["nodes"]["n1"]["type"] = "Izhikevich"
    with pytest.raises(
        InterchangeError, match=r"^node 'n1' has the type 'Izhikevich', which cannot"
    ):
        import_nir(Tree(tree), timestep_us=1000, **EULER)


class Tree:
    """A graph that is given by its fields."""

    def __init__(self, tree):
        self.to_dict = lambda: tree


@pytest.mark.parametrize(("path", "value", "message"), [
    (("type",), "LIF", r"there must be a graph \(NIRGraph\), got a node of type 'LIF'$"),
    (("nodes",), None, r"the graph has no nodes$"),
    (("edges",), [("a",)], r"the graph must have a list of edges, pairs of names$"),
    (("edges",), 3, r"the graph must have a list of edges"),
    (("nodes", "n1"), 3, r"node 'n1' must be a map of fields$"),
    (("nodes", "n1", "tau"), None, r"node 'n1' \(LIF\): `tau` is missing$"),
    (("nodes", "n1", "tau"), "x", r"node 'n1' \(LIF\): `tau` must be numbers, got <U1 of shape"),
    (("nodes", "n1", "tau"), np.zeros(0), r"node 'n1' \(LIF\): `tau` must be numbers, got float64"),
    (("nodes", "n1", "r"), np.full(3, np.nan), r"node 'n1' \(LIF\): `r` must be finite, got nan$"),
    (("nodes", "n1", "r"), np.ones(2), r"node 'n1' \(LIF\): it has neurons of shape \(2,\)"),
    (("nodes", "n1", "tau"), np.ones(2), r"node 'n1' \(LIF\): `tau` must be of shape \(3,\), got"),
    (("nodes", "n0", "bias"), np.ones(2), r"node 'n0' \(Affine\): `bias` must have 3 values"),
    (("nodes", "input", "shape"), [2.5], r"node 'input' \(Input\): `shape` must be integers from"),
    (("nodes", "input", "shape"), [0], r"node 'input' \(Input\): `shape` must be integers from"),
    (("nodes", "input", "shape"), [2**13] * 2, r"node 'input' \(Input\): `shape` must be a shape"),
    (("metadata",), {"neuroasync": "{"}, r"the metadata 'neuroasync' must be a JSON object$"),
    (("metadata",), {"neuroasync": "[]"}, r"the metadata 'neuroasync' must be a JSON object$"),
    (("metadata",), {"neuroasync": '{"parts": "?"}'}, r"the metadata of neuroasync are damaged"),
    (("metadata",), {"neuroasync": '{"parts": "AAAA"}'}, r"the graph cannot become a bundle: "),
])  # fmt: skip
def test_damaged_trees_are_refused(path, value, message):
    tree = plain().to_dict()
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(InterchangeError, match=f"^{message}"):
        import_nir(Tree(tree), timestep_us=1000, **EULER)


@pytest.mark.parametrize("note", [
    '{"refractory": 1}', '{"reset_delayed": "yes"}', '{"name": 3}', '{"shape": [2, 2]}',
    '{"shape": "3"}', '{"shape": [-3, -1]}',
])  # fmt: skip
def test_damaged_metadata_of_a_node_are_refused(note):
    tree = plain().to_dict()
    tree["nodes"]["n1"]["metadata"] = {"neuroasync": note}
    with pytest.raises(
        InterchangeError, match=r"^node 'n1' \(LIF\): its metadata of neuroasync are"
    ):
        import_nir(Tree(tree), timestep_us=1000, **EULER)


@pytest.mark.parametrize(
    "note", ['{"kind": "sparse", "zeros": [99]}', '{"kind": "sparse", "zeros": 1}']
)
def test_damaged_metadata_of_a_connection_are_refused(note):
    tree = plain().to_dict()
    tree["nodes"]["n0"]["metadata"] = {"neuroasync": note}
    with pytest.raises(
        InterchangeError, match=r"^node 'n0' \(Affine\): its metadata of neuroasync"
    ):
        import_nir(Tree(tree), timestep_us=1000, **EULER)


def test_other_sources_are_a_wrong_argument():
    with pytest.raises(
        TypeError, match=r"^source must be a path, bytes or a nir.NIRGraph, got int$"
    ):
        import_nir(3, timestep_us=1)


def test_too_many_paths_are_refused():
    graph = chain(lif(1), shape=[1])
    graph.edges = [("input", "a0"), ("input", "b0"), ("n0", "output")]
    for k in range(40):
        graph.nodes |= {f"{side}{k}": nir.Linear(np.eye(1)) for side in "ab"}
        if k:
            graph.edges += [(f"{s}{k - 1}", f"{t}{k}") for s in "ab" for t in "ab"]
    graph.edges += [("a39", "n0"), ("b39", "n0")]
    with pytest.raises(InterchangeError, match=r"^node '[ab]\d+' \(Linear\): too many paths lead"):
        import_nir(graph, timestep_us=1000, **EULER)


def test_a_graph_that_grows_huge_from_little_is_refused():
    one = [np.array(value) for value in (0.01, 1.0, 0.0, 1.0)]
    graph = chain(*[nir.LIF(*one) for _ in range(9)], shape=[2**21])
    with pytest.raises(InterchangeError, match=r"^the graph has 18874368 neurons, the limit is"):
        import_nir(graph, timestep_us=1000, **EULER)
    graph = chain(*[nir.Scale(np.ones(1))] * 65, nir.LIF(*one), shape=[2**20])
    with pytest.raises(InterchangeError, match=r"^the nodes between neurons send 68157440 values"):
        import_nir(graph, timestep_us=1000, **EULER)


def test_connections_that_no_bundle_may_have_are_refused(monkeypatch):
    monkeypatch.setattr("neuroasync.limits.MAX_BUNDLE_BYTES", 40)
    with pytest.raises(InterchangeError, match=r"^the connections of the graph are larger than"):
        import_nir(plain(), timestep_us=1000, **EULER)


def test_long_chains_and_deep_subgraphs_are_no_recursion():
    graph = chain(*[nir.Scale(np.ones(1))] * 3000, lif(1), shape=[1])
    for _ in range(17):
        ends = {"input": nir.Input(np.array([1])), "output": nir.Output(np.array([1]))}
        graph = nir.NIRGraph(
            {**ends, "s": graph}, [("input", "s"), ("s", "output")], {}, type_check=False
        )
    with pytest.raises(InterchangeError, match=r"is nested deeper than 16 subgraphs$"):
        import_nir(graph, timestep_us=1000, **EULER)
