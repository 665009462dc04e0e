"""The paths between neurons in a NIR graph: which linear nodes lie between which populations."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from neuroasync import limits
from neuroasync.core.model.checks import printable
from neuroasync.errors import InterchangeError
from neuroasync.interchange.nir.graph import Graph
from neuroasync.interchange.nir.nodes import LINEAR, NEURONS, Node

__all__ = ["Path", "find_paths"]

_MAX_LENGTH = 2**20
"""Nodes of all paths together."""


@dataclass(frozen=True, eq=False)
class Path:
    """What lies between two neuron nodes, or between the input and one.

    Attributes:
        source: name of the node where the path begins: the Input or a neuron.
        chain: linear nodes in the order in which a spike passes them.
        biased: for each of them, whether its bias counts on this path. Where paths join, the bias
            of what follows counts once.
    """

    source: str
    chain: tuple[Node, ...] = ()
    biased: tuple[bool, ...] = ()


def find_paths(graph: Graph) -> dict[str, list[Path]]:
    """Return the paths to each neuron node and each Output.

    Raises:
        InterchangeError: linear nodes form a loop, or there are too many paths.
    """
    linear = {name: node for name, node in graph.nodes.items() if node.kind in LINEAR}
    sent: dict[str, list[Path]] = {
        node.name: [Path(node.name)] for node in graph.of_kind((*NEURONS, "Input"))
    }
    budget = _MAX_LENGTH
    for name in _in_order(graph, linear):
        received = _received(graph, sent, name)
        sent[name] = [
            Path(path.source, (*path.chain, linear[name]), (*path.biased, k == 0))
            for k, path in enumerate(received)
        ]
        budget -= sum(len(path.chain) for path in sent[name])
        if len(received) > limits.MAX_CONNECTIONS or budget < 0:
            raise linear[name].error("too many paths lead through it")
    ends = graph.of_kind((*NEURONS, "Output"))
    return {node.name: _received(graph, sent, node.name) for node in ends}


def _received(graph: Graph, sent: Mapping[str, list[Path]], name: str) -> list[Path]:
    return [path for source in graph.sources[name] for path in sent[source]]


def _in_order(graph: Graph, linear: Mapping[str, Node]) -> list[str]:
    """Return the linear nodes so that each follows the linear nodes that it receives from."""
    before = {name: [s for s in graph.sources[name] if s in linear] for name in linear}
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        loop = ", ".join(printable(name) for name in error.args[1][:8])
        raise InterchangeError(f"nodes form a loop without neurons: {loop:.200}") from error
