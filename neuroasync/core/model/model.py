"""The network as plain data: populations, neuron parameters, connections and ranks.

A :class:`Model` is immutable and is checked when it is created, so code that receives one can rely
on it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Self

from neuroasync import limits
from neuroasync.core.model.checks import (
    check_ints,
    check_shape,
    check_text,
    must_be,
    shown,
)
from neuroasync.core.model.connection_checks import check_connection, check_pools
from neuroasync.core.model.connections import INPUT, Connection
from neuroasync.core.model.neurons import LI, LIF, Neuron, check_neuron
from neuroasync.core.quantity import quantity
from neuroasync.errors import ModelError

__all__ = ["Model", "Population"]

_MAX_SIZES: Final = 8
"""Populations and input whose sizes a representation shows; the output's is always shown."""


@dataclass(frozen=True, slots=True)
class Population:
    """A group of neurons that share a neuron model and connections.

    Attributes:
        name: name of the population; unique in the network and not ``"input"``.
        shape: arrangement of the neurons, which are numbered in C order; ``(channels, height,
            width)`` for convolutions.
        neuron: parameters of the neurons.
    """

    name: str
    shape: tuple[int, ...]
    neuron: Neuron = field(default_factory=LIF)

    @property
    def size(self) -> int:
        """The number of neurons."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, repr=False)
class Model:
    """A network: its input, populations, connections and output.

    Attributes:
        timestep_us: bin Δt in which input events are gathered, in µs; 0 runs one forward pass per
            distinct timestamp.
        input_shape: shape of the input. Events address its elements by the flattened index, in C
            order.
        populations: the populations in declared order, which numbers the neurons and breaks ties.
        connections: the connections in declared order, in which their currents are summed.
        output: name of the population whose spikes are votes.

    Raises:
        ModelError: the description is inconsistent. The message starts with the path of the field.
    """

    timestep_us: int
    input_shape: tuple[int, ...]
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    output: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _places: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check all fields, and replace arrays by read-only C-contiguous ones."""
        check_ints(self, {"timestep_us": (0, limits.MAX_TIME_US)})
        input_shape = check_shape("input.shape", self.input_shape, limits.MAX_INPUTS)
        object.__setattr__(self, "input_shape", input_shape)
        _check_entries("populations", self.populations, limits.MAX_POPULATIONS)
        _check_entries("connections", self.connections, limits.MAX_CONNECTIONS)
        populations = tuple(_checked_population(k, p) for k, p in enumerate(self.populations))
        _check_names_and_size(populations)
        names = [p.name for p in populations]
        if self.output not in names:
            raise ModelError(must_be("output", f"one of {names!s:.200}", shown(self.output)))
        object.__setattr__(self, "populations", populations)
        object.__setattr__(self, "_starts", (0, *accumulate(p.size for p in populations)))
        object.__setattr__(self, "_places", {name: k for k, name in enumerate(names)})
        shapes = {INPUT: input_shape} | {p.name: p.shape for p in populations}
        connections = tuple(
            check_connection(f"connections[{k}]", c, shapes, self.timestep_us)
            for k, c in enumerate(self.connections)
        )
        check_pools(connections, shapes)
        object.__setattr__(self, "connections", connections)
        _check_sources(connections, populations)

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Return how to make an equal model of a pickle or a copy, with read-only arrays."""
        values = (self.timestep_us, self.input_shape, self.populations, self.connections)
        return type(self), (*values, self.output)

    def __repr__(self) -> str:
        """Return one line with the sizes, the timestep and the number of connections."""
        return (
            f"<Model {self.sizes}, timestep_us={self.timestep_us}, "
            f"{quantity(len(self.connections), 'connection')}, output={self.output!r}>"
        )

    @property
    def sizes(self) -> str:
        """The sizes of the input and of the populations as text, such as ``64-32-10``."""
        sizes = [str(n) for n in (self.input_size, *(p.size for p in self.populations))]
        shown = sizes if len(sizes) <= _MAX_SIZES else [*sizes[: _MAX_SIZES - 1], "..", sizes[-1]]
        return "-".join(shown)

    @property
    def size(self) -> int:
        """The number of neurons of the network, N."""
        return self._starts[-1]

    @property
    def input_size(self) -> int:
        """The number of input indices."""
        return math.prod(self.input_shape)

    @property
    def starts(self) -> tuple[int, ...]:
        """The network-wide index of each population's first neuron, followed by N."""
        return self._starts

    @property
    def decides_by_potential(self) -> bool:
        """Whether the output consists of leaky integrators, which never vote.

        The decision is then the class with the highest membrane potential at the end of a sample.
        """
        return isinstance(self.populations[self.index(self.output)].neuron, LI)

    @property
    def parameters(self) -> int:
        """The number of trained values: weights and biases."""
        return sum(c.weight.size + (0 if c.bias is None else c.bias.size) for c in self.connections)

    def index(self, name: str) -> int:
        """Return the position of the population ``name``.

        Raises:
            ModelError: no population has this name.
        """
        place = self._places.get(name) if isinstance(name, str) else None
        if place is None:
            names = [p.name for p in self.populations]
            raise ModelError(must_be("population", f"one of {names!s:.200}", shown(name)))
        return place

    @property
    def ranks(self) -> tuple[int, ...]:
        """The rank of each population: the length of its longest path from the input.

        Paths skip connections with a delay and back edges, which lead to a population declared
        earlier or to the same population. A population that is reached only by those has rank 0.
        """
        order = {INPUT: -1} | {p.name: k for k, p in enumerate(self.populations)}
        sources: dict[str, list[str]] = {p.name: [] for p in self.populations}
        for c in self.connections:
            if c.delay_us == 0 and order[c.source] < order[c.target]:
                sources[c.target].append(c.source)
        ranks = {INPUT: -1}
        # Back edges are left out, so the ranks of all sources are known before their target's.
        for name in sources:
            ranks[name] = max((ranks[source] + 1 for source in sources[name]), default=0)
        return tuple(ranks[p.name] for p in self.populations)


def _check_entries(path: str, entries: object, limit: int) -> None:
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        requirement = f"a tuple or list of 1 to {limit} entries"
        raise ModelError(must_be(path, requirement, type(entries).__name__))
    if not 1 <= len(entries) <= limit:
        requirement = f"a list of 1 to {limit} entries"
        raise ModelError(must_be(path, requirement, f"{len(entries)} entries"))


def _check_sources(
    connections: tuple[Connection, ...], populations: tuple[Population, ...]
) -> None:
    silent = {p.name for p in populations if isinstance(p.neuron, LI)}
    for k, connection in enumerate(connections):
        if connection.source in silent:
            requirement = "a population that can fire"
            got = f"{connection.source!r} of LI neurons"
            raise ModelError(must_be(f"connections[{k}].source", requirement, got))


def _check_names_and_size(populations: tuple[Population, ...]) -> None:
    seen: set[str] = set()
    for k, population in enumerate(populations):
        if population.name in seen:
            requirement = "different from all names before it"
            raise ModelError(must_be(f"populations[{k}].name", requirement, shown(population.name)))
        seen.add(population.name)
    if (total := sum(p.size for p in populations)) > limits.MAX_NEURONS:
        requirement = f"at most {limits.MAX_NEURONS} neurons in total"
        raise ModelError(must_be("populations", requirement, f"{total} neurons"))


def _checked_population(k: int, population: Population) -> Population:
    path = f"populations[{k}]"
    if not isinstance(population, Population):
        raise ModelError(must_be(path, "a Population", type(population).__name__))
    name = population.name
    if name == INPUT:
        requirement = "a name other than that of the network's input"
        raise ModelError(must_be(f"{path}.name", requirement, shown(name)))
    check_text(f"{path}.name", name, limits.MAX_NAME_CHARS)
    shape = check_shape(f"{path}.shape", population.shape, limits.MAX_NEURONS)
    neuron = check_neuron(f"{path}.neuron", population.neuron, shape)
    return Population(name, shape, neuron)
