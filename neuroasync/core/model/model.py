"""The network as plain data: populations, neuron parameters, connections, ranks.

A :class:`Model` is immutable and checked when it is made; whatever holds one may rely on it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.core.model.connections import INPUT, Connection, check_connection, same_fields
from neuroasync.errors import ModelError

__all__ = ["LIF", "Model", "Population"]

RESETS: Final = ("zero", "subtract")


@dataclass(frozen=True, slots=True, eq=False)
class LIF:
    """Parameters of leaky integrate-and-fire neurons.

    Attributes:
        tau_mem_us: membrane time constant in µs, one number or f32 of the population's shape;
            ``inf`` is no leak.
        v_threshold: a neuron fires when its membrane potential is strictly above it.
        reset: to ``"zero"``, or ``"subtract"`` the threshold.
        refractory: a neuron fires at most once in a pass.
        sync_threshold: a neuron may fire only once it has received this many spikes in the
            pass; 0 is off.
    """

    tau_mem_us: float | NDArray[np.float32] = math.inf
    v_threshold: float | NDArray[np.float32] = 1.0
    reset: Literal["zero", "subtract"] = "zero"
    refractory: bool = True
    sync_threshold: int = 0

    def __eq__(self, other: object) -> bool:
        """Same values in every field; arrays by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # holds arrays


@dataclass(frozen=True, slots=True)
class Population:
    """Neurons that share a model, a shape and connections.

    Attributes:
        name: unique in the network, not ``"input"``.
        shape: of the neurons, C order; ``(c, h, w)`` for convolutions.
        neuron: parameters of its neurons.
    """

    name: str
    shape: tuple[int, ...]
    neuron: LIF = field(default_factory=LIF)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Model:
    """A network: what it reads, its populations, how they are connected, who decides.

    Attributes:
        timestep_us: bin Δt of the input in µs; 0 is one pass per distinct timestamp.
        input_shape: events address the flattened index, C order.
        populations: in declared order, which is the order of neuron indices and of ties.
        connections: in declared order, which is the order of sums.
        output: name of the population whose spikes are votes.

    Raises:
        ModelError: the description is inconsistent; says where and what was expected.
    """

    timestep_us: int
    input_shape: tuple[int, ...]
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    output: str

    def __post_init__(self) -> None:
        """Check everything once, and freeze arrays to C-contiguous read-only ones."""
        check_int("timestep_us", self.timestep_us, 0, limits.MAX_TIME_US)
        check_shape("input.shape", self.input_shape, limits.MAX_INPUTS)
        _count("populations", len(self.populations), limits.MAX_POPULATIONS)
        _count("connections", len(self.connections), limits.MAX_CONNECTIONS)
        checked = tuple(_checked_population(k, p) for k, p in enumerate(self.populations))
        names = [p.name for p in checked]
        seen: set[str] = set()
        for k, name in enumerate(names):
            if name in seen:
                raise ModelError(
                    f"populations[{k}].name: {name!r} is used twice; expected a new name"
                )
            seen.add(name)
        if (total := sum(p.size for p in checked)) > limits.MAX_NEURONS:
            raise ModelError(f"populations: {total} neurons, the limit is {limits.MAX_NEURONS}")
        if self.output not in names:
            raise ModelError(
                f"output: {self.output!r:.80} is no population; expected one of {names!s:.200}"
            )
        object.__setattr__(self, "populations", checked)
        shapes = {INPUT: tuple(self.input_shape)} | {p.name: p.shape for p in checked}
        connections = tuple(
            check_connection(f"connections[{k}]", c, shapes, self.timestep_us)
            for k, c in enumerate(self.connections)
        )
        object.__setattr__(self, "connections", connections)

    @property
    def size(self) -> int:
        """Number of neurons N of the network."""
        return sum(p.size for p in self.populations)

    @property
    def input_size(self) -> int:
        """Number of input indices."""
        return math.prod(self.input_shape)

    @property
    def starts(self) -> tuple[int, ...]:
        """Network-wide index of each population's first neuron, and N at the end."""
        starts = [0]
        for population in self.populations:
            starts.append(starts[-1] + population.size)
        return tuple(starts)

    @property
    def parameters(self) -> int:
        """Number of trained values: weights and biases."""
        return sum(c.weight.size + (0 if c.bias is None else c.bias.size) for c in self.connections)

    def index(self, name: str) -> int:
        """Position of the population ``name``.

        Raises:
            ModelError: there is none of that name.
        """
        for k, population in enumerate(self.populations):
            if population.name == name:
                return k
        names = [p.name for p in self.populations]
        raise ModelError(f"no population {name!r:.80}; expected one of {names!s:.200}")

    @property
    def ranks(self) -> tuple[int, ...]:
        """Rank of each population: its longest path from the input.

        Connections with a delay do not count, nor do back edges (to a population declared
        earlier, or to itself). What only those reach has rank 0.
        """
        order = {INPUT: -1} | {p.name: k for k, p in enumerate(self.populations)}
        simulator: dict[str, list[str]] = {p.name: [] for p in self.populations}
        for c in self.connections:
            if c.delay_us == 0 and order[c.source] < order[c.target]:
                simulator[c.target].append(c.source)
        rank = {INPUT: -1}
        for population in self.populations:  # every forward source comes before its target
            sources = simulator[population.name]
            rank[population.name] = max((rank[s] + 1 for s in sources), default=0)
        return tuple(rank[p.name] for p in self.populations)


def check_int(where: str, value: object, low: int, high: int) -> None:
    """Raise ModelError unless ``value`` is an int (no bool) in ``low..high``."""
    if type(value) is not int or not low <= value <= high:
        raise ModelError(f"{where}: {value!r:.80}, expected an integer from {low} to {high}")


def check_shape(where: str, shape: object, max_size: int) -> None:
    """Raise ModelError unless ``shape`` is a tuple of positive ints, ``max_size`` cells at most."""
    if not isinstance(shape, tuple) or not 1 <= len(shape) <= limits.MAX_DIMENSIONS:
        raise ModelError(
            f"{where}: {shape!r:.80}, expected 1 to {limits.MAX_DIMENSIONS} dimensions"
        )
    for k, extent in enumerate(shape):
        check_int(f"{where}[{k}]", extent, 1, max_size)
    if math.prod(shape) > max_size:
        raise ModelError(f"{where}: {shape} has {math.prod(shape)} cells, the limit is {max_size}")


def check_text(where: str, text: object, max_chars: int, min_chars: int = 1) -> None:
    """Raise ModelError unless ``text`` is a str of that length that UTF-8 can encode."""
    if not isinstance(text, str) or not min_chars <= len(text) <= max_chars:
        raise ModelError(
            f"{where}: {text!r:.80}, expected text of {min_chars} to {max_chars} characters"
        )
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ModelError(f"{where}: {text!r:.80}, expected text that UTF-8 can encode")


def _count(where: str, found: int, limit: int) -> None:
    if not 1 <= found <= limit:
        raise ModelError(f"{where}: {found} of them, expected 1 to {limit}")


def _checked_population(k: int, population: Population) -> Population:
    where = f"populations[{k}]"
    name = population.name
    if name == INPUT:
        raise ModelError(f"{where}.name: {INPUT!r} is the network's input; expected another name")
    check_text(f"{where}.name", name, limits.MAX_NAME_CHARS)
    check_shape(f"{where}.shape", population.shape, limits.MAX_NEURONS)
    neuron, at = population.neuron, f"{where}.neuron"
    if neuron.reset not in RESETS:
        raise ModelError(f"{at}.reset: {neuron.reset!r:.80}, expected one of {list(RESETS)}")
    if type(neuron.refractory) is not bool:
        raise ModelError(f"{at}.refractory: {neuron.refractory!r:.80}, expected true or false")
    check_int(f"{at}.sync_threshold", neuron.sync_threshold, 0, 2**31)
    tau = _positive(f"{at}.tau_mem_us", neuron.tau_mem_us, population.shape, lambda x: x > 0)
    threshold = _positive(
        f"{at}.v_threshold",
        neuron.v_threshold,
        population.shape,
        lambda x: (x >= np.finfo(np.float32).tiny) & (x <= np.finfo(np.float32).max),
    )
    lif = LIF(tau, threshold, neuron.reset, neuron.refractory, neuron.sync_threshold)
    return Population(name, population.shape, lif)


def _positive(
    where: str,
    value: ArrayLike,
    shape: tuple[int, ...],
    valid: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
) -> float | NDArray[np.float32]:
    number = isinstance(value, int | float | np.ndarray | np.generic)
    if not number or np.asarray(value).dtype.kind not in "fiu":
        raise ModelError(f"{where}: {value!r:.80}, expected a number or an array of {shape}")
    scalar = not isinstance(value, np.ndarray)
    with np.errstate(all="ignore"):  # what does not fit becomes inf or NaN, and is refused below
        array = np.array(value, np.float64 if scalar else np.float32, order="C")
        if not scalar and array.shape != shape:
            raise ModelError(f"{where}: shape {array.shape}, expected {shape}")
        if not np.all(valid(array.astype(np.float64))):
            found = " ".join(repr(value).split())  # an array's takes several lines
            raise ModelError(f"{where}: {found:.80}, expected above 0 (and not NaN)")
    if scalar:
        return float(array)
    array.flags.writeable = False
    return array.astype(np.float32, copy=False)
