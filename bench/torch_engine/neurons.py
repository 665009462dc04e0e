"""Neurons in torch: how a pass begins for them, and what their spikes do to them.

The equations are those of ``neuroasync.core.kernels.integrate_and_fire``. Gradients follow from
differentiating them, with three conventions:

- A reset has no gradient with respect to the spike that causes it. A reset that subtracts has one
  with respect to the potential and to the amount; a reset to zero has none. Source: the detached
  reset of snnTorch, Eshraghian et al., Training spiking neural networks using lessons from deep
  learning, Proceedings of the IEEE 111 (2023), arXiv 2109.12894.
- The adaptation a has a gradient with respect to the spike: da/ds is its ``increment``. Source:
  Bellec et al., A solution to the learning dilemma for recurrent networks of spiking neurons,
  Nature Communications 11 (2020).
- The derivative of the spike is a surrogate, at its distance from the threshold v_threshold + a.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.packed_neurons import neuron_arrays
from neuroasync.core.kernels.layout import Dynamics, Populations
from neuroasync.core.model.neurons import Neuron

__all__ = ["NeuronState", "Neurons", "neurons_of", "rounded"]


@dataclass(frozen=True)
class Neurons:
    """Parameters of N neurons. All are tensors of shape [N].

    Attributes:
        thresholds: Firing thresholds; the greatest float32 for leaky integrators.
        amounts: What a reset subtracts, if ``has_amount``.
        increments: What a spike adds to the adaptation; 0 if the neuron has none.
        subtract, keep, delayed, has_amount: Whether a reset subtracts, whether there is none,
            whether it is delayed, and whether it does not subtract the threshold.
        has_current: Whether the neuron has a synaptic current.
        refractory, late: Whether the neuron is refractory after a spike, and can fire late.
        sync: Sync thresholds.
        integrates: Whether the neuron is a leaky integrator.
    """

    thresholds: Tensor
    amounts: Tensor
    increments: Tensor
    subtract: Tensor
    keep: Tensor
    delayed: Tensor
    has_amount: Tensor
    has_current: Tensor
    refractory: Tensor
    late: Tensor
    sync: Tensor
    integrates: Tensor

    def part(self, at: slice) -> "Neurons":
        """Return the parameters of some neurons."""
        return Neurons(*(getattr(self, field.name)[at] for field in fields(self)))


@dataclass
class NeuronState:
    """State of N neurons in B samples. All are tensors [B, N].

    Attributes:
        v: Membrane potentials.
        current: Synaptic currents.
        adaptation: Difference between the thresholds and ``Neurons.thresholds``.
        reset: What the next pass subtracts from the potentials. Every number above 0 stands for a
            reset, if it is to zero.
    """

    v: Tensor
    current: Tensor
    adaptation: Tensor
    reset: Tensor

    @classmethod
    def joined(cls, parts: Sequence["NeuronState"]) -> "NeuronState":
        """Return the states of all neurons, given those of each population."""
        names = [field.name for field in fields(cls)]
        return cls(*(torch.cat([getattr(part, name) for part in parts], 1) for name in names))

    def part(self, at: slice) -> "NeuronState":
        """Return the state of some neurons."""
        return NeuronState(*(getattr(self, field.name)[:, at] for field in fields(self)))

    def begin_pass(
        self, neurons: Neurons, decays: tuple[Tensor, Tensor, Tensor], active: Tensor
    ) -> None:
        """Apply decays, delayed resets and synaptic currents.

        Args:
            neurons: Parameters of the neurons.
            decays: Factors [B or 1, N] of potential, synaptic current and adaptation.
            active: bool[B, 1], samples that have the pass.
        """
        of_v, of_current, of_adaptation = decays
        v = rounded(self.v * of_v)
        after = torch.where(neurons.subtract, rounded(v - self.reset), 0.0).to(v.dtype)
        v = torch.where(self.reset.detach() > 0, after, v)
        current = rounded(self.current * of_current)
        v = torch.where(neurons.has_current, rounded(v + current), v)
        self.v = torch.where(active, v, self.v)
        self.current = torch.where(active, current, self.current)
        self.adaptation = torch.where(
            active, rounded(self.adaptation * of_adaptation), self.adaptation
        )
        self.reset = torch.where(active, 0.0, self.reset)

    def integrate(self, neurons: Neurons, current: Tensor, into_v: Tensor, reached: Tensor) -> None:
        """Add the delivered ``current`` [B, N].

        Args:
            neurons: Parameters of the neurons.
            current: Delivered current.
            into_v: bool[B, N], neurons whose potential takes it.
            reached: bool[B, N], neurons whose synaptic current takes it.
        """
        self.v = torch.where(into_v, rounded(self.v + current), self.v)
        takes = reached & neurons.has_current
        self.current = torch.where(takes, rounded(self.current + current), self.current)

    def thresholds(self, neurons: Neurons) -> Tensor:
        """Return the thresholds [B, N], with their adaptation."""
        return rounded(neurons.thresholds + self.adaptation)

    def fire(self, neurons: Neurons, fire: Tensor, spikes: Tensor) -> None:
        """Reset the neurons that fire, and raise their thresholds.

        Args:
            neurons: Parameters of the neurons.
            fire: bool[B, N], neurons that fire.
            spikes: [B, N], 1 where they do, with surrogate gradients.
        """
        amount = torch.where(neurons.has_amount, neurons.amounts, self.thresholds(neurons))
        reset = torch.where(neurons.subtract, rounded(self.v - amount), 0.0).to(self.v.dtype)
        self.v = torch.where(fire & ~(neurons.keep | neurons.delayed), reset, self.v)
        due = torch.where(neurons.subtract, amount, 1.0).to(self.v.dtype)
        self.reset = torch.where(fire & neurons.delayed, rounded(self.reset + due), self.reset)
        self.adaptation = rounded(self.adaptation + neurons.increments * spikes)


def neurons_of(
    packed: PackedNetwork,
    neurons: Sequence[Neuron],
    device: torch.device,
    dtype: torch.dtype,
    log_threshold: Tensor | None,
) -> Neurons:
    """Return the parameters of the neurons of each population.

    Args:
        packed: The network.
        neurons: Parameters of the neurons of each population.
        device: Device of the tensors.
        dtype: Type of membrane potentials.
        log_threshold: [N], logarithm of which the thresholds are an exponential function, if they
            are learned; see ``neuroasync.train.neurons.learned``.
    """
    rows = packed.arrays.populations[:-1]
    sizes = rows[:, Populations.STOP] - rows[:, Populations.START]
    arrays = neuron_arrays(packed.model, neurons)

    def spread(column: int) -> Tensor:
        return torch.from_numpy(np.repeat(rows[:, column], sizes)).to(device)

    def row(number: int) -> Tensor:
        table = arrays.dynamics
        values = table[number] if table.size else np.zeros(packed.model.size)
        return torch.from_numpy(values.copy()).to(device, dtype)

    thresholds = torch.from_numpy(arrays.thresholds.copy()).to(device, dtype)
    integrates = torch.isinf(thresholds)
    # Arithmetic with infinity would turn gradients into NaN.
    thresholds = thresholds.clamp(max=float(np.finfo(np.float32).max))
    if log_threshold is not None:
        thresholds = thresholds * torch.exp(log_threshold - log_threshold.detach())
    return Neurons(
        thresholds=thresholds,
        amounts=row(Dynamics.AMOUNT),
        increments=row(Dynamics.INCREMENT),
        subtract=spread(Populations.SUBTRACTS) > 0,
        keep=spread(Populations.KEEPS) > 0,
        delayed=spread(Populations.DELAYED) > 0,
        has_amount=spread(Populations.HAS_AMOUNT) > 0,
        has_current=spread(Populations.HAS_CURRENT) > 0,
        refractory=spread(Populations.REFRACTORY) > 0,
        late=spread(Populations.FIRES_SPONTANEOUSLY) > 0,
        sync=spread(Populations.SYNC_THRESHOLD),
        integrates=integrates,
    )


def rounded(x: Tensor) -> Tensor:
    """Round values to float32, but keep their type and pass gradients through unchanged."""
    if x.dtype == torch.float32:
        return x
    return x + (x.float().to(x.dtype) - x).detach()
