"""A plain loop over timesteps and layers in NumPy, as layered frameworks compute it.

It knows nothing of spike events, groups or turns. Convolutions and sparse connections are matrices.
Sums are taken source by source, so that float32 gives the bits of any engine that does the same.
"""

import numpy as np

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.model.connections import INPUT, Conv2d
from neuroasync.core.model.model import Model
from tests.helpers.reference.synapses import synapses


def run_layers(model: Model, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run a feedforward network without delays.

    Args:
        model: The network.
        counts: i64[timesteps, inputs], events of each input in each timestep.

    Returns:
        bool[timesteps, neurons], the neurons that fire; f32[neurons], the potentials at the end.
    """
    shapes = {INPUT: model.input_shape} | {p.name: p.shape for p in model.populations}
    matrices = [_matrix(model, c, shapes) for c in model.connections]
    decay = PackedNetwork(model).decay(model.timestep_us)
    v, spikes = np.zeros(model.size, np.float32), np.zeros((len(counts), model.size), bool)
    order = sorted(range(len(model.populations)), key=lambda p: (model.ranks[p], p))
    sources = [INPUT, *(model.populations[p].name for p in order)]
    for t, count in enumerate(counts):
        output = {INPUT: count}
        if t:
            v *= decay
        for p in order:
            population = model.populations[p]
            mine = slice(model.starts[p], model.starts[p + 1])
            x, current = v[mine], np.zeros(population.size, np.float32)
            arriving = [
                (matrix, c)
                for matrix, c in zip(matrices, model.connections, strict=True)
                if c.target == population.name
            ]
            for _, c in arriving:
                if c.bias is not None:
                    x += _spread(c, population.shape)
            for source in sources:
                for i in np.flatnonzero(output.get(source, ())):
                    for matrix, c in arriving:
                        if c.source == source:
                            current += matrix[i] * np.float32(output[source][i])
            x += current
            threshold = np.float32(population.neuron.v_threshold)
            fires = spikes[t, mine] = x > threshold
            reset = x - threshold if population.neuron.reset == "subtract" else np.float32(0)
            v[mine] = np.where(fires, reset, x)
            output[population.name] = fires.astype(int)
    return spikes, v


def _matrix(model, connection, shapes):
    """Return the weights as f32[sources, targets]."""
    sources, targets = (
        int(np.prod(shapes[name])) for name in (connection.source, connection.target)
    )
    matrix = np.zeros((sources, targets), np.float32)
    for i in range(sources):
        for target, weight in synapses(connection, shapes, i):
            matrix[i, target] = weight
    return matrix


def _spread(connection, shape):
    """Return the bias of each target neuron."""
    bias = connection.bias
    if isinstance(connection, Conv2d):
        bias = np.broadcast_to(bias[:, None, None], shape)
    return bias.ravel()
