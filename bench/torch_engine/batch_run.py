"""What every run of a batch in torch has in common, whatever its ordering policy."""

from typing import Any

import torch
from torch import Tensor

from bench.torch_engine.neurons import NeuronState
from bench.torch_engine.policies import neuron_keys, signed, step_prefix, uniform
from bench.torch_engine.synapses import Link, links_of
from bench.torch_engine.tables import Tables
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.kernels.neurons.resets import DROPOUT_STREAM
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train.autograd_function import ForwardResult
from neuroasync.train.surrogate import Surrogate

__all__ = ["BatchRun", "Spike"]


class Spike(torch.autograd.Function):
    """Forward: 1 where a neuron fires. Backward: the surrogate derivative where it has a site."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fire: Tensor, is_site: Tensor, surrogate: Surrogate) -> Tensor:
        """Return the spikes: 1 where ``fire`` is true."""
        ctx.save_for_backward(x, is_site)
        ctx.surrogate = surrogate
        return fire.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradient of the distances ``x``."""
        x, is_site = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(x) * is_site, None, None, None


class BatchRun:
    """One run over all passes of a batch. Subclasses define what a pass does.

    Args:
        flat: F[..], all weights, laid out like ``PackedArrays.weights``.
        tables: The network and the batch as tensors.
        settings: Ordering policy, group size and input mode.
        surrogate: Surrogate derivative of the spike function.
        dropout: Probability that a spike leaves its neuron non-refractory.
    """

    def __init__(
        self,
        flat: Tensor,
        tables: Tables,
        settings: RunSettings,
        surrogate: Surrogate,
        dropout: float,
    ) -> None:
        self._links: list[Link] = links_of(tables.packed, flat)
        self._tables, self._settings = tables, settings
        self._surrogate, self._dropout = surrogate, dropout
        b, n, t = tables.samples, tables.size, tables.timesteps
        zeros = flat.new_zeros(b, n)
        self._state = NeuronState(zeros, zeros, zeros, zeros)
        self._potentials: list[Tensor] = []
        self._counts = [flat.new_zeros(b, n) for _ in range(t)]
        self._delayed: list[list[tuple[Link, Tensor]]] = [[] for _ in range(t)]
        self._latest = torch.zeros(b, n, dtype=torch.int64, device=flat.device)

    def run(self) -> ForwardResult:
        """Run all passes, and return votes, spikes and decisions."""
        tables = self._tables
        for t in range(tables.timesteps):
            active = tables.passes > t
            self._decay_and_bias(t, active)
            due = [(link, z * active[:, None]) for link, z in self._delayed[t]]
            self._run_pass(t, active, due)
            if tables.reads_potentials:
                readout = self._state.v[:, slice(*tables.output)]
                self._potentials.append(torch.where(active[:, None], readout, 0.0))
        if not self._counts:
            return tables.empty_result()
        counts = torch.stack(self._counts, 1)
        start, stop = tables.output
        spikes = torch.stack([counts[:, :, a:b].sum(2) for a, b in tables.bounds], 2)
        votes = counts[:, :, start:stop]
        if not self._potentials:
            return ForwardResult(votes, spikes, self._voted(votes.detach().sum(1)))
        potentials = torch.stack(self._potentials, 1)
        samples = torch.arange(tables.samples, device=potentials.device)
        last = potentials.detach()[samples, (tables.passes - 1).clamp(min=0)]
        labels = torch.where(tables.passes > 0, last.argmax(1), -1)
        return ForwardResult(votes, spikes, labels, potentials)

    def _voted(self, total: Tensor) -> Tensor:
        """Return the decisions i64[B], given the votes [B, classes]."""
        start, stop = self._tables.output
        best = total.max(1, keepdim=True).values
        # Of the classes with the most votes, the one that reached its count first wins.
        latest = torch.where(total == best, self._latest[:, start:stop], 2**62)
        return torch.where(best[:, 0] > 0, latest.argmin(1), -1)

    def _run_pass(self, t: int, active: Tensor, due: list[tuple[Link, Tensor]]) -> None:
        """Run pass ``t`` of all samples.

        Args:
            t: Number of the pass.
            active: bool[B], samples that have this pass.
            due: Connections whose delay ends now, with their spikes [B, sources].
        """
        raise NotImplementedError

    def _decay_and_bias(self, t: int, active: Tensor) -> None:
        """Begin the pass of the active samples: apply decays and biases."""
        state, neurons = self._state, self._tables.neurons
        if t:
            state.begin_pass(neurons, self._tables.decays(t), active[:, None])
        for link in self._links:
            if link.bias is not None:
                change = torch.zeros_like(state.v)
                change[:, link.target] = link.bias * active[:, None]
                everyone = torch.ones_like(change, dtype=torch.bool)
                state.integrate(neurons, change, everyone, everyone)

    def _delay(self, t: int, link: Link, spikes: Tensor) -> None:
        """Keep spikes [B, sources] of pass ``t`` until the delay of their connection ends."""
        if t + link.lag < self._tables.timesteps:
            self._delayed[t + link.lag].append((link, spikes))

    def _refractory_dropout(self, t: int, step: int | Tensor) -> Tensor:
        """Return which neurons would stay non-refractory if they fired, bool[B, N].

        Args:
            t: Number of the pass.
            step: Forward step; or i64[B], that of each sample.
        """
        if self._dropout <= 0:
            return torch.zeros(self._state.v.shape, dtype=torch.bool, device=self._latest.device)
        seeds = self._tables.seeds ^ signed(int(DROPOUT_STREAM))
        keys = neuron_keys(step_prefix(seeds, t, step), self._tables.size)
        return uniform(keys) < self._dropout

    def _step_limit_error(self, t: int) -> ForwardStepLimitError:
        return ForwardStepLimitError(
            f"pass {t} of a sample did not end within max_forward_steps = "
            f"{self._settings.max_forward_steps}; raise the limit, or make the "
            "populations of the loop refractory"
        )
