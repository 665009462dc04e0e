"""Import a NIR graph as a bundle."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from neuroasync import limits
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.checks import as_integer, printable
from neuroasync.core.model.connections import INPUT, Connection, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.core.model.neurons import Neuron
from neuroasync.errors import InterchangeError, ModelError
from neuroasync.interchange.nir.bundle_metadata import bundle_with_metadata
from neuroasync.interchange.nir.connections import Ends, connections_of
from neuroasync.interchange.nir.discretisation import Decay, Discretisation, Jump, Reset
from neuroasync.interchange.nir.graph import Graph, graph_of
from neuroasync.interchange.nir.hdf5 import read_tree
from neuroasync.interchange.nir.neurons import Neurons, neurons_of
from neuroasync.interchange.nir.nodes import NEURONS, SPIKING, Node, Shape
from neuroasync.interchange.nir.order import population_order
from neuroasync.interchange.nir.paths import Path, find_paths
from neuroasync.interchange.nir.shapes import infer_shapes

if TYPE_CHECKING:
    import nir

__all__ = ["import_nir"]

_LEAKY: Final = ("CubaLI", "CubaLIF", "LI", "LIF")

_MAX_ELEMENTS: Final = 2**26
"""Values that all linear nodes send, counted for each path."""


def import_nir(
    source: "str | os.PathLike[str] | bytes | nir.NIRGraph",
    *,
    timestep_us: int | None = None,
    step_us: float | None = None,
    jump: Jump | None = None,
    decay: Decay | None = None,
    reset: Reset | None = None,
    reset_delay: bool | None = None,
    max_bytes: int = limits.MAX_BUNDLE_BYTES,
) -> Bundle:
    """Return the bundle of a NIR graph. A file is not trusted, and nothing in it is executed.

    NIR leaves open how its equations become steps in time. The arguments say it; those of files
    that :func:`export_nir` wrote may be left out. The guide "Interchange with NIR" lists what
    other frameworks need.

    Args:
        source: path of a NIR file, its content, or a graph of the package ``nir``.
        timestep_us: timestep Δt of the bundle, in µs; 0 runs one forward pass per distinct
            timestamp.
        step_us: step that the exporting framework computes with, in µs. Default: ``timestep_us``.
            If both differ and ``timestep_us`` is not 0, all times of the file are scaled, so that
            a step of the framework is a timestep of the bundle.
        jump: how far a spike of weight w moves a potential: ``"euler"`` by ``step / tau * r * w``,
            ``"exact"`` by ``(1 - exp(-step / tau)) * r * w``, ``"unit"`` by ``r * w``. Required if
            a neuron leaks.
        decay: by which factor a potential decays in a step: ``"euler"`` by ``1 - step / tau``,
            ``"exact"`` by ``exp(-step / tau)``. Default: as ``jump``; for ``"unit"``, exact.
        reset: what a spike does to the potential of its neuron, ``"zero"`` or ``"subtract"``.
            Required if a neuron spikes.
        reset_delay: whether the reset takes effect in the next step, after the decay. Default:
            False.
        max_bytes: maximum size of a file, and of all values in it, in bytes.

    Raises:
        InterchangeError: the file is missing, damaged or too large, or the graph cannot be mapped
            exactly. The message names the node.
        ImportError: a file is to be read and h5py is not installed.
    """
    if isinstance(source, str | os.PathLike | bytes):
        tree = read_tree(source, max_bytes)
    elif hasattr(source, "to_dict"):
        tree = source.to_dict()
    else:
        raise TypeError(
            f"source must be a path, bytes or a nir.NIRGraph, got {type(source).__name__}"
        )
    graph = graph_of(tree)
    chosen = {"timestep_us": timestep_us, "step_us": step_us, "jump": jump, "decay": decay}
    how = replace(_discretisation(graph, chosen), reset=reset, reset_delay=reset_delay)
    try:
        # Numbers that overflow become inf or NaN, which the checks of the model find.
        with np.errstate(all="ignore"):
            model = _model(graph, how)
        return bundle_with_metadata(model, graph.metadata, how)
    except ModelError as error:
        raise InterchangeError(f"the graph cannot become a bundle: {error}") from error


def _discretisation(graph: Graph, chosen: Mapping[str, Any]) -> Discretisation:
    """Return the arguments, completed by what an exported file says, and by defaults."""
    found: dict[str, Any] = {
        key: graph.metadata.get(key) if v is None else v for key, v in chosen.items()
    }
    if found["timestep_us"] is None:
        raise InterchangeError("`timestep_us` must be given, because NIR does not store it")
    if found["step_us"] is None:
        if found["timestep_us"] == 0:
            raise InterchangeError(
                "with a timestep of 0, `step_us` must be given: the step that the exporting "
                "framework computes with, which NIR does not store"
            )
        found["step_us"] = found["timestep_us"]
    if found["jump"] is None:
        if leaky := graph.of_kind(_LEAKY):
            raise leaky[0].error(
                "NIR does not say how far a spike moves the potential: choose the jump 'euler' "
                "(Norse, snnTorch and most others), 'exact' or 'unit'"
            )
        found["jump"] = "unit"
    if found["decay"] is None:
        found["decay"] = "euler" if found["jump"] == "euler" else "exact"
    return Discretisation(**found)


def _model(graph: Graph, how: Discretisation) -> Model:
    inputs = graph.of_kind(("Input",))
    if len(inputs) != 1:
        names = ", ".join(repr(printable(node.name)) for node in inputs) or "none"
        raise InterchangeError(f"the graph must have one Input, got {names:.200}")
    shapes = infer_shapes(graph)
    if len(graph.of_kind(NEURONS)) > limits.MAX_POPULATIONS:
        raise InterchangeError(f"the graph has more than {limits.MAX_POPULATIONS} neuron nodes")
    paths = find_paths(graph)
    _check_size(graph, shapes, paths)
    order = population_order(graph, paths)
    neurons = {}
    for name in order:
        with graph.nodes[name].named_in_errors():
            neurons[name] = neurons_of(graph.nodes[name], shapes[name], how)
    populations = {
        name: _population(graph.nodes[name], shapes[name], neurons[name].neuron) for name in order
    }
    output = populations[_output(graph, paths)].name
    connections = _connections(graph, paths, shapes, neurons, populations, how)
    return Model(
        how.timestep_us, shapes[inputs[0].name], tuple(populations.values()), connections, output
    )


def _check_size(
    graph: Graph, shapes: Mapping[str, Shape], paths: Mapping[str, Sequence[Path]]
) -> None:
    """Raise InterchangeError if a graph would take too much memory or time."""
    neurons = sum(math.prod(shapes[node.name]) for node in graph.of_kind(NEURONS))
    if neurons > limits.MAX_NEURONS:
        raise InterchangeError(
            f"the graph has {neurons} neurons, the limit is {limits.MAX_NEURONS}"
        )
    elements = sum(
        math.prod(shapes[node.name])
        for found in paths.values()
        for path in found
        for node in path.chain
    )
    if elements > _MAX_ELEMENTS:
        raise InterchangeError(
            f"the nodes between neurons send {elements} values, the limit is {_MAX_ELEMENTS}"
        )


def _population(node: Node, shape: Shape, neuron: Neuron) -> Population:
    """Return the population of a node, with the name and shape that an exported one had."""
    name = node.metadata.get("name", node.name)
    stored = node.metadata.get("shape", shape)
    extents = [as_integer(n) for n in stored] if isinstance(stored, list | tuple) else []
    valid = tuple(n for n in extents if n is not None and n > 0)
    if (
        not isinstance(name, str)
        or len(valid) != len(extents)
        or math.prod(valid) != math.prod(shape)
    ):
        raise node.error("its metadata of neuroasync are damaged (name or shape)")
    parameters: dict[str, Any] = {
        f.name: value.reshape(valid)
        for f in fields(neuron)
        if isinstance(value := getattr(neuron, f.name), np.ndarray)
    }
    return Population(name, valid, replace(neuron, **parameters))


def _connections(
    graph: Graph,
    paths: Mapping[str, Sequence[Path]],
    shapes: Mapping[str, Shape],
    neurons: Mapping[str, Neurons],
    populations: Mapping[str, Population],
    how: Discretisation,
) -> tuple[Connection, ...]:
    """Return the connections, sorted by target and source, or as an exported bundle had them."""
    place = {name: k for k, name in enumerate(populations)}
    found: list[tuple[tuple[int, ...], Connection]] = []
    left = limits.MAX_BUNDLE_BYTES
    for target, population in populations.items():
        if not paths[target]:
            raise graph.nodes[target].error("it receives nothing")
        offset = neurons[target].offset.ravel()
        for path in paths[target]:
            _check_sends_spikes(graph.nodes[path.source])
            begin = place.get(path.source, -1)
            source = INPUT if begin < 0 else populations[path.source].name
            ends = Ends(
                source, population.name, shapes[path.source], shapes[target],
                neurons[target].gain.ravel(), offset, begin >= place[target],
            )  # fmt: skip
            stored = (node.metadata.get("index") for node in path.chain)
            known = [n for n in stored if type(n) is int]
            key = (0, known[0]) if known else (1, place[target], begin)
            for connection in connections_of(path, ends, shapes, how):
                found.append((key, connection))
                left -= _bytes_of(connection, left)
            offset = 0 * offset  # counted once
    for _, connection in found:
        if how.timestep_us == 0 and connection.bias is not None and connection.bias.any():
            raise InterchangeError(
                f"population {printable(connection.target)!r} has a bias, or a `v_leak` that is "
                "not its `v_reset`: these act in each step, so they require a timestep above 0"
            )
    return tuple(connection for _, connection in sorted(found, key=lambda entry: entry[0]))


def _bytes_of(connection: Connection, left: int) -> int:
    """Return the size of a connection in a bundle.

    Raises:
        InterchangeError: it is more than what is left.
    """
    # The index of a synapse takes twice as many bytes as its weight.
    size = connection.weight.nbytes * (3 if isinstance(connection, Sparse) else 1)
    if size > left:
        raise InterchangeError(
            "the connections of the graph are larger than a bundle may be "
            f"({limits.MAX_BUNDLE_BYTES} bytes)"
        )
    return size


def _check_sends_spikes(node: Node) -> None:
    if node.kind not in (*SPIKING, "Input"):
        raise node.error("its output is a potential, which must lead to an Output and nowhere else")


def _output(graph: Graph, paths: Mapping[str, Sequence[Path]]) -> str:
    """Return the name of the neuron node whose spikes are votes."""
    outputs = graph.of_kind(("Output",))
    stored = graph.metadata.get("output")
    if len(outputs) > 1 and isinstance(stored, str):
        outputs = [node for node in outputs if node.name == stored]
    if len(outputs) != 1:
        names = ", ".join(repr(printable(node.name)) for node in outputs) or "none"
        raise InterchangeError(f"the graph must have one Output, got {names:.200}")
    (node,) = outputs
    if len(paths[node.name]) != 1:
        raise node.error(f"one node must lead to it, got {len(paths[node.name])}")
    (path,) = paths[node.name]
    last = graph.nodes[path.source]
    if last.kind not in NEURONS or any(step.kind != "Flatten" for step in path.chain):
        kind = path.chain[-1].kind if path.chain else last.kind
        raise node.error(f"a neuron must lead to it, got {kind}")
    return path.source
