"""Connections whose synapses have weights of their own: dense and sparse ones."""

from typing import Final

import numpy as np

from neuroasync.core.model.connections import Connection, Conv2d, Dense, Sparse
from neuroasync.core.model.kernel_forms import kernel_form, planes_of
from neuroasync.core.model.model import Model
from neuroasync.metrics.fan_out import fan_out, shape_of

__all__ = ["check_synapses", "synapse_list"]

_MAX_SYNAPSES: Final = 2**24
"""Most synapses of a convolution that are listed; they take 12 bytes each."""


def check_synapses(model: Model, connection: Connection) -> None:
    """Raise ValueError if the connection is a convolution with more than 2**24 synapses."""
    c = kernel_form(model, connection)
    if isinstance(c, Conv2d) and (count := int(fan_out(model, c).synapses.sum())) > _MAX_SYNAPSES:
        raise ValueError(
            f"the convolution from {c.source!r} to {c.target!r} has {count} synapses, but at most "
            f"{_MAX_SYNAPSES} can be listed"
        )


def synapse_list(model: Model, connection: Connection) -> Dense | Sparse:
    """Return a connection with the same synapses, none of which share a weight."""
    c = kernel_form(model, connection)
    return _conv2d(model, c) if isinstance(c, Conv2d) else c


def _conv2d(model: Model, c: Conv2d) -> Sparse:
    source, target = (planes_of(shape_of(model, end)) for end in (c.source, c.target))
    out, channel, ky, kx, y, x = np.ogrid[tuple(slice(n) for n in (*c.weight.shape, *target[1:]))]
    below_y = y * c.stride[0] - c.padding[0] + ky
    below_x = x * c.stride[1] - c.padding[1] + kx
    inside = (below_y >= 0) & (below_y < source[1]) & (below_x >= 0) & (below_x < source[2])
    shape = np.broadcast_shapes(out.shape, channel.shape, inside.shape)
    chosen = np.broadcast_to(inside, shape)
    sources, targets, weight = (
        np.broadcast_to(values, shape)[chosen]
        for values in (
            (channel * source[1] + below_y) * source[2] + below_x,
            (out * target[1] + y) * target[2] + x,
            c.weight[..., None, None],
        )
    )
    order = np.lexsort((targets, sources))
    indptr = np.searchsorted(sources[order], np.arange(np.prod(source) + 1))
    bias = None if c.bias is None else np.repeat(c.bias, np.prod(target[1:]))
    return Sparse(c.source, c.target, indptr, targets[order], weight[order], bias, c.delay_us)
