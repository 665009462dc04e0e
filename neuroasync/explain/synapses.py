"""Look up single weights, biases and decay factors in a model, in the slow and readable way."""

import math

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.connections import INPUT, Connection, Conv1d, Conv2d, Dense
from neuroasync.core.model.kernel_forms import kernel_form, planes_of
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import Neuron
from neuroasync.errors import RecordingError

__all__ = ["bias_of", "check_explicable", "decay_factors", "weights_to"]


def weights_to(
    model: Model, connection: Connection, sources: NDArray[np.int64], target: int
) -> NDArray[np.float64]:
    """Return the weights of the synapses from ``sources`` to ``target``.

    Args:
        model: the network.
        connection: a connection of the network.
        sources: i64[n], positions in the source population.
        target: position in the target population.

    Returns:
        f64[n]; 0 where there is no synapse.
    """
    c = kernel_form(model, connection)
    if isinstance(c, Dense):
        return np.asarray(c.weight[target, sources], np.float64)
    if isinstance(c, Conv2d):
        return _conv2d(model, c, sources, target)
    synapses = np.flatnonzero(c.indices == target)
    row = np.zeros(c.indptr.size - 1)
    row[np.searchsorted(c.indptr, synapses, side="right") - 1] = c.weight[synapses]
    return row[sources]


def bias_of(model: Model, population: int, position: int) -> float:
    """Return the sum of the biases of one neuron, which is added once per forward pass."""
    target = model.populations[population]
    total = 0.0
    for c in model.connections:
        if c.target == target.name and c.bias is not None:
            channel = math.prod(target.shape[1:]) if isinstance(c, Conv1d | Conv2d) else 1
            total += float(c.bias[position // channel])
    return total


def decay_factors(
    model: Model, population: int, position: int, times_us: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the decay factor of one neuron's potential from each pass to the next.

    Args:
        model: the network.
        population: number of the population.
        position: position of the neuron in it.
        times_us: i64[passes], virtual time of each pass, µs.

    Returns:
        f64[passes]; element k is the factor from pass k - 1 to pass k, the first is 1.
    """
    tau = model.populations[population].neuron.tau_mem_us
    tau_us = tau if isinstance(tau, float) else float(tau.ravel()[position])
    # The engines round each factor to float32 once.
    factors = [np.float32(math.exp(-gap / tau_us)) for gap in np.diff(times_us).tolist()]
    return np.array([1.0, *factors], np.float64)[: times_us.size]


def _conv2d(
    model: Model, c: Conv2d, sources: NDArray[np.int64], target: int
) -> NDArray[np.float64]:
    shape = model.input_shape
    if c.source != INPUT:
        shape = model.populations[model.index(c.source)].shape
    out, oy, ox = np.unravel_index(
        target, planes_of(model.populations[model.index(c.target)].shape)
    )
    channel, y, x = np.unravel_index(sources, planes_of(shape))
    ky = y + c.padding[0] - oy * c.stride[0]
    kx = x + c.padding[1] - ox * c.stride[1]
    height, width = c.weight.shape[2:]
    inside = (ky >= 0) & (ky < height) & (kx >= 0) & (kx < width)
    weights = c.weight[out, channel, ky.clip(0, height - 1), kx.clip(0, width - 1)]
    return np.where(inside, weights, 0).astype(np.float64)


def check_explicable(name: str, neuron: Neuron) -> None:
    """Refuse neurons whose potential is not a sum of single deliveries, biases and one reset.

    Raises:
        RecordingError: the neurons have such a feature; the message names it.
    """
    for feature, is_there in (
        ("a synaptic current", neuron.tau_syn_us is not None),
        ("an adaptive threshold", neuron.adaptation is not None),
        ("a delayed reset without refractoriness", neuron.reset_delayed and not neuron.refractory),
    ):
        if is_there:
            reason = f"its neurons have {feature}"
            raise RecordingError(f"spikes of population {name!r} cannot be explained: {reason}")
