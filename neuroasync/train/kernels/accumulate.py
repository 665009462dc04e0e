"""Products of weights and adjoints, and of adjoints and spikes, for each kind of connection.

For dense connections, these are vector code with a fixed order of additions. For the others, the
compiler may vectorise the sums over targets. Their order of addition is then machine dependent, but
it is the same in every run on one machine.
"""

from functools import partial

import numpy as np
from numba import carray

from neuroasync.core.kernels.delivery.receptive_fields import receptive_field
from neuroasync.core.kernels.intrinsics import pointer_at
from neuroasync.core.kernels.jit import inlined, kernel
from neuroasync.core.kernels.layout import ConnectionKind, Connections
from neuroasync.train.kernels.vectors.dense import add_to_rows, dot_rows

__all__ = ["add_outer", "add_weighted", "borrowed", "move"]

# LLVM vectorises a sum only if it may reorder the additions, fuse them with products, and ignore
# the sign of zero. The forward pass never allows this.
_FAST = {"reassoc", "contract", "nsz"}


@inlined
def borrowed(array):
    """Return a view of a C-contiguous array that does not take part in reference counting.

    Counts are atomic: each slice would pay for them, and threads would wait for each other. The
    caller of the calling kernel must hold the array, because numba frees one of the same kernel
    after its last use by name.
    """
    return carray(pointer_at(array.ctypes.data), array.shape, array.dtype)


@kernel
def move(gradient, total):
    """Add f32[..] to another one, and set it to 0."""
    for i in range(gradient.size):
        total[i] += gradient[i]
        gradient[i] = np.float32(0.0)


@inlined
def _dense_weighted(begin, sources, weights, g, out):
    address, last = weights.ctypes.data + 4 * begin, sources.size - 1
    for k in range(0, sources.size, 4):
        a, b = sources[k], sources[min(k + 1, last)]
        c, d = sources[min(k + 2, last)], sources[min(k + 3, last)]
        totals = dot_rows(address, g.size, a, b, c, d, g.ctypes.data)
        out[a] += totals[0]
        if k + 3 <= last:
            out[b] += totals[1]
            out[c] += totals[2]
            out[d] += totals[3]
        elif k < last:
            out[b] += totals[1]
            if k + 2 == last:
                out[c] += totals[2]


@inlined
def add_weighted(row, sources, first, links, weights, g, out):
    """For each source s, add the sum of ``weight * g`` over its targets to ``out[s]``.

    Args:
        row: i64[..], the connection; see ``neuroasync.core.kernels.layout``.
        sources: i32[K], source neurons by their index in the network.
        first: First neuron of the source population.
        links, weights: See ``neuroasync.core.kernels.layout``.
        g: f32[targets], adjoints of the targets' potentials.
        out: f32[N], added to.
    """
    if row[Connections.KIND] == ConnectionKind.DENSE:
        _dense_weighted(row[Connections.WEIGHT] - first * g.size, sources, weights, g, out)
    elif row[Connections.KIND] == ConnectionKind.SPARSE:
        for s in sources:
            total, at = np.float32(0.0), row[Connections.INDPTR] + s - first
            for k in range(links[at], links[at + 1]):
                total += (
                    weights[row[Connections.WEIGHT] + k] * g[links[row[Connections.INDICES] + k]]
                )
            out[s] += total
    else:
        for s in sources:
            out[s] += _conv2d_weighted(row, s - first, weights, g)


@inlined
def add_outer(row, sources, factors, first, links, g, grad):
    """Add ``factors[k] * g`` to the gradients of the weights that leave each ``sources[k]``.

    Args:
        row, sources, first, links, g: As for :func:`add_weighted`.
        factors: f32[K], what the weights of each source were multiplied by.
        grad: f32[..], laid out like the weights, added to.
    """
    if row[Connections.KIND] == ConnectionKind.DENSE:
        begin = row[Connections.WEIGHT] - first * g.size
        add_to_rows(
            grad.ctypes.data + 4 * begin, g.size, sources.ctypes.data, factors.ctypes.data,
            sources.size, g.ctypes.data,
        )  # fmt: skip
    elif row[Connections.KIND] == ConnectionKind.SPARSE:
        for k in range(sources.size):
            at, times = row[Connections.INDPTR] + sources[k] - first, factors[k]
            for i in range(links[at], links[at + 1]):
                grad[row[Connections.WEIGHT] + i] += times * g[links[row[Connections.INDICES] + i]]
    else:
        for k in range(sources.size):
            _conv2d_outer(row, sources[k] - first, factors[k], g, grad)


@partial(kernel, fastmath=_FAST)
def _conv2d_weighted(row, source, weights, g):
    y, x, first_y, last_y, first_x, last_x = receptive_field(row, source)
    stride_y, stride_x = row[Connections.STRIDE] >> 20, row[Connections.STRIDE] & 0xFFFFF
    size = row[Connections.KERNEL_Y] * row[Connections.KERNEL_X]
    channel = source // (row[Connections.HEIGHT_IN] * row[Connections.WIDTH_IN])
    total = np.float32(0.0)
    for out in range(row[Connections.CHANNELS_OUT]):
        kernel = row[Connections.WEIGHT] + (out * row[Connections.CHANNELS_IN] + channel) * size
        for oy in range(first_y, last_y + 1):
            line = (out * row[Connections.HEIGHT_OUT] + oy) * row[Connections.WIDTH_OUT]
            taps = kernel + (y - oy * stride_y) * row[Connections.KERNEL_X]
            for ox in range(first_x, last_x + 1):
                total += weights[taps + x - ox * stride_x] * g[line + ox]
    return total


@kernel
def _conv2d_outer(row, source, count, g, grad):
    y, x, first_y, last_y, first_x, last_x = receptive_field(row, source)
    stride_y, stride_x = row[Connections.STRIDE] >> 20, row[Connections.STRIDE] & 0xFFFFF
    size = row[Connections.KERNEL_Y] * row[Connections.KERNEL_X]
    channel = source // (row[Connections.HEIGHT_IN] * row[Connections.WIDTH_IN])
    for out in range(row[Connections.CHANNELS_OUT]):
        kernel = row[Connections.WEIGHT] + (out * row[Connections.CHANNELS_IN] + channel) * size
        for oy in range(first_y, last_y + 1):
            line = (out * row[Connections.HEIGHT_OUT] + oy) * row[Connections.WIDTH_OUT]
            taps = kernel + (y - oy * stride_y) * row[Connections.KERNEL_X]
            for ox in range(first_x, last_x + 1):
                grad[taps + x - ox * stride_x] += count * g[line + ox]
