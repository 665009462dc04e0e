"""The order of the populations of an imported graph, which tells what leads back."""

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from neuroasync.interchange.nir.graph import Graph
from neuroasync.interchange.nir.nodes import NEURONS
from neuroasync.interchange.nir.paths import Path

__all__ = ["population_order"]


def population_order(graph: Graph, paths: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return the names of the neuron nodes; a path to the same or an earlier one leads back.

    A path leads back if a depth-first search from the input meets a node that it is still
    visiting. The nodes are sorted by their longest distance from the input over all other paths,
    and by name. Bundles that were exported keep their order.
    """
    names = [node.name for node in graph.of_kind(NEURONS)]
    places = [graph.nodes[name].metadata.get("index") for name in names]
    if all(type(place) is int for place in places) and len(set(places)) == len(places):
        return sorted(names, key=lambda name: graph.nodes[name].metadata["index"])
    forward = _forward_sources(names, paths)
    distance: dict[str, int] = {}
    for name in TopologicalSorter(forward).static_order():
        distance[name] = max((distance[source] + 1 for source in forward[name]), default=0)
    return sorted(names, key=distance.__getitem__)  # stable, so that equal ones stay sorted


def _forward_sources(
    names: Sequence[str], paths: Mapping[str, Sequence[Path]]
) -> dict[str, list[str]]:
    """Return the sources of each neuron node over paths that do not lead back."""
    targets: dict[str, list[str]] = {name: [] for name in names}
    entered = []
    for name in names:
        sources = {path.source for path in paths[name]}
        if sources - targets.keys():
            entered.append(name)
        for source in sources & targets.keys():
            targets[source].append(name)
    forward: dict[str, list[str]] = {name: [] for name in names}
    visiting: set[str] = set()
    done: set[str] = set()
    for root in (*entered, *names):
        stack = [] if root in done else [(root, iter(targets[root]))]
        visiting.update(name for name, _ in stack)
        while stack:
            name, remaining = stack[-1]
            target = next(remaining, None)
            if target is None:
                visiting.discard(name)
                done.add(name)
                stack.pop()
            elif target not in visiting:
                forward[target].append(name)
                if target not in done:
                    visiting.add(target)
                    stack.append((target, iter(targets[target])))
    return forward
