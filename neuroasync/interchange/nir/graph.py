"""A NIR graph as plain data: nodes, and edges between them, with all subgraphs dissolved."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from neuroasync.core.model.checks import printable
from neuroasync.errors import InterchangeError
from neuroasync.interchange.nir.bundle_metadata import METADATA_KEY
from neuroasync.interchange.nir.hdf5 import Tree
from neuroasync.interchange.nir.nodes import Node, node_of

__all__ = ["Graph", "graph_of"]

_MAX_NODES: Final = 2**16
_MAX_EDGES: Final = 2**17
_MAX_DEPTH: Final = 16
"""Nesting depth of subgraphs."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph without subgraphs.

    Attributes:
        nodes: the nodes by name.
        sources: for each node, the names of the nodes whose outputs it receives.
        metadata: what neuroasync wrote into the metadata of the graph.
    """

    nodes: Mapping[str, Node]
    sources: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Any]

    def of_kind(self, kinds: Iterable[str]) -> list[Node]:
        """Return the nodes of these types, in the order of their names."""
        wanted = frozenset(kinds)
        return [node for node in self.nodes.values() if node.kind in wanted]


def graph_of(tree: Tree) -> Graph:
    """Return the graph that a tree describes.

    Raises:
        InterchangeError: the tree is not a valid graph.
    """
    if (kind := _text(tree.get("type"))) != "NIRGraph":
        raise InterchangeError(f"there must be a graph (NIRGraph), got a node of type {kind!r:.80}")
    builder = _Builder()
    builder.add("", tree, 1)
    sources = builder.joined()
    nodes = {name: builder.nodes[name] for name in sorted(builder.nodes, key=_natural)}
    return Graph(nodes, sources, _metadata(tree))


class _Builder:
    """Collects the nodes and edges of a graph and of its subgraphs.

    The Input and Output of a subgraph do not become nodes, and edges to them
    continue to the nodes that they lead to.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._edges: list[tuple[str, str]] = []
        self._subgraph_ends: set[str] = set()

    def add(self, prefix: str, tree: Tree, depth: int) -> tuple[list[str], list[str]]:
        """Add a graph whose nodes get ``prefix``; return the names of its Inputs and Outputs."""
        where = f"subgraph {printable(prefix[:-1])!r}" if prefix else "the graph"
        if depth > _MAX_DEPTH:
            raise InterchangeError(f"{where} is nested deeper than {_MAX_DEPTH} subgraphs")
        inner = tree.get("nodes")
        if not isinstance(inner, dict) or not inner:
            raise InterchangeError(f"{where} has no nodes")
        enters: dict[str, str] = {}
        leaves: dict[str, str] = {}
        inputs: list[str] = []
        outputs: list[str] = []
        for key, fields in inner.items():
            name = f"{prefix}{key}"
            if not isinstance(fields, dict):
                raise InterchangeError(f"node {printable(name)!r} must be a map of fields")
            kind = _text(fields.get("type"))
            if kind == "NIRGraph":
                enters[key], leaves[key] = self._add_subgraph(name, fields, depth)
                continue
            self._add_node(name, kind, fields, is_inner=bool(prefix))
            enters[key] = leaves[key] = name
            if kind in ("Input", "Output"):
                (inputs if kind == "Input" else outputs).append(name)
        for source, target in _edges(where, tree.get("edges")):
            for end in (source, target):
                if end not in inner:
                    raise InterchangeError(f"{where} has an edge to {end!r:.80}, but no such node")
            self._edges.append((leaves[source], enters[target]))
        if len(self._edges) > _MAX_EDGES:
            raise InterchangeError(f"the graph has more than {_MAX_EDGES} edges")
        return inputs, outputs

    def _add_subgraph(self, name: str, fields: Tree, depth: int) -> tuple[str, str]:
        inputs, outputs = self.add(f"{name}.", fields, depth + 1)
        if len(inputs) != 1 or len(outputs) != 1:
            raise InterchangeError(
                f"subgraph {printable(name)!r} must have one Input and one Output, "
                f"got {len(inputs)} and {len(outputs)}"
            )
        return inputs[0], outputs[0]

    def _add_node(self, name: str, kind: str, fields: Tree, is_inner: bool) -> None:
        if name in self.nodes:
            raise InterchangeError(f"two nodes have the name {printable(name)!r}")
        self.nodes[name] = node_of(name, kind, fields, _metadata(fields))
        if is_inner and kind in ("Input", "Output"):
            self._subgraph_ends.add(name)
        if len(self.nodes) > _MAX_NODES:
            raise InterchangeError(f"the graph has more than {_MAX_NODES} nodes")

    def joined(self) -> dict[str, tuple[str, ...]]:
        """Return the sources of each node; remove the ends of subgraphs."""
        sources: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in dict.fromkeys(self._edges):
            sources[target].append(source)
        joined = {
            name: tuple(
                sorted(_without_subgraph_ends(name, sources, self._subgraph_ends), key=_natural)
            )
            for name in self.nodes
            if name not in self._subgraph_ends
        }
        for name in self._subgraph_ends:
            del self.nodes[name]
        return joined


def _without_subgraph_ends(name: str, sources: Mapping[str, list[str]], ends: set[str]) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(sources[name])
    while waiting:
        source = waiting.pop()
        if source not in ends:
            found.add(source)
        elif source not in seen:
            seen.add(source)
            waiting += sources[source]
    return found


def _edges(where: str, edges: Any) -> list[tuple[str, str]]:
    try:
        return [(_text(source), _text(target)) for source, target in edges]
    except (TypeError, ValueError):
        raise InterchangeError(f"{where} must have a list of edges, pairs of names") from None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _metadata(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what neuroasync wrote into the metadata; nothing if there is none."""
    metadata = fields.get("metadata")
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if text is None:
        return {}
    try:
        content = json.loads(_text(text))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InterchangeError(f"the metadata {METADATA_KEY!r} must be a JSON object")
    return content


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts ``2`` before ``10``."""
    return tuple(
        (int(part), "") if part.isdecimal() and len(part) < 18 else (-1, part)
        for part in re.split(r"(\d+)", name)
    )
