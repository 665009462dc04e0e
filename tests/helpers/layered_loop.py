"""A plain loop over the populations of a model, as layered frameworks run it, in float64."""

import numpy as np

from neuroasync.core.model.connections import INPUT, Conv2d, Dense, Pool
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import LI

__all__ = ["run_layers"]


def run_layers(model: Model, inputs):
    """Return the spikes of each population in each timestep, or the potentials of integrators.

    Args:
        model: a model with a timestep above 0, whose connections lead forward or have a delay.
        inputs: array of shape [steps, *shape of the input], multiplicities of events.

    Returns:
        For each population, an array of shape [steps, neurons].
    """
    step = model.timestep_us
    sizes = {p.name: p.size for p in model.populations}
    sent = {INPUT: [np.ravel(x) for x in inputs]}
    sent |= {name: [] for name in sizes}
    matrices = [matrix(model, c) for c in model.connections]
    biases = [bias(c, sizes[c.target]) for c in model.connections]
    state = {name: {"v": np.zeros(n), "i": np.zeros(n), "fired": np.zeros(n)}
             for name, n in sizes.items()}  # fmt: skip
    for now in range(len(inputs)):
        for population in model.populations:
            current = np.zeros(population.size)
            for c, weights, b in zip(model.connections, matrices, biases, strict=True):
                when = now - c.delay_us // step
                if c.target == population.name:
                    current = current + b
                    if when >= 0:
                        current = current + weights @ sent[c.source][when]
            sent[population.name].append(
                _sent(population.neuron, current, state[population.name], step, now)
            )
    return {name: np.array(sent[name]) for name in sizes}


def matrix(model: Model, c):
    """Return the weights of a connection as a matrix [target, source]."""
    shapes = {INPUT: model.input_shape} | {p.name: p.shape for p in model.populations}
    source, target = shapes[c.source], shapes[c.target]
    weights = np.zeros((int(np.prod(target)), int(np.prod(source))))
    if isinstance(c, Dense):
        weights += c.weight
    elif isinstance(c, Conv2d):
        for o, y, x in np.ndindex(*target):
            for i, ky, kx in np.ndindex(*c.weight.shape[1:]):
                sy = y * c.stride[0] - c.padding[0] + ky
                sx = x * c.stride[1] - c.padding[1] + kx
                if 0 <= sy < source[1] and 0 <= sx < source[2]:
                    row = np.ravel_multi_index((o, y, x), target)
                    column = np.ravel_multi_index((i, sy, sx), source)
                    weights[row, column] += c.weight[o, i, ky, kx]
    elif isinstance(c, Pool):
        share = 1.0 if c.mode == "sum" else 1 / np.prod(c.size)
        for row, (channel, *at) in enumerate(np.ndindex(*target)):
            for offset in np.ndindex(*c.size):
                below = np.array(at) * c.stride - c.padding + offset
                if (below >= 0).all() and (below < source[1:]).all():
                    column = np.ravel_multi_index((channel, *below), source)
                    weights[row, column] += share
    else:
        columns = np.repeat(np.arange(c.indptr.size - 1), np.diff(c.indptr))
        weights[c.indices, columns] = c.weight
    return weights


def bias(c, size):
    """Return the bias of each target of a connection."""
    if c.bias is None:
        return np.zeros(size)
    return np.repeat(np.asarray(c.bias, float), size // c.bias.size)


def _sent(neuron, current, state, step, now):
    def flat(value):
        return np.broadcast_to(np.ravel(np.asarray(value, float)), current.shape)

    decay = np.exp(-step / flat(neuron.tau_mem_us)) if now else 1.0
    v = state["v"] * decay
    if neuron.reset_delayed:
        v = _after_reset(neuron, v, state["fired"], flat)
    if neuron.tau_syn_us is not None:
        state["i"] = state["i"] * (np.exp(-step / flat(neuron.tau_syn_us)) if now else 1.0)
        v = v + state["i"]
        state["i"] = state["i"] + current
    v = v + current
    if isinstance(neuron, LI):
        state["v"] = v
        return v
    fired = (v > flat(neuron.v_threshold)) * 1.0
    state["fired"] = fired
    state["v"] = v if neuron.reset_delayed else _after_reset(neuron, v, fired, flat)
    return fired


def _after_reset(neuron, v, fired, flat):
    if neuron.reset == "subtract":
        return v - fired * flat(neuron.v_threshold)
    return np.where(fired > 0, 0.0, v)
