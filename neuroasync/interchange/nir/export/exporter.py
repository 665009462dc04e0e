"""Export a bundle as a NIR graph."""

import io
import os
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.checks import check_type, printable
from neuroasync.core.model.connections import INPUT, Connection, Conv1d, Conv2d, Pool
from neuroasync.core.model.model import Model, Population
from neuroasync.errors import InterchangeError
from neuroasync.interchange.nir.bundle_metadata import as_text, bundle_metadata
from neuroasync.interchange.nir.discretisation import Decay, Discretisation
from neuroasync.interchange.nir.export.linear_nodes import linear_node
from neuroasync.interchange.nir.export.neuron_nodes import neuron_metadata, neuron_node, refusal
from neuroasync.interchange.nir.nodes import Shape

if TYPE_CHECKING:
    import nir

__all__ = ["export_nir"]

_EVENT_STEP_US: Final = 1000.0
"""Step that a graph is written for if its bundle runs one forward pass per timestamp."""


def export_nir(bundle: Bundle, path: str | os.PathLike[str], *, decay: Decay = "exact") -> None:
    """Write a bundle as a NIR file. An existing file is replaced.

    The time constants and resistances are such that a spike of weight w moves a potential by w in
    a step of Euler's method, and that the potential decays as in the bundle. What NIR has no field
    for is kept in the metadata of the file, so that :func:`import_nir` gives the same bundle.

    Args:
        bundle: the bundle.
        path: path of the file.
        decay: how the reader computes the decay of a step: ``"exact"`` (sinabs, Rockpool), or
            ``"euler"`` (Norse, snnTorch).

    Raises:
        InterchangeError: NIR cannot express the network, or the file cannot be written. The
            message names the population or connection.
        ImportError: the package ``nir`` is not installed.
        TypeError: ``bundle`` is no bundle.
    """
    check_type("bundle", bundle, Bundle)
    try:
        import nir
    except ImportError as error:
        message = "writing NIR files requires nir: pip install 'neuroasync[nir]'"
        raise ImportError(message) from error
    step_us = float(bundle.model.timestep_us or _EVENT_STEP_US)
    how = Discretisation(bundle.model.timestep_us, step_us, "euler", decay)
    graph = _Exporter(bundle.model, how).graph(bundle_metadata(bundle, how))
    file = io.BytesIO()
    nir.write(file, graph)
    with atomic_file(path, InterchangeError) as output:
        output.write(file.getvalue())


class _Exporter:
    """Collects the nodes and edges of a model."""

    def __init__(self, model: Model, how: Discretisation) -> None:
        import nir

        self._nir = nir
        self._model = model
        self._how = how
        self._nodes: dict[str, nir.NIRNode] = {}
        self._edges: list[tuple[str, str]] = []
        self._populations = {p.name: p for p in model.populations}
        self._place = {p.name: k for k, p in enumerate(model.populations)}
        self._node_of: dict[str, str] = {INPUT: "input"}
        self._shapes: dict[str, Shape] = {INPUT: model.input_shape}

    def graph(self, parts: Mapping[str, Any]) -> "nir.NIRGraph":
        """Return the graph.

        Args:
            parts: what the metadata say about the whole bundle.

        Raises:
            InterchangeError: NIR cannot express the model.
        """
        model = self._model
        self._nodes["input"] = self._nir.Input(input_type=np.array(model.input_shape))
        for population in model.populations:
            self._add_population(population)
        for k, connection in enumerate(model.connections):
            self._add_connection(k, connection)
        shape = np.array(self._shapes[model.output])
        self._nodes["output"] = self._nir.Output(output_type=shape)
        self._edges.append((self._node_of[model.output], "output"))
        metadata = as_text({**parts, "output": "output"})
        return self._nir.NIRGraph(self._nodes, self._edges, metadata, type_check=False)

    def _add_population(self, population: Population) -> None:
        incoming = [c for c in self._model.connections if c.target == population.name]
        if not incoming:
            raise refusal(population.name, "it receives nothing, and NIR has no such neurons")
        flat = (population.size,)
        is_flat = (
            any(not isinstance(c, Conv1d | Conv2d | Pool) for c in incoming)
            or len(population.shape) == 1
        )
        convolved = [
            c
            for c in self._model.connections
            if isinstance(c, Conv1d | Conv2d | Pool) and population.name in (c.source, c.target)
        ]
        if is_flat and convolved:
            raise refusal(
                population.name,
                "it has a convolution or a pool, and receives another connection that is none, "
                "but NIR has no node that gives flat values a shape",
            )
        shape = flat if is_flat else population.shape
        metadata: dict[str, Any] = {
            "index": self._place[population.name],
            **neuron_metadata(population.neuron),
        }
        name = self._node_name(population.name)
        if name != population.name:
            metadata["name"] = population.name
        if shape != population.shape:
            metadata["shape"] = list(population.shape)
        self._node_of[population.name] = name
        self._shapes[population.name] = shape
        self._nodes[name] = neuron_node(population, shape, self._how, as_text(metadata))

    def _node_name(self, name: str) -> str:
        """Return a name that HDF5 allows and that no other node has."""
        is_free = name not in ("input", "output", ".", "..") and name not in self._nodes
        if is_free and not any(char in name for char in "/\0") and not _is_ours(name):
            return name
        return f"population_{self._place[name]}"

    def _add_connection(self, k: int, c: Connection) -> None:
        where = f"connections[{k}]"
        if c.bias is not None and c.bias.any() and not self._model.timestep_us:
            raise InterchangeError(
                f"`{where}` has a bias, which acts at each event because `timestep_us` is 0; in "
                "NIR, a bias acts all the time"
            )
        chain: list[tuple[str, nir.NIRNode]] = []
        if (delay_s := self._delay_s(where, c)) > 0:
            delays = np.full(self._shapes[c.source], delay_s)
            chain.append((f"delay_{k}", self._nir.Delay(delays)))
        shape = self._shapes[c.source]
        if not isinstance(c, Conv1d | Conv2d | Pool) and len(shape) > 1:
            flatten = self._nir.Flatten({"input": np.array(shape)}, 0, -1)
            chain.append((f"flatten_{k}", flatten))
        targets = self._populations[c.target].size
        chain.append((f"connection_{k}", linear_node(where, k, c, shape, targets)))
        self._nodes.update(chain)
        names = [self._node_of[c.source], *(name for name, _ in chain), self._node_of[c.target]]
        self._edges += pairwise(names)

    def _delay_s(self, where: str, c: Connection) -> float:
        """Return the delay that needs a node. A path that leads back has one step without one."""
        is_feedback = self._place.get(c.source, -1) >= self._place[c.target]
        if is_feedback and c.delay_us == 0:
            raise InterchangeError(
                f"`{where}` leads back from {printable(c.source)!r} to {printable(c.target)!r} and "
                "acts within the forward pass; in NIR, it acts a step later. Give it a delay of "
                "one timestep"
            )
        if is_feedback and c.delay_us == self._model.timestep_us:
            return 0.0
        return self._how.delay_s(c.delay_us)


def _is_ours(name: str) -> bool:
    """Return whether a name looks like those of the nodes between populations."""
    prefix, _, number = name.rpartition("_")
    ours = ("connection", "delay", "flatten", "population")
    return prefix in ours and number.isdecimal()
