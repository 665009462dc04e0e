"""What a model weighs, whatever it runs on: NeuroBench's static metrics.

The number of parameters, the third of them, is ``Model.parameters``.

Source:
    Yik et al., The NeuroBench framework for benchmarking neuromorphic computing algorithms and
    systems, Nature Communications 16, 1545 (2025), arXiv 2304.04640.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from neuroasync.core.model.connections import Sparse
from neuroasync.core.model.model import LIF, Model
from neuroasync.metrics.fan_out import shape_of

__all__ = ["Footprint", "connection_sparsity", "footprint"]

_FLOAT_BYTES: Final = 4
"""A float32: of a weight, a bias, a neuron's parameter, a membrane potential."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that it takes to hold a model and to run one sample of it.

    Attributes:
        weights: weights and biases; zeros count.
        indices: which synapses there are, of sparse connections.
        neurons: membrane time constants and thresholds: two float32 values for each population
            that shares them, for each neuron where they are its own.
        state: membrane potentials of one sample.
    """

    weights: int
    indices: int
    neurons: int
    state: int

    @property
    def total(self) -> int:
        """All of it, in bytes: NeuroBench's footprint."""
        return self.weights + self.indices + self.neurons + self.state


def footprint(model: Model) -> Footprint:
    """The memory footprint of ``model``, in bytes: its parameters and buffers."""
    sparse = [c for c in model.connections if isinstance(c, Sparse)]
    return Footprint(
        weights=_FLOAT_BYTES * model.parameters,
        indices=sum(c.indptr.nbytes + c.indices.nbytes for c in sparse),
        neurons=_FLOAT_BYTES * sum(_own_values(p.neuron) for p in model.populations),
        state=_FLOAT_BYTES * model.size,
    )


def connection_sparsity(model: Model) -> float:
    """Share of zeros among the weights of ``model``: 0 is fully connected, 1 is no synapse.

    A convolution counts its kernel once. A sparse connection counts as the matrix that it stands
    for, so that a pruned network is as sparse in either form.

    Returns:
        From 0 to 1, not rounded.
    """
    weights = non_zero = 0
    for c in model.connections:
        ends = (shape_of(model, c.source), shape_of(model, c.target))
        weights += math.prod(map(math.prod, ends)) if isinstance(c, Sparse) else c.weight.size
        non_zero += int(np.count_nonzero(c.weight))
    return (weights - non_zero) / weights


def _own_values(neuron: LIF) -> int:
    return sum(np.size(value) for value in (neuron.tau_mem_us, neuron.v_threshold))
