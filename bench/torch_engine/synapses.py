"""Connections in torch: from the spikes of many samples to the currents of their targets."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.kernels.layout import Connections
from neuroasync.core.model.connections import INPUT, Conv2d, Dense
from neuroasync.core.model.kernel_forms import planes_of

__all__ = ["Link", "links_of"]


class Link:
    """A connection with its weights as a tensor.

    Args:
        packed: The network.
        c: Index of the connection.
        flat: All weights, laid out like ``PackedArrays.weights``.

    Attributes:
        source, target: Ranges of the source and target neurons in the network. Inputs come after
            all neurons.
        source_population: Index of the source population; None for the input.
        target_population: Index of the target population.
        lag: Delay in passes.
        bias: [targets], or None.
    """

    def __init__(self, packed: PackedNetwork, c: int, flat: Tensor) -> None:
        model, connection = packed.model, packed.connections[c]
        row = packed.arrays.connections[c]
        bounds = list(pairwise([*model.starts, model.starts[-1] + model.input_size]))
        self.target_population = model.index(connection.target)
        is_input = connection.source == INPUT
        self.source_population = None if is_input else model.index(connection.source)
        self.source = slice(*bounds[-1 if is_input else model.index(connection.source)])
        self.target = slice(*bounds[self.target_population])
        self.lag = connection.delay_us // max(model.timestep_us, 1)
        sources, targets = (s.stop - s.start for s in (self.source, self.target))
        start, size = int(row[Connections.WEIGHT]), connection.weight.size
        values, at = flat[start : start + size], int(row[Connections.BIAS])
        self.bias = flat[at : at + targets] if at >= 0 else None
        self._shape: tuple[int, ...] = ()
        if isinstance(connection, Conv2d):
            p = self.source_population
            self._shape = planes_of(model.input_shape if p is None else model.populations[p].shape)
            self._stride, self._padding = connection.stride, connection.padding
            self._weight = values.view(connection.weight.shape)
            self._synapses = torch.ones_like(self._weight)
        elif isinstance(connection, Dense):
            self._weight = values.view(sources, targets)
            self._synapses = torch.ones_like(self._weight)
        else:
            indptr = torch.from_numpy(connection.indptr.astype(np.int64)).to(flat.device)
            indices = torch.from_numpy(connection.indices.astype(np.int64)).to(flat.device)
            source = torch.repeat_interleave(
                torch.arange(sources, device=flat.device), indptr.diff()
            )
            empty = flat.new_zeros(sources, targets)
            self._weight = empty.index_put((source, indices), values)
            self._synapses = empty.index_put((source, indices), torch.ones_like(values))

    def current(self, spikes: Tensor) -> Tensor:
        """Return the currents [B, targets] that ``spikes`` [B, sources] cause."""
        return self._apply(spikes, self._weight)

    def received(self, spikes: Tensor) -> Tensor:
        """Return how many of ``spikes`` [B, sources] each target receives, as [B, targets]."""
        return self._apply(spikes, self._synapses)

    def _apply(self, spikes: Tensor, weight: Tensor) -> Tensor:
        if not self._shape:
            return spikes @ weight
        planes = spikes.reshape(-1, *self._shape)
        return conv2d(planes, weight, None, self._stride, self._padding).flatten(1)


def links_of(packed: PackedNetwork, flat: Tensor) -> list[Link]:
    """Return all connections, in declared order."""
    return [Link(packed, c, flat) for c in range(len(packed.model.connections))]
