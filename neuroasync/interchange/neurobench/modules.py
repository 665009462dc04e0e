"""A network as torch modules, in which NeuroBench finds weights, neurons, inputs and spikes.

NeuroBench counts the zeros and the bytes of a module, and keeps what each layer receives and sends.
The modules do not run the network; :class:`NeuroasyncModel` hands them what happened in a run.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from snntorch import SpikingNeuron
from torch import Tensor, nn

from neuroasync.core.model.connections import Connection, Conv1d, Conv2d, Dense, Pool, Sparse
from neuroasync.core.model.model import Model, Population
from neuroasync.errors import InterchangeError
from neuroasync.metrics.fan_out import shape_of
from neuroasync.metrics.footprint import neuron_parameters, state_variables

__all__ = ["NetworkModule", "PopulationModule"]

_MAX_WEIGHTS = 2**26
"""Weights of a sparse connection as a full matrix, which NeuroBench counts; 4 bytes each."""


class PopulationModule(SpikingNeuron):  # type: ignore[misc]  # snnTorch has no types
    """Hands the spikes and membrane potentials of a population to NeuroBench.

    NeuroBench looks for subclasses of ``SpikingNeuron``, whose own parameters this one lacks.

    Args:
        population: The population.

    Attributes:
        mem: f32[batch, neurons], membrane potentials after the latest pass.
    """

    def __init__(self, population: Population) -> None:
        nn.Module.__init__(self)
        self.init_hidden, self.output = True, False  # NeuroBench reads both
        self.mem = torch.zeros(1, population.size)
        for name, value in neuron_parameters(population.neuron).items():
            self.register_buffer(name, _tensor(value))
        variables = state_variables(population.neuron)
        self.register_buffer("state", torch.zeros(variables, *population.shape))

    def forward(self, spikes: Tensor, potentials: Tensor) -> Tensor:
        """Take the spikes and potentials of a pass, [batch, neurons] each; return the spikes."""
        self.mem = potentials
        return spikes


class _SparseLinear(nn.Linear):
    """A sparse connection, whose footprint is that of its synapses.

    NeuroBench computes with ``weight``, a full matrix that is no parameter.
    """

    def __init__(self, connection: Sparse, targets: int) -> None:
        nn.Module.__init__(self)
        c, sources = connection, connection.indptr.size - 1
        self.in_features, self.out_features = sources, targets
        self.synapses = _parameter(c.weight)
        self.register_buffer("indptr", torch.tensor(c.indptr))
        self.register_buffer("indices", torch.tensor(c.indices))
        weight = np.zeros((targets, sources), np.float32)
        weight[c.indices, np.repeat(np.arange(sources), np.diff(c.indptr))] = c.weight
        self.weight = torch.from_numpy(weight)
        self.bias = None if c.bias is None else _parameter(c.bias)  # type: ignore[assignment]


class _Parts(nn.Module):
    """Modules by name; any text can be a name."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._modules.update(parts)


class NetworkModule(nn.Module):
    """The connections and populations of a network.

    Args:
        model: The network.

    Attributes:
        connections: The modules of the connections that have weights, by their position.
        populations: The modules of the populations, in their order.

    Raises:
        InterchangeError: A sparse connection is too large for a full matrix.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.connections = {
            k: _layer(model, k, c)
            for k, c in enumerate(model.connections)
            if not isinstance(c, Pool)  # NeuroBench does not count pooling
        }
        self.populations = [PopulationModule(p) for p in model.populations]
        names = [p.name for p in model.populations]
        self._modules["connections_"] = _Parts({str(k): c for k, c in self.connections.items()})
        self._modules["populations_"] = _Parts(dict(zip(names, self.populations, strict=True)))


def _layer(model: Model, number: int, c: Connection) -> nn.Module:
    if isinstance(c, Sparse):
        sources, targets = (int(np.prod(shape_of(model, end))) for end in (c.source, c.target))
        if sources * targets > _MAX_WEIGHTS:
            raise InterchangeError(
                f"`connections[{number}]` is sparse; as the full matrix that NeuroBench needs, it "
                f"would have {sources * targets} weights, the limit is {_MAX_WEIGHTS}"
            )
        return _SparseLinear(c, targets)
    layer: nn.Linear | nn.Conv1d | nn.Conv2d
    bias = c.bias is not None
    targets, sources, *kernel = c.weight.shape
    if isinstance(c, Dense):
        layer = nn.Linear(sources, targets, bias, device="meta")
    elif isinstance(c, Conv1d):
        layer = nn.Conv1d(
            sources, targets, kernel[0], c.stride, c.padding, bias=bias, device="meta"
        )
    elif isinstance(c, Conv2d):
        layer = nn.Conv2d(
            sources, targets, (kernel[0], kernel[1]), c.stride, c.padding, bias=bias, device="meta"
        )
    layer.weight = _parameter(c.weight)
    if c.bias is not None:
        layer.bias = _parameter(c.bias)
    return layer


def _parameter(values: ArrayLike) -> nn.Parameter:
    return nn.Parameter(_tensor(values), requires_grad=False)


def _tensor(values: ArrayLike) -> Tensor:
    return torch.tensor(np.array(values, np.float32))
