"""Static metrics of a model after NeuroBench: memory footprint and connection sparsity.

NeuroBench's third static metric, the number of parameters, is ``Model.parameters``.

Source:
    Yik et al., The NeuroBench framework for benchmarking neuromorphic computing algorithms and
    systems, Nature Communications 16, 1545 (2025), arXiv 2304.04640.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from neuroasync.core.model.connections import Sparse
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import LIF, Neuron, Parameter
from neuroasync.metrics.fan_out import shape_of

__all__ = [
    "Footprint",
    "connection_sparsity",
    "footprint",
    "neuron_parameters",
    "state_variables",
]

_FLOAT_BYTES: Final = 4
"""Size of a float32: a weight, a bias, a neuron parameter or a membrane potential."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes needed to store a model and to run one sample of it.

    Attributes:
        weights: Weights and biases, zeros included.
        indices: Indices of the synapses of sparse connections.
        neurons: Time constants, thresholds and the other numbers of neurons: one float32 value each
            per population, or per neuron where each neuron has its own value.
        state: Membrane potentials of one sample; where neurons have them, also synaptic currents,
            adaptations of thresholds and delayed resets.
    """

    weights: int
    indices: int
    neurons: int
    state: int

    @property
    def total(self) -> int:
        """Total number of bytes: NeuroBench's footprint."""
        return self.weights + self.indices + self.neurons + self.state


def footprint(model: Model) -> Footprint:
    """Compute the memory footprint of ``model`` in bytes: its parameters and its state."""
    sparse = [c for c in model.connections if isinstance(c, Sparse)]
    return Footprint(
        weights=_FLOAT_BYTES * model.parameters,
        indices=sum(c.indptr.nbytes + c.indices.nbytes for c in sparse),
        neurons=_FLOAT_BYTES
        * sum(
            np.size(value)
            for p in model.populations
            for value in neuron_parameters(p.neuron).values()
        ),
        state=_FLOAT_BYTES * sum(state_variables(p.neuron) * p.size for p in model.populations),
    )


def connection_sparsity(model: Model) -> float:
    """Compute the share of zeros among the weights of ``model``.

    A convolution counts its kernel once. A sparse connection counts as its full weight matrix, so
    that a pruned network has the same sparsity in either form.

    Returns:
        Share from 0 (fully connected) to 1 (no synapse), not rounded.
    """
    weights = non_zero = 0
    for c in model.connections:
        ends = (shape_of(model, c.source), shape_of(model, c.target))
        weights += math.prod(map(math.prod, ends)) if isinstance(c, Sparse) else c.weight.size
        non_zero += int(np.count_nonzero(c.weight))
    return (weights - non_zero) / weights if weights else 0.0  # pools have no weights of their own


def neuron_parameters(neuron: Neuron) -> dict[str, Parameter]:
    """Return the numbers of a neuron model that it needs, by name."""
    values: dict[str, Parameter | None] = {
        "tau_mem_us": neuron.tau_mem_us,
        "reset_amount": neuron.reset_amount,
        "tau_syn_us": neuron.tau_syn_us,
    }
    if isinstance(neuron, LIF):
        values["v_threshold"] = neuron.v_threshold
    if neuron.adaptation is not None:
        values["adaptation_tau_us"] = neuron.adaptation.tau_us
        values["adaptation_increment"] = neuron.adaptation.increment
    return {name: value for name, value in values.items() if value is not None}


def state_variables(neuron: Neuron) -> int:
    """Return the number of float32 state variables of each neuron."""
    optional = (neuron.tau_syn_us is not None, neuron.adaptation is not None, neuron.reset_delayed)
    return 1 + sum(optional)
