"""Connections as plain data: dense, convolutional and sparse weights between populations."""

import math
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.immutable import immutable_copy
from neuroasync.core.model.checks import as_integer, must_be, shown
from neuroasync.errors import ModelError

__all__ = ["INPUT", "Connection", "Conv2d", "Dense", "Sparse", "check_connection", "same_fields"]

INPUT: Final = "input"
"""Source name that stands for the network's input."""

_MAX_EXTENT: Final = 2**20
"""Strides and paddings are below this, so that sums of them cannot overflow."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """A list of synapses in compressed sparse row (CSR) format, one row per source neuron.

    Attributes:
        source: name of the source population, or ``"input"``.
        target: name of the target population.
        indptr: i64[source + 1]; the targets of source neuron i are
            ``indices[indptr[i]:indptr[i + 1]]``.
        indices: i64[synapses], target neurons, strictly ascending within a row.
        weight: f32[synapses]; a stored 0 counts as a synapse.
        bias: f32[target], added once per forward pass.
        delay_us: axonal delay in µs, a multiple of the network's timestep; 0 delivers within
            the pass.
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
        """Return whether all fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


Connection: TypeAlias = Dense | Conv2d | Sparse


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


def check_connection(
    path: str, connection: Connection, shapes: dict[str, tuple[int, ...]], timestep_us: int
) -> Connection:
    """Check a connection and return it with arrays of the right types that nobody can write.

    Args:
        path: path of the connection, for errors.
        connection: the connection to check.
        shapes: shape of every population and of the input, by name.
        timestep_us: timestep Δt in µs. Delays must be a multiple of it, unless it is 0.

    Raises:
        ModelError: the connection is invalid or does not fit its populations.
    """
    c = connection
    if not isinstance(c, Dense | Conv2d | Sparse):
        raise ModelError(must_be(path, "a Dense, Conv2d or Sparse", type(c).__name__))
    _check_ends(path, c, shapes)
    c = replace(c, delay_us=_checked_delay(path, c.delay_us, timestep_us))
    source, target = shapes[c.source], shapes[c.target]
    channels = math.prod(target)
    match c:
        case Dense():
            c = _checked_dense(path, c, source, target)
        case Conv2d():
            c = _checked_conv2d(path, c, source, target)
            channels = target[0]
        case Sparse():
            c = _checked_sparse(path, c, math.prod(source), math.prod(target))
    if c.bias is None:
        return c
    return replace(c, bias=_checked_floats(f"{path}.bias", c.bias, (channels,), ""))


def _check_ends(path: str, c: Connection, shapes: dict[str, tuple[int, ...]]) -> None:
    for end, name in (("source", c.source), ("target", c.target)):
        if name not in shapes or (end == "target" and name == INPUT):
            known = [n for n in shapes if end == "source" or n != INPUT]
            raise ModelError(must_be(f"{path}.{end}", f"one of {known!s:.200}", shown(name)))


def _checked_delay(path: str, given: int, timestep_us: int) -> int:
    delay_us = as_integer(given)
    if delay_us is None or not 0 <= delay_us <= limits.MAX_TIME_US:
        requirement = "an integer of at least 0 (a time in µs)"
        raise ModelError(must_be(f"{path}.delay_us", requirement, shown(given)))
    if timestep_us and delay_us % timestep_us:
        requirement = f"a multiple of `timestep_us` ({timestep_us})"
        raise ModelError(must_be(f"{path}.delay_us", requirement, str(delay_us)))
    return delay_us


def _checked_dense(path: str, c: Dense, source: tuple[int, ...], target: tuple[int, ...]) -> Dense:
    expected = (math.prod(target), math.prod(source))
    hint = (
        f" (target {c.target!r} has {expected[0]} neurons, source {c.source!r} has {expected[1]})"
    )
    return replace(c, weight=_checked_floats(f"{path}.weight", c.weight, expected, hint))


def _checked_conv2d(
    path: str, c: Conv2d, source: tuple[int, ...], target: tuple[int, ...]
) -> Conv2d:
    for end, name, shape in (("source", c.source, source), ("target", c.target, target)):
        if len(shape) != 3:
            requirement = "a population of shape [channels, height, width]"
            raise ModelError(must_be(f"{path}.{end}", requirement, f"{name!r} of shape {shape}"))
    stride = _checked_pair(f"{path}.stride", c.stride, 1)
    padding = _checked_pair(f"{path}.padding", c.padding, 0)
    if np.ndim(c.weight) != 4:
        requirement = "an array of 4 dimensions [out, in, kh, kw]"
        raise ModelError(must_be(f"{path}.weight", requirement, f"shape {np.shape(c.weight)}"))
    kernel = np.shape(c.weight)[2:]
    expected = (target[0], source[0], *kernel)
    weight = _checked_floats(f"{path}.weight", c.weight, expected, " (out, in, kh, kw)")
    padded = [source[1 + a] + 2 * padding[a] for a in (0, 1)]
    if min(kernel) < 1 or any(kernel[a] > padded[a] for a in (0, 1)):
        requirement = f"a kernel of at most {tuple(padded)}, the padded size of the source"
        raise ModelError(must_be(f"{path}.weight", requirement, f"{kernel}"))
    extents = tuple((padded[a] - kernel[a]) // stride[a] + 1 for a in (0, 1))
    if extents != target[1:]:
        requirement = (
            f"a population of shape {(target[0], *extents)}, "
            "which follows from kernel, stride and padding"
        )
        raise ModelError(must_be(f"{path}.target", requirement, f"{c.target!r} of shape {target}"))
    return replace(c, weight=weight, stride=stride, padding=padding)


def _checked_pair(path: str, given: tuple[int, int], low: int) -> tuple[int, int]:
    pair = [as_integer(v) for v in given] if isinstance(given, tuple) else []
    valid = [v for v in pair if v is not None and low <= v < _MAX_EXTENT]
    if len(valid) != 2 or len(pair) != 2:
        requirement = f"two integers from {low} to {_MAX_EXTENT - 1}"
        raise ModelError(must_be(path, requirement, shown(given)))
    return valid[0], valid[1]


def _checked_sparse(path: str, c: Sparse, sources: int, targets: int) -> Sparse:
    indptr = _checked_ints(f"{path}.indptr", c.indptr, (sources + 1,))
    indices = _checked_ints(f"{path}.indices", c.indices, (np.size(c.indices),))
    weight = _checked_floats(f"{path}.weight", c.weight, indices.shape, " (one per index)")
    if indptr[0] != 0 or indptr[-1] != indices.size or np.any(indptr[1:] < indptr[:-1]):
        raise ModelError(f"`{path}.indptr` must ascend from 0 to {indices.size}")
    if indices.size and (indices.min() < 0 or indices.max() >= targets):
        raise ModelError(f"`{path}.indices` must be integers from 0 to {targets - 1}")
    # Two neighbouring indices may descend only where a new row starts.
    same_row = np.ones(max(indices.size - 1, 0), bool)
    row_starts = indptr[(indptr > 0) & (indptr < indices.size)]
    same_row[row_starts - 1] = False
    if np.any((indices[1:] <= indices[:-1]) & same_row):
        raise ModelError(f"`{path}.indices` must be strictly ascending within each source neuron")
    return replace(c, indptr=indptr, indices=indices, weight=weight)


def _checked_floats(
    path: str, values: NDArray[np.float32], shape: tuple[int, ...], hint: str
) -> NDArray[np.float32]:
    given = np.asarray(values)
    if given.dtype.kind not in "fiu":
        raise ModelError(must_be(path, "an array of float32", f"an array of {given.dtype}"))
    if given.shape != shape:
        raise ModelError(must_be(path, f"of shape {shape}{hint}", f"shape {given.shape}"))
    with np.errstate(
        all="ignore"
    ):  # a value that overflows becomes inf, which the next check finds
        array = immutable_copy(given, np.float32)
    if not np.isfinite(array).all():
        at = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ModelError(must_be(f"{path}{at}", "finite", str(array[tuple(at)])))
    return array


def _checked_ints(
    path: str, values: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind not in "iu":
        got = f"{array.dtype} of shape {array.shape}"
        raise ModelError(must_be(path, f"an int64 array of shape {shape}", got))
    return immutable_copy(array, np.int64)
