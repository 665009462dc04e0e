"""Connections as plain data: dense, convolutional, pooling and sparse ones."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.immutable import immutable_copy

__all__ = ["INPUT", "Connection", "Conv1d", "Conv2d", "Dense", "Pool", "Sparse", "same_fields"]

INPUT: Final = "input"
"""Source name that stands for the network's input."""


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """A connection from every source neuron to every target neuron.

    Attributes:
        source: name of the source population, or ``"input"``.
        target: name of the target population.
        weight: f32[target, source].
        bias: f32[target], added to the membrane potential once per forward pass.
        delay_us: axonal delay in µs, a multiple of the network's timestep; 0 delivers within
            the pass.
    """

    kind: ClassVar[str] = "dense"
    source: str
    target: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    delay_us: int = 0

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


@dataclass(frozen=True, slots=True, eq=False)
class Conv1d:
    """A 1-d convolution between populations of shape [channels, length].

    As in torch, it is a cross-correlation: the kernel is not flipped.

    Attributes:
        source: name of the source population, or ``"input"``; its shape is [in, l].
        target: name of the target population; its shape is [out, l'].
        weight: f32[out, in, k].
        stride: distance of neighbouring outputs.
        padding: number of zeros at each end.
        bias: f32[out], one value per channel, added once per forward pass.
        delay_us: axonal delay in µs, a multiple of the network's timestep; 0 delivers within
            the pass.
    """

    kind: ClassVar[str] = "conv1d"
    source: str
    target: str
    weight: NDArray[np.float32]
    stride: int = 1
    padding: int = 0
    bias: NDArray[np.float32] | None = None
    delay_us: int = 0

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


@dataclass(frozen=True, slots=True, eq=False)
class Conv2d:
    """A 2-d convolution between populations of shape [channels, height, width].

    As in torch, it is a cross-correlation: the kernel is not flipped.

    Attributes:
        source: name of the source population, or ``"input"``; its shape is [in, h, w].
        target: name of the target population; its shape is [out, h', w'].
        weight: f32[out, in, kh, kw].
        stride: (y, x).
        padding: (y, x); the border is filled with zeros.
        bias: f32[out], one value per channel, added once per forward pass.
        delay_us: axonal delay in µs, a multiple of the network's timestep; 0 delivers within
            the pass.
    """

    kind: ClassVar[str] = "conv2d"
    source: str
    target: str
    weight: NDArray[np.float32]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    bias: NDArray[np.float32] | None = None
    delay_us: int = 0

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


@dataclass(frozen=True, slots=True)
class Pool:
    """Pooling: each target sums the spikes of a window of its channel, or averages them.

    The weights are fixed: 1 for a sum, and 1 / (size of the window) for an average, also where the
    window reaches into the padding, as in torch and NIR. Source and target have the same number of
    channels, and the shape [channels, length] or [channels, height, width].

    Attributes:
        source: name of the source population, or ``"input"``.
        target: name of the target population.
        mode: ``"sum"`` or ``"average"``.
        size: size of the window along each axis: (length,) or (y, x).
        stride: distance of neighbouring windows along each axis; None means ``size``, so that
            windows neither overlap nor leave a gap. :class:`~neuroasync.Model` replaces None.
        padding: number of zeros at each border; None means none.
        delay_us: axonal delay in µs, a multiple of the network's timestep; 0 delivers within
            the pass.
    """

    kind: ClassVar[str] = "pool"
    weight: ClassVar[NDArray[np.float32]] = immutable_copy(np.zeros(0), np.float32)
    """The weights that can be trained: none."""
    bias: ClassVar[None] = None
    source: str
    target: str
    mode: Literal["sum", "average"]
    size: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    padding: tuple[int, ...] | None = None
    delay_us: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """A list of synapses in compressed sparse row (CSR) format, one row per source neuron.

    Positions may be integers of any type; a :class:`~neuroasync.Model` stores them in 32 bits.

    Attributes:
        source: name of the source population, or ``"input"``.
        target: name of the target population.
        indptr: i32[source + 1]; the targets of source neuron i are
            ``indices[indptr[i]:indptr[i + 1]]``.
        indices: i32[synapses], target neurons, strictly ascending within a row.
        weight: f32[synapses]; a stored 0 counts as a synapse.
        bias: f32[target], added once per forward pass.
        delay_us: axonal delay in µs, a multiple of the network's timestep; 0 delivers within
            the pass.
    """

    kind: ClassVar[str] = "sparse"
    source: str
    target: str
    indptr: NDArray[np.integer[Any]]
    indices: NDArray[np.integer[Any]]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    delay_us: int = 0

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


Connection: TypeAlias = Dense | Conv1d | Conv2d | Pool | Sparse


def same_fields(one: object, other: object) -> bool:
    """Return whether two instances of the same dataclass are equal, arrays by content."""
    for f in fields(one):  # type: ignore[arg-type]
        a, b = getattr(one, f.name), getattr(other, f.name)
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            if a is None or b is None or not np.array_equal(a, b):
                return False
        elif a != b:
            return False
    return True
