"""Connections as plain data: dense, conv2d and sparse weights between two populations."""

import math
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.errors import ModelError

__all__ = ["INPUT", "Connection", "Conv2d", "Dense", "Sparse", "check_connection", "same_fields"]

INPUT: Final = "input"
"""Source name of the network's input."""


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Every source neuron reaches every target neuron.

    Attributes:
        source: name of a population, or ``"input"``.
        target: name of a population.
        weight: f32[target, source].
        bias: f32[target], added to the membrane potential once per pass.
        delay_us: axonal delay in µs, a multiple of the network's timestep.
    """

    kind: ClassVar[str] = "dense"
    source: str
    target: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    delay_us: int = 0

    def __eq__(self, other: object) -> bool:
        """Same values in every field; arrays by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # holds arrays


@dataclass(frozen=True, slots=True, eq=False)
class Conv2d:
    """A 2-d convolution (cross-correlation, as in torch) between populations of shape [c, h, w].

    Attributes:
        source: name of a population, or ``"input"``; shape [in, h, w].
        target: name of a population; shape [out, h', w'].
        weight: f32[out, in, kh, kw].
        stride: (y, x).
        padding: (y, x), zeros.
        bias: f32[out], one per channel, added once per pass.
        delay_us: axonal delay in µs, a multiple of the network's timestep.
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
        """Same values in every field; arrays by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # holds arrays


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """Listed synapses only, compressed by source (CSR).

    Attributes:
        source: name of a population, or ``"input"``.
        target: name of a population.
        indptr: i64[source + 1]; source i reaches ``indices[indptr[i]:indptr[i + 1]]``.
        indices: i64[synapses], strictly ascending within a source.
        weight: f32[synapses]; a stored zero is a synapse.
        bias: f32[target], added once per pass.
        delay_us: axonal delay in µs, a multiple of the network's timestep.
    """

    kind: ClassVar[str] = "sparse"
    source: str
    target: str
    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    delay_us: int = 0

    def __eq__(self, other: object) -> bool:
        """Same values in every field; arrays by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # holds arrays


Connection: TypeAlias = Dense | Conv2d | Sparse


def same_fields(one: object, other: object) -> bool:
    """Whether two instances of one dataclass hold the same values, arrays by content."""
    for f in fields(one):  # type: ignore[arg-type]
        a, b = getattr(one, f.name), getattr(other, f.name)
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            if a is None or b is None or not np.array_equal(a, b):
                return False
        elif a != b:
            return False
    return True


def check_connection(
    where: str, connection: Connection, shapes: dict[str, tuple[int, ...]], timestep_us: int
) -> Connection:
    """Return ``connection`` with frozen arrays of the right types.

    Args:
        where: path of the connection, for errors.
        connection: what to check.
        shapes: shape of every population and of the input.
        timestep_us: Δt that delays must be a multiple of, unless it is 0.

    Raises:
        ModelError: it does not fit its populations.
    """
    c = connection
    if not isinstance(c, Dense | Conv2d | Sparse):
        raise ModelError(f"{where}: {type(c).__name__}, expected Dense, Conv2d or Sparse")
    _check_ends_and_delay(where, c, shapes, timestep_us)
    source, target = shapes[c.source], shapes[c.target]
    channels = math.prod(target)
    match c:
        case Dense():
            c = _checked_dense(where, c, source, target)
        case Conv2d():
            c = _checked_conv2d(where, c, source, target)
            channels = target[0]
        case Sparse():
            c = _checked_sparse(where, c, math.prod(source), math.prod(target))
    if c.bias is None:
        return c
    return replace(c, bias=_values(f"{where}.bias", c.bias, (channels,), ""))


def _check_ends_and_delay(
    where: str, c: Connection, shapes: dict[str, tuple[int, ...]], timestep_us: int
) -> None:
    for end, name in (("source", c.source), ("target", c.target)):
        if name not in shapes or (end == "target" and name == INPUT):
            known = [n for n in shapes if end == "source" or n != INPUT]
            raise ModelError(
                f"{where}.{end}: {name!r:.80} is unknown, expected one of {known!s:.200}"
            )
    delay = c.delay_us
    if type(delay) is not int or not 0 <= delay <= limits.MAX_TIME_US:
        raise ModelError(f"{where}.delay_us: {delay!r:.80}, expected µs from 0")
    if timestep_us and delay % timestep_us:
        raise ModelError(
            f"{where}.delay_us: {delay}, expected a multiple of timestep_us = {timestep_us}"
        )


def _checked_dense(where: str, c: Dense, source: tuple[int, ...], target: tuple[int, ...]) -> Dense:
    expected = (math.prod(target), math.prod(source))
    hint = (
        f" (target {c.target!r} has {expected[0]} neurons, source {c.source!r} has {expected[1]})"
    )
    return replace(c, weight=_values(f"{where}.weight", c.weight, expected, hint))


def _checked_conv2d(
    where: str, c: Conv2d, source: tuple[int, ...], target: tuple[int, ...]
) -> Conv2d:
    for end, name, shape in (("source", c.source, source), ("target", c.target, target)):
        if len(shape) != 3:
            raise ModelError(f"{where}.{end}: {name!r} has shape {shape}, expected [c, h, w]")
    for key, pair, low in (("stride", c.stride, 1), ("padding", c.padding, 0)):
        ok = isinstance(pair, tuple) and len(pair) == 2
        if not ok or any(type(v) is not int or not low <= v < 2**20 for v in pair):
            raise ModelError(f"{where}.{key}: {pair!r:.80}, expected two integers from {low}")
    if np.ndim(c.weight) != 4:
        raise ModelError(
            f"{where}.weight: shape {np.shape(c.weight)}, expected 4 dimensions [out, in, kh, kw]"
        )
    kernel = np.shape(c.weight)[2:]
    expected = (target[0], source[0], *kernel)
    weight = _values(f"{where}.weight", c.weight, expected, " (out, in, kh, kw)")
    padded = [source[1 + a] + 2 * c.padding[a] for a in (0, 1)]
    if min(kernel) < 1 or any(kernel[a] > padded[a] for a in (0, 1)):
        raise ModelError(f"{where}.weight: kernel {kernel}, expected at most {tuple(padded)}")
    extents = tuple((padded[a] - kernel[a]) // c.stride[a] + 1 for a in (0, 1))
    if extents != target[1:]:
        raise ModelError(
            f"{where}.target: {c.target!r} has shape {target}, "
            f"expected {(target[0], *extents)} from kernel, stride and padding"
        )
    return replace(c, weight=weight)


def _checked_sparse(where: str, c: Sparse, sources: int, targets: int) -> Sparse:
    indptr = _indices(f"{where}.indptr", c.indptr, (sources + 1,))
    indices = _indices(f"{where}.indices", c.indices, (np.size(c.indices),))
    weight = _values(f"{where}.weight", c.weight, indices.shape, " (one per index)")
    if indptr[0] != 0 or indptr[-1] != indices.size or np.any(indptr[1:] < indptr[:-1]):
        raise ModelError(f"{where}.indptr: expected to ascend from 0 to {indices.size}")
    if indices.size and (indices.min() < 0 or indices.max() >= targets):
        raise ModelError(f"{where}.indices: out of range, expected 0 to {targets - 1}")
    within = np.ones(max(indices.size - 1, 0), bool)
    inner = indptr[(indptr > 0) & (indptr < indices.size)]
    within[inner - 1] = False
    if np.any((indices[1:] <= indices[:-1]) & within):
        raise ModelError(f"{where}.indices: expected strictly ascending within a source")
    return replace(c, indptr=indptr, indices=indices, weight=weight)


def _values(
    where: str, values: NDArray[np.float32], shape: tuple[int, ...], hint: str
) -> NDArray[np.float32]:
    found = np.asarray(values)
    if found.dtype.kind not in "fiu":
        raise ModelError(f"{where}: {found.dtype} values, expected float32")
    if found.shape != shape:
        raise ModelError(f"{where}: shape {found.shape}, expected {shape}{hint}")
    with np.errstate(all="ignore"):  # what does not fit becomes inf, and is refused below
        array = np.array(found, np.float32, order="C")
    if not np.isfinite(array).all():
        at = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ModelError(f"{where}{at}: {array[tuple(at)]}, expected a finite value")
    array.flags.writeable = False
    return array


def _indices(where: str, values: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind not in "iu":
        raise ModelError(
            f"{where}: {array.dtype} of shape {array.shape}, expected int64 of shape {shape}"
        )
    array = np.array(array, np.int64, order="C")
    array.flags.writeable = False
    return array
