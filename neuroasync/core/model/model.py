"""The network as plain data: populations, neuron parameters, connections and ranks.

A :class:`Model` is immutable and is checked when it is created, so code that receives one can rely
on it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.core.immutable import immutable_copy
from neuroasync.core.model.checks import (
    check_int,
    check_ints,
    check_shape,
    check_text,
    must_be,
    shown,
)
from neuroasync.core.model.connections import INPUT, Connection, check_connection, same_fields
from neuroasync.core.quantity import quantity
from neuroasync.errors import ModelError

__all__ = ["LIF", "Model", "Population"]

_MAX_SIZES: Final = 8
"""Populations and input whose sizes a representation shows; the output's is always shown."""

RESETS: Final = ("zero", "subtract")
"""What a reset can do to the membrane potential."""


@dataclass(frozen=True, slots=True, eq=False)
class LIF:
    """Parameters of leaky integrate-and-fire neurons.

    Attributes:
        tau_mem_us: membrane time constant in µs: one number, or f32 of the population's shape.
            ``inf`` means no leak.
        v_threshold: threshold of the membrane potential: one number, or f32 of the population's
            shape. A neuron fires when its potential is strictly above the threshold.
        reset: ``"zero"`` sets the membrane potential to 0 after a spike, ``"subtract"`` subtracts
            the threshold from it.
        refractory: whether a neuron fires at most once per forward pass.
        sync_threshold: number of spikes that a neuron must have received in the forward pass
            before it may fire; 0 turns this rule off.
    """

    tau_mem_us: float | NDArray[np.float32] = math.inf
    v_threshold: float | NDArray[np.float32] = 1.0
    reset: Literal["zero", "subtract"] = "zero"
    refractory: bool = True
    sync_threshold: int = 0

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


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
    neuron: LIF = field(default_factory=LIF)

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
        """Check all fields, and replace arrays by C-contiguous ones that nobody can write."""
        check_ints(self, {"timestep_us": (0, limits.MAX_TIME_US)})
        input_shape = check_shape("input.shape", self.input_shape, limits.MAX_INPUTS)
        object.__setattr__(self, "input_shape", input_shape)
        _check_count("populations", len(self.populations), limits.MAX_POPULATIONS)
        _check_count("connections", len(self.connections), limits.MAX_CONNECTIONS)
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
        object.__setattr__(self, "connections", connections)

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


def _check_count(path: str, count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise ModelError(must_be(path, f"a list of 1 to {limit} entries", f"{count} entries"))


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
    name = population.name
    if name == INPUT:
        requirement = "a name other than that of the network's input"
        raise ModelError(must_be(f"{path}.name", requirement, shown(name)))
    check_text(f"{path}.name", name, limits.MAX_NAME_CHARS)
    shape = check_shape(f"{path}.shape", population.shape, limits.MAX_NEURONS)
    neuron = _checked_neuron(f"{path}.neuron", population.neuron, shape)
    return Population(name, shape, neuron)


def _checked_neuron(path: str, neuron: LIF, shape: tuple[int, ...]) -> LIF:
    if neuron.reset not in RESETS:
        raise ModelError(must_be(f"{path}.reset", f"one of {list(RESETS)}", shown(neuron.reset)))
    if type(neuron.refractory) is not bool:
        raise ModelError(must_be(f"{path}.refractory", "true or false", shown(neuron.refractory)))
    sync_threshold = check_int(f"{path}.sync_threshold", neuron.sync_threshold, 0, 2**31)
    # Thresholds become float32, and subnormal numbers are excluded because they lose precision.
    least, greatest = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    return LIF(
        _checked_positive(
            f"{path}.tau_mem_us",
            neuron.tau_mem_us,
            shape,
            lambda x: x > 0,
            "above 0 (inf means no leak)",
        ),
        _checked_positive(
            f"{path}.v_threshold",
            neuron.v_threshold,
            shape,
            lambda x: (x >= least) & (x <= greatest),
            "above 0 and finite in float32",
        ),
        neuron.reset,
        neuron.refractory,
        sync_threshold,
    )


def _checked_positive(
    path: str,
    value: ArrayLike,
    shape: tuple[int, ...],
    is_valid: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
    requirement: str,
) -> float | NDArray[np.float32]:
    is_number = isinstance(value, int | float | np.ndarray | np.generic)
    if not is_number or np.asarray(value).dtype.kind not in "fiu":
        kinds = f"a number or an array of shape {shape}"
        raise ModelError(must_be(path, kinds, shown(value)))
    is_scalar = not isinstance(value, np.ndarray)
    with np.errstate(all="ignore"):  # values out of range become inf or NaN, which the check finds
        array = immutable_copy(np.asarray(value), np.float64 if is_scalar else np.float32)
        if not is_scalar and array.shape != shape:
            raise ModelError(must_be(path, f"of shape {shape}", f"shape {array.shape}"))
        if not np.all(is_valid(array.astype(np.float64))):
            raise ModelError(must_be(path, requirement, shown(value)))
    return float(array) if is_scalar else array
