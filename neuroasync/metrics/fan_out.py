"""Fan-out: the number of targets of each source of a connection."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import INPUT, Connection, Conv2d, Dense
from neuroasync.core.model.kernel_forms import kernel_form, planes_of
from neuroasync.core.model.model import Model

__all__ = ["FanOut", "fan_out", "shape_of"]


class FanOut(NamedTuple):
    """Numbers of targets of the sources of one connection.

    Attributes:
        synapses: i64[source], number of synapses that a spike is delivered to.
        effective: i64[source], number of those with a weight other than 0.
        dense: Number of synapses of all sources if absent synapses counted as zeros.
    """

    synapses: NDArray[np.int64]
    effective: NDArray[np.int64]
    dense: int


def fan_out(model: Model, connection: Connection) -> FanOut:
    """Compute the fan-out of a connection of ``model``."""
    c = kernel_form(model, connection)
    if isinstance(c, Conv2d):
        return _conv2d(model, c)
    sources, targets = (math.prod(shape_of(model, end)) for end in (c.source, c.target))
    if isinstance(c, Dense):
        synapses = np.full(sources, targets, np.int64)
        effective = np.count_nonzero(c.weight, axis=0)
    else:
        synapses = np.diff(c.indptr).astype(np.int64)
        before = np.concatenate(([0], np.cumsum(c.weight != 0)))
        effective = np.diff(before[c.indptr])
    return FanOut(synapses, effective.astype(np.int64), sources * targets)


def shape_of(model: Model, name: str) -> tuple[int, ...]:
    """Return the shape of a population, or of the input."""
    return model.input_shape if name == INPUT else model.populations[model.index(name)].shape


def _conv2d(model: Model, c: Conv2d) -> FanOut:
    # Each tap (one weight of the kernel) connects every source below it to one output per output
    # channel. Rows and columns are independent, so the counts multiply.
    source, target = (planes_of(shape_of(model, end)) for end in (c.source, c.target))
    rows, columns = (
        _under_tap(c.weight.shape[2 + a], source[1 + a], target[1 + a], c.stride[a], c.padding[a])
        for a in (0, 1)
    )
    effective, synapses = (
        np.einsum("iab,ay,bx->iyx", taps.sum(axis=0, dtype=np.int64), rows, columns).ravel()
        for taps in (c.weight != 0, np.ones_like(c.weight, np.bool_))
    )
    return FanOut(synapses, effective, int(synapses.sum()))


def _under_tap(kernel: int, sources: int, targets: int, stride: int, pad: int) -> NDArray[np.int64]:
    """Return i64[kernel, sources]: 1 where a source lies below a tap for some output position."""
    shifted = np.arange(sources) + pad - np.arange(kernel)[:, None]
    inside = (shifted >= 0) & (shifted % stride == 0) & (shifted // stride < targets)
    return np.asarray(inside, np.int64)
