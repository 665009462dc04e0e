"""The network's tables and a batch's input as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.torch_engine.neurons import neurons_of
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.kernels.layout import Populations
from neuroasync.core.model.neurons import Neuron
from neuroasync.train.autograd_function import ForwardResult
from neuroasync.train.batch import Batch
from neuroasync.train.neurons.decays import decay_slopes, decays_of

__all__ = ["Tables"]


class Tables:
    """A network and a batch as tensors on one device.

    Args:
        packed: The network.
        batch: The samples.
        parameters: Parameters of the neurons of each population.
        logs: [3, N], logarithms that the neurons depend on, if any are learned; see
            ``neuroasync.train.neurons.learned``.
        device: Device of the tensors.
        dtype: Type of membrane potentials.

    Attributes:
        samples, size, timesteps: Number of samples B, of neurons N, and of passes T.
        bounds: For each population, its first neuron and the one after its last.
        output: The same for the output population.
        by_rank: Populations by ascending (rank, declaration).
        owner: i64[N], population of each neuron.
        neurons: Parameters of the neurons.
        reads_potentials: Whether the output consists of leaky integrators.
        seeds: i64[B], seeds with their bits as signed integers.
        passes: i64[B], number of passes of each sample.
    """

    def __init__(
        self,
        packed: PackedNetwork,
        batch: Batch,
        parameters: Sequence[Neuron],
        logs: Tensor | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        model, rows = packed.model, packed.arrays.populations[:-1]
        self.packed, self._batch, self._device, self._dtype = packed, batch, device, dtype
        self.samples, self.timesteps, self.size = len(batch), batch.timesteps, model.size
        self.bounds = [(int(r[Populations.START]), int(r[Populations.STOP])) for r in rows]
        self.output = self.bounds[model.index(model.output)]
        ranked = sorted((rank, p) for p, rank in enumerate(model.ranks))
        self.by_rank = [p for _, p in ranked]
        sizes = rows[:, Populations.STOP] - rows[:, Populations.START]

        self.owner = torch.from_numpy(np.repeat(np.arange(len(rows)), sizes)).to(device)
        self._parameters, self._logs = parameters, logs
        of_threshold = None if logs is None else logs[2]
        self.neurons = neurons_of(packed, parameters, device, dtype, of_threshold)
        self.reads_potentials = model.decides_by_potential
        self.seeds = torch.from_numpy(batch.seeds.view(np.int64).copy()).to(device)
        self.passes = torch.from_numpy(batch.passes.copy()).to(device)
        self._times = self._pass_times()

    def decays(self, t: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the decay factors [B or 1, N] for the interval before pass ``t``.

        They are those of membrane potential, synaptic current and adaptation.
        """
        model = self.packed.model
        intervals = [model.timestep_us]
        if not model.timestep_us:
            intervals = np.maximum(self._times[:, t] - self._times[:, t - 1], 0).tolist()
        rows = [decays_of(model, self._parameters, interval) for interval in intervals]
        membrane, current, adaptation = (self._stacked(row) for row in zip(*rows, strict=True))
        if self._logs is not None:
            slopes = [decay_slopes(model, self._parameters, interval) for interval in intervals]
            change = self._logs - self._logs.detach()
            membrane, current = (
                factors + self._stacked(row) * change[k]
                for k, (factors, row) in enumerate(
                    zip((membrane, current), zip(*slopes, strict=True), strict=True)
                )
            )
        return membrane, current, adaptation

    def _stacked(self, rows: Sequence[NDArray[np.float32]]) -> Tensor:
        return self._values(np.stack(rows))

    def input_group(self, t: int, is_queued: bool) -> tuple[Tensor, Tensor]:
        """Return the input of pass ``t``.

        Returns:
            The input group [B, N + I] and the input events that become pending, bool[B, E]. If
            input is queued, the input group is empty; otherwise no input event becomes pending.
        """
        self._origin, present = self._events_of(t)
        inputs = self.gathered_input(t, present)
        if is_queued:
            inputs = torch.zeros_like(inputs)
        else:
            present = torch.zeros_like(present)
        no_spikes = inputs.new_zeros(self.samples, self.size)
        return torch.cat([no_spikes, inputs], 1), present

    def gathered_input(self, t: int, chosen: Tensor) -> Tensor:
        """Return how often each input occurs among the chosen events of pass ``t``, [B, I]."""
        counts = torch.zeros(
            self.samples, self.packed.model.input_size, dtype=self._dtype, device=self._device
        )
        return counts.scatter_add_(1, self._origin, chosen.to(self._dtype))

    def empty_result(self) -> ForwardResult:
        """Return the result of a batch without passes."""
        start, stop = self.output
        votes = torch.zeros(self.samples, 0, stop - start, dtype=self._dtype, device=self._device)
        spikes = votes.new_zeros(self.samples, 0, len(self.bounds))
        potentials = torch.zeros_like(votes) if self.reads_potentials else None
        return ForwardResult(votes, spikes, torch.full_like(self.passes, -1), potentials)

    def _values(self, values: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.array(values)).to(self._device, self._dtype)

    def _pass_times(self) -> NDArray[np.int64]:
        """Return the virtual time of each pass, i64[B, T], µs. It is 0 if there is a timestep."""
        batch = self._batch
        times = np.zeros((self.samples, self.timesteps), np.int64)
        for k in range(self.samples):
            distinct = np.unique(batch.t_us[batch.offsets[k] : batch.offsets[k + 1]])
            if not self.packed.model.timestep_us:
                times[k, : distinct.size] = distinct
        return times

    def _events_of(self, t: int) -> tuple[Tensor, Tensor]:
        """Return the input indices i64[B, E] of pass ``t``, and which of them are events.

        Samples with fewer events than others are padded.
        """
        batch, timestep = self._batch, self.packed.model.timestep_us
        indices = []
        for k in range(self.samples):
            events = slice(batch.offsets[k], batch.offsets[k + 1])
            t_us = batch.t_us[events]
            if timestep:
                in_pass = t_us // timestep == t
            else:
                in_pass = (t_us == self._times[k, t]) & (t < batch.passes[k])
            indices.append(batch.index[events][in_pass])
        max_events = max((len(index) for index in indices), default=0)
        origin = np.zeros((self.samples, max_events), np.int64)
        present = np.zeros((self.samples, max_events), bool)
        for k, index in enumerate(indices):
            origin[k, : index.size], present[k, : index.size] = index, True
        return (
            torch.from_numpy(origin).to(self._device),
            torch.from_numpy(present).to(self._device),
        )
