"""What single synapses weigh, looked up in a model; the slow and readable way."""

import math

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import INPUT, Connection, Conv2d, Dense
from neuroasync.core.model.model import Model

__all__ = ["bias_of", "decay_factors", "weights_to"]


def weights_to(
    model: Model, connection: Connection, sources: NDArray[np.int64], target: int
) -> NDArray[np.float64]:
    """Weights of the synapses from ``sources`` to ``target``; 0 where there is none.

    Args:
        model: the network.
        connection: of the network.
        sources: i64[n], positions in the connection's source.
        target: position in its target.
    """
    c = connection
    if isinstance(c, Dense):
        return np.asarray(c.weight[target, sources], np.float64)
    if isinstance(c, Conv2d):
        return _conv2d(model, c, sources, target)
    synapses = np.flatnonzero(c.indices == target)
    row = np.zeros(c.indptr.size - 1)
    row[np.searchsorted(c.indptr, synapses, side="right") - 1] = c.weight[synapses]
    return row[sources]


def bias_of(model: Model, population: int, position: int) -> float:
    """All biases of one neuron, which it gets once per pass."""
    target = model.populations[population]
    total = 0.0
    for c in model.connections:
        if c.target == target.name and c.bias is not None:
            channel = math.prod(target.shape[1:]) if isinstance(c, Conv2d) else 1
            total += float(c.bias[position // channel])
    return total


def decay_factors(
    model: Model, population: int, position: int, times_us: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What is left in each pass of a potential from the pass before, f64[passes]; 1 at first."""
    tau = model.populations[population].neuron.tau_mem_us
    tau_us = tau if isinstance(tau, float) else float(tau.ravel()[position])
    factors = [np.float32(math.exp(-gap / tau_us)) for gap in np.diff(times_us).tolist()]
    return np.array([1.0, *factors], np.float64)[: times_us.size]


def _conv2d(
    model: Model, c: Conv2d, sources: NDArray[np.int64], target: int
) -> NDArray[np.float64]:
    shape = model.input_shape
    if c.source != INPUT:
        shape = model.populations[model.index(c.source)].shape
    out, oy, ox = np.unravel_index(target, model.populations[model.index(c.target)].shape)
    channel, y, x = np.unravel_index(sources, shape)
    ky = y + c.padding[0] - oy * c.stride[0]
    kx = x + c.padding[1] - ox * c.stride[1]
    height, width = c.weight.shape[2:]
    inside = (ky >= 0) & (ky < height) & (kx >= 0) & (kx < width)
    weights = c.weight[out, channel, ky.clip(0, height - 1), kx.clip(0, width - 1)]
    return np.where(inside, weights, 0).astype(np.float64)
