"""Checks of connections, which return them with arrays of the right types."""

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.immutable import immutable_copy
from neuroasync.core.model.checks import as_integer, must_be, shown
from neuroasync.core.model.connections import (
    INPUT,
    Connection,
    Conv1d,
    Conv2d,
    Dense,
    Pool,
    Sparse,
)
from neuroasync.errors import ModelError

__all__ = ["check_connection", "check_pools"]

_MAX_POOL_SYNAPSES: Final = 2**24
"""Most synapses of the pools of a network. A pool is stored in a few bytes, but runs as synapses
of 8 bytes each."""

_MAX_SYNAPSES: Final = 2**31 - 1
"""Most synapses of a sparse connection. Their positions are stored in 32 bits, like targets."""

_MAX_EXTENT: Final = 2**20
"""Sizes, strides and paddings are below this, so that sums of them cannot overflow."""

_AXES: Final = {1: "[channels, length]", 2: "[channels, height, width]"}


def check_connection(
    path: str, connection: Connection, shapes: dict[str, tuple[int, ...]], timestep_us: int
) -> Connection:
    """Check a connection and return it with read-only arrays of the right types.

    Args:
        path: path of the connection, for errors.
        connection: the connection to check.
        shapes: shape of every population and of the input, by name.
        timestep_us: timestep Δt in µs. Delays must be a multiple of it, unless it is 0.

    Raises:
        ModelError: the connection is invalid or does not fit its populations.
    """
    c = connection
    if not isinstance(c, Connection):
        kinds = "a Dense, Conv1d, Conv2d, Pool or Sparse"
        raise ModelError(must_be(path, kinds, type(c).__name__))
    _check_ends(path, c, shapes)
    c = replace(c, delay_us=_checked_delay(path, c.delay_us, timestep_us))
    source, target = shapes[c.source], shapes[c.target]
    channels = math.prod(target)
    match c:
        case Dense():
            c = _checked_dense(path, c, source, target)
        case Conv1d():
            c = _checked_conv1d(path, c, source, target)
            channels = target[0]
        case Conv2d():
            c = _checked_conv2d(path, c, source, target)
            channels = target[0]
        case Pool():
            return _checked_pool(path, c, source, target)
        case Sparse():
            c = _checked_sparse(path, c, math.prod(source), math.prod(target))
    if c.bias is None:
        return c
    return replace(c, bias=_checked_floats(f"{path}.bias", c.bias, (channels,), ""))


def check_pools(connections: tuple[Connection, ...], shapes: dict[str, tuple[int, ...]]) -> None:
    """Check the number of synapses of all pools together, which have been checked one by one.

    Raises:
        ModelError: there are too many.
    """
    synapses = sum(
        math.prod(shapes[c.target]) * math.prod(c.size) for c in connections if isinstance(c, Pool)
    )
    if synapses > _MAX_POOL_SYNAPSES:
        requirement = f"connections whose pools have at most {_MAX_POOL_SYNAPSES} synapses"
        raise ModelError(must_be("connections", requirement, f"{synapses}"))


def _check_ends(path: str, c: Connection, shapes: dict[str, tuple[int, ...]]) -> None:
    for end, name in (("source", c.source), ("target", c.target)):
        is_known = isinstance(name, str) and name in shapes
        if not is_known or (end == "target" and name == INPUT):
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


def _checked_conv1d(
    path: str, c: Conv1d, source: tuple[int, ...], target: tuple[int, ...]
) -> Conv1d:
    (stride,) = _checked_extents(f"{path}.stride", (c.stride,), 1, 1)
    (padding,) = _checked_extents(f"{path}.padding", (c.padding,), 1, 0)
    weight = _checked_kernel(path, c, source, target, (stride,), (padding,))
    return replace(c, weight=weight, stride=stride, padding=padding)


def _checked_conv2d(
    path: str, c: Conv2d, source: tuple[int, ...], target: tuple[int, ...]
) -> Conv2d:
    stride = _checked_extents(f"{path}.stride", c.stride, 2, 1)
    padding = _checked_extents(f"{path}.padding", c.padding, 2, 0)
    weight = _checked_kernel(path, c, source, target, stride, padding)
    return replace(
        c, weight=weight, stride=(stride[0], stride[1]), padding=(padding[0], padding[1])
    )


def _checked_kernel(
    path: str,
    c: Conv1d | Conv2d,
    source: tuple[int, ...],
    target: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> NDArray[np.float32]:
    """Return the weights of a convolution, whose shape follows from those of its ends."""
    axes = len(stride)
    _check_planes(path, c, source, target, axes)
    names = "out, in, kh, kw" if axes == 2 else "out, in, k"
    if np.ndim(c.weight) != 2 + axes:
        requirement = f"an array of {2 + axes} dimensions [{names}]"
        raise ModelError(must_be(f"{path}.weight", requirement, f"shape {np.shape(c.weight)}"))
    kernel = np.shape(c.weight)[2:]
    expected = (target[0], source[0], *kernel)
    weight = _checked_floats(f"{path}.weight", c.weight, expected, f" ({names})")
    _check_windows(f"{path}.weight", path, c, source, target, (kernel, stride, padding))
    return weight


def _checked_pool(path: str, c: Pool, source: tuple[int, ...], target: tuple[int, ...]) -> Pool:
    if c.mode not in ("sum", "average"):
        raise ModelError(must_be(f"{path}.mode", "'sum' or 'average'", shown(c.mode)))
    axes = 1 if len(source) == 2 else 2
    _check_planes(path, c, source, target, axes)
    if source[0] != target[0]:
        requirement = f"a population of {source[0]} channels, as {c.source!r} has"
        raise ModelError(must_be(f"{path}.target", requirement, f"{target[0]} channels"))
    size = _checked_extents(f"{path}.size", c.size, axes, 1)
    stride = size if c.stride is None else c.stride
    stride = _checked_extents(f"{path}.stride", stride, axes, 1)
    padding = (0,) * axes if c.padding is None else c.padding
    padding = _checked_extents(f"{path}.padding", padding, axes, 0)
    # A window in the padding alone would have no synapse.
    if any(pad >= k for pad, k in zip(padding, size, strict=True)):
        raise ModelError(must_be(f"{path}.padding", f"below `size` {size}", f"{padding}"))
    _check_windows(f"{path}.size", path, c, source, target, (size, stride, padding))
    return replace(c, size=size, stride=stride, padding=padding)


def _check_planes(
    path: str,
    c: Conv1d | Conv2d | Pool,
    source: tuple[int, ...],
    target: tuple[int, ...],
    axes: int,
) -> None:
    for end, name, shape in (("source", c.source, source), ("target", c.target, target)):
        if len(shape) != 1 + axes:
            requirement = f"a population of shape {_AXES[axes]}"
            if isinstance(c, Pool) and end == "source":
                requirement = f"a population of shape {_AXES[1]} or {_AXES[2]}"
            raise ModelError(must_be(f"{path}.{end}", requirement, f"{name!r} of shape {shape}"))


def _check_windows(
    field: str,
    path: str,
    c: Conv1d | Conv2d | Pool,
    source: tuple[int, ...],
    target: tuple[int, ...],
    geometry: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
) -> None:
    """Check that windows of this (size, stride, padding) on ``source`` result in ``target``."""
    size, stride, padding = geometry
    padded = tuple(n + 2 * pad for n, pad in zip(source[1:], padding, strict=True))
    if min(size) < 1 or any(k > n for k, n in zip(size, padded, strict=True)):
        what = "window" if isinstance(c, Pool) else "kernel"
        requirement = f"a {what} of at most {padded}, the padded size of the source"
        raise ModelError(must_be(field, requirement, f"{size}"))
    extents = tuple((n - k) // s + 1 for n, k, s in zip(padded, size, stride, strict=True))
    if extents != target[1:]:
        requirement = (
            f"a population of shape {(target[0], *extents)}, "
            "which follows from kernel, stride and padding"
        )
        raise ModelError(must_be(f"{path}.target", requirement, f"{c.target!r} of shape {target}"))


def _checked_extents(path: str, given: object, count: int, low: int) -> tuple[int, ...]:
    values = [as_integer(v) for v in given] if isinstance(given, tuple) else []
    valid = [v for v in values if v is not None and low <= v < _MAX_EXTENT]
    if len(valid) != count or len(values) != count:
        number = "an integer" if count == 1 else "two integers"
        requirement = f"{number} from {low} to {_MAX_EXTENT - 1}"
        raise ModelError(must_be(path, requirement, shown(given)))
    return tuple(valid)


def _checked_sparse(path: str, c: Sparse, sources: int, targets: int) -> Sparse:
    synapses = _as_array(f"{path}.indices", c.indices, "an integer array").size
    if synapses > _MAX_SYNAPSES:
        requirement = f"an array of at most {_MAX_SYNAPSES} synapses"
        raise ModelError(must_be(f"{path}.indices", requirement, f"{synapses}"))
    indptr = _checked_ints(f"{path}.indptr", c.indptr, sources + 1)
    indices = _checked_ints(f"{path}.indices", c.indices, synapses)
    weight = _checked_floats(f"{path}.weight", c.weight, (synapses,), " (one per index)")
    # A difference of two integers of 32 bits could overflow, so they are compared.
    ascends = indptr is not None and not np.any(indptr[1:] < indptr[:-1])
    if indptr is None or not ascends or indptr[0] != 0 or indptr[-1] != synapses:
        raise ModelError(f"`{path}.indptr` must ascend from 0 to {synapses}")
    if indices is None or (synapses and (indices.min() < 0 or indices.max() >= targets)):
        raise ModelError(f"`{path}.indices` must be integers from 0 to {targets - 1}")
    # Two neighbouring indices may descend only where a new row starts.
    same_row = np.ones(max(indices.size - 1, 0), bool)
    row_starts = indptr[(indptr > 0) & (indptr < indices.size)]
    same_row[row_starts - 1] = False
    if np.any((indices[1:] <= indices[:-1]) & same_row):
        raise ModelError(f"`{path}.indices` must be strictly ascending within each source neuron")
    return replace(c, indptr=indptr, indices=indices, weight=weight)


def _as_array(path: str, values: object, requirement: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:  # nested lists of different lengths
        raise ModelError(must_be(path, requirement, shown(values))) from None


def _checked_floats(
    path: str, values: NDArray[np.float32], shape: tuple[int, ...], hint: str
) -> NDArray[np.float32]:
    given = _as_array(path, values, "an array of float32")
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
    path: str, values: NDArray[np.integer[Any]], size: int
) -> NDArray[np.int32] | None:
    """Return a copy of the integers, or None if any of them has more than 32 bits."""
    requirement = f"an integer array of shape {(size,)}"
    given = _as_array(path, values, requirement)
    if given.shape != (size,) or given.dtype.kind not in "iu":
        raise ModelError(must_be(path, requirement, f"{given.dtype} of shape {given.shape}"))
    array = immutable_copy(given, np.int32)
    is_equal = np.can_cast(given.dtype, np.int32) or np.array_equal(array, given)
    return array if is_equal else None
