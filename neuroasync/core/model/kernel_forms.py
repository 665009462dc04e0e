"""Connections in the three kinds that kernels have: dense, 2-d convolutions, and sparse.

A 1-d convolution runs as a 2-d one whose planes have height 1, and a pool as the sparse connection
that has its synapses. Both are exact: each synapse has the same weight.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import (
    INPUT,
    Connection,
    Conv1d,
    Conv2d,
    Dense,
    Pool,
    Sparse,
)
from neuroasync.core.model.model import Model

__all__ = ["KernelForm", "kernel_form", "planes_of"]

KernelForm: TypeAlias = Dense | Conv2d | Sparse
"""A connection of a kind that kernels have."""


def kernel_form(model: Model, connection: Connection) -> KernelForm:
    """Return a connection of ``model`` in a kind that kernels have."""
    c = connection
    if isinstance(c, Conv1d):
        weight, stride, padding = c.weight[:, :, None, :], (1, c.stride), (0, c.padding)
        return Conv2d(c.source, c.target, weight, stride, padding, c.bias, c.delay_us)
    if isinstance(c, Pool):
        source = model.input_shape
        if c.source != INPUT:
            source = model.populations[model.index(c.source)].shape
        return _sparse(c, source, model.populations[model.index(c.target)].shape)
    return c


def planes_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return [channels, height, width] for [channels, length], and other shapes as they are."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def _sparse(c: Pool, source: tuple[int, ...], target: tuple[int, ...]) -> Sparse:
    """Return the synapses of a pool; its targets ascend for each source neuron."""
    stride, padding = c.stride or c.size, c.padding or (0,) * len(c.size)
    below = np.zeros(1, np.int64)  # one source and one target position of a plane of no axes
    above = np.zeros(1, np.int64)
    for a, size in enumerate(c.size):
        at, out = _pairs(source[1 + a], target[1 + a], size, stride[a], padding[a])
        below = np.add.outer(below * source[1 + a], at).ravel()
        above = np.add.outer(above * target[1 + a], out).ravel()
    order = np.lexsort((above, below))
    below, above = below[order], above[order]
    sources, targets = math.prod(source[1:]), math.prod(target[1:])
    channels = np.arange(source[0])[:, None]
    counts = np.tile(np.bincount(below, minlength=sources), source[0])
    weight = np.float32(1 if c.mode == "sum" else 1 / math.prod(c.size))
    return Sparse(
        c.source,
        c.target,
        np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
        (channels * targets + above).astype(np.int32).ravel(),
        np.full(channels.size * above.size, weight, np.float32),
        delay_us=c.delay_us,
    )


def _pairs(
    sources: int, targets: int, size: int, stride: int, padding: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each source position and the target position of a window over it, along one axis."""
    out = np.repeat(np.arange(targets), size)
    at = out * stride - padding + np.tile(np.arange(size), targets)
    inside = (at >= 0) & (at < sources)
    return at[inside], out[inside]
