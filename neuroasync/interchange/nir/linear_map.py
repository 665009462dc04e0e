"""Linear maps between the outputs of neurons and the inputs of others, composed exactly.

Maps are f64 matrices of shape [targets, sources]: a full array, or a list of the entries that
exist. Entries of a convolution or a pooling that fall onto the padding do not exist. Convolutions
are cross-correlations, as in torch.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.errors import InterchangeError

__all__ = ["Full", "Listed", "Map", "compose", "convolution", "diagonal", "scaled", "select"]

Pair = tuple[int, int]

_MAX_ENTRIES: Final = 2**24
"""Entries of a map, and products that composing two maps may take; 24 bytes each, 384 MiB,
and up to four times that while they are sorted."""


@dataclass(frozen=True, eq=False)
class Full:
    """A map with all entries.

    Attributes:
        weight: f64[targets, sources].
    """

    weight: NDArray[np.float64]

    @property
    def shape(self) -> Pair:
        """The numbers of targets and sources."""
        return self.weight.shape[0], self.weight.shape[1]


@dataclass(frozen=True, eq=False)
class Listed:
    """A map given by its entries, without duplicates, sorted by target and then source.

    Attributes:
        shape: the numbers of targets and sources.
        target: i64[entries].
        source: i64[entries].
        weight: f64[entries].
    """

    shape: Pair
    target: NDArray[np.int64]
    source: NDArray[np.int64]
    weight: NDArray[np.float64]


Map = Full | Listed


def diagonal(weight: NDArray[np.float64]) -> Listed:
    """Return the map that multiplies each element by its weight, f64[elements]."""
    every = np.arange(weight.size)
    return Listed((weight.size, weight.size), every, every, weight.reshape(-1))


def convolution(
    weight: NDArray[np.float64],
    size: Pair,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> tuple[Listed, Pair]:
    """Return the map of a 2-d convolution, and the height and width of its output.

    Args:
        weight: f64[out, in / groups, kh, kw].
        size: height and width of the input, which has ``in`` channels.
        stride: (y, x).
        padding: zeros before and after, for y and for x.
        dilation: (y, x), distance between neighbouring entries of the kernel.
        groups: number of groups of channels that are not connected with each other.

    Raises:
        InterchangeError: the kernel does not fit the input, or the map is too large.
    """
    out_channels, in_channels, *kernel = weight.shape
    extents = [
        size[a] + sum(padding[a]) - dilation[a] * (kernel[a] - 1) - 1 for a in (0, 1)
    ]  # of the places where the kernel may begin, less one
    if min(extents) < 0:
        raise InterchangeError(f"the kernel {tuple(kernel)} is larger than the padded input {size}")
    height, width = (extents[a] // stride[a] + 1 for a in (0, 1))
    _check_size(weight.size * height * width)
    y, x = np.indices((height, width))
    channel = np.arange(out_channels) // (out_channels // groups) * in_channels
    targets, sources, weights = [], [], []
    for ky, kx in np.ndindex(*kernel):
        sy = y * stride[0] - padding[0][0] + ky * dilation[0]
        sx = x * stride[1] - padding[1][0] + kx * dilation[1]
        inside = (sy >= 0) & (sy < size[0]) & (sx >= 0) & (sx < size[1])
        place = (y * width + x)[inside]
        origin = (sy * size[1] + sx)[inside]
        for i in range(in_channels):
            shape = (out_channels, place.size)
            target = np.arange(out_channels)[:, None] * (height * width) + place
            source = (channel + i)[:, None] * (size[0] * size[1]) + origin
            targets.append(target.ravel())
            sources.append(source.ravel())
            weights.append(np.broadcast_to(weight[:, i, ky, kx, None], shape).ravel())
    whole = (out_channels * height * width, in_channels * groups * size[0] * size[1])
    entries = [np.concatenate(parts) for parts in (targets, sources, weights)]
    return _listed(whole, *entries), (height, width)


def compose(first: Map, then: Map) -> Map:
    """Return the map that applies ``first`` and then ``then``.

    Raises:
        InterchangeError: the result is too large.
    """
    shape = (then.shape[0], first.shape[1])
    if isinstance(first, Full) and isinstance(then, Full):
        _check_size(math.prod(shape))
        return Full(then.weight @ first.weight)
    if isinstance(then, Listed) and _is_diagonal(then):
        return scaled(first, then.weight)
    if isinstance(first, Listed) and _is_diagonal(first):
        if isinstance(then, Full):
            return Full(then.weight * first.weight)
        weight = then.weight * first.weight[then.source]
        return Listed(shape, then.target, then.source, weight)
    one, two = _as_listed(first), _as_listed(then)
    starts = np.searchsorted(one.target, np.arange(one.shape[0] + 1))
    counts = np.diff(starts)[two.source]
    _check_size(int(counts.sum()))
    # Each entry of ``then`` meets all entries of ``first`` that lead to its source.
    which = np.repeat(np.arange(two.source.size), counts)
    within = np.arange(which.size) - np.repeat(np.cumsum(counts) - counts, counts)
    met = starts[two.source][which] + within
    entries = (two.target[which], one.source[met], two.weight[which] * one.weight[met])
    return _full_if_complete(_listed(shape, *entries))


def scaled(given: Map, factor: NDArray[np.float64]) -> Map:
    """Return the map with each target multiplied by its factor, f64[targets]."""
    if isinstance(given, Full):
        return Full(given.weight * factor[:, None])
    weight = given.weight * factor[given.target]
    return Listed(given.shape, given.target, given.source, weight)


def select(given: Map, targets: NDArray[np.bool_]) -> Listed:
    """Return the map with the entries of some targets only."""
    entries = _as_listed(given)
    chosen = targets[entries.target]
    return Listed(
        given.shape, entries.target[chosen], entries.source[chosen], entries.weight[chosen]
    )


def _listed(
    shape: Pair,
    target: NDArray[np.int64],
    source: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> Listed:
    """Return the map with sorted entries; the weights of equal ones are summed."""
    key = target * shape[1] + source
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    total = np.add.reduceat(weight[order], first) if first.size else weight[:0]
    return Listed(shape, key[first] // shape[1], key[first] % shape[1], total)


def _as_listed(given: Map) -> Listed:
    if isinstance(given, Listed):
        return given
    _check_size(given.weight.size)
    target, source = (index.ravel() for index in np.indices(given.shape))
    return Listed(given.shape, target, source, given.weight.ravel())


def _full_if_complete(given: Listed) -> Map:
    if given.weight.size == math.prod(given.shape):
        return Full(given.weight.reshape(given.shape))
    return given


def _is_diagonal(given: Listed) -> bool:
    rows, columns = given.shape
    every = np.arange(rows)
    is_diagonal = np.array_equal(given.target, every) and np.array_equal(given.source, every)
    return rows == columns and is_diagonal


def _check_size(entries: int) -> None:
    if entries > _MAX_ENTRIES:
        raise InterchangeError(
            f"a linear map takes {entries} products, the limit is {_MAX_ENTRIES}"
        )
