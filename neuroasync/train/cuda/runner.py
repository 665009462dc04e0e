"""Forward and backward passes of batches by the CUDA kernels."""

from dataclasses import replace
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.run_settings import RunSettings, forward_step_limit_error
from neuroasync.train.batch import Batch
from neuroasync.train.cuda.launching import Launcher, forward_bytes, launch, settings_entries
from neuroasync.train.cuda.layout import CudaContext, Status
from neuroasync.train.cuda.record import Capacity, CudaRecord
from neuroasync.train.cuda.tables import BatchTables, NetworkTables, bits
from neuroasync.train.event_record import check_settings

__all__ = ["CudaRunner"]

_GRADIENTS: Final = 2**28
"""Maximum number of values in all gradient buffers together, 1 GiB."""
_BUFFERS: Final = 1024
"""Maximum number of gradient buffers."""


class CudaRunner:
    """Runner of batches on one network: forward passes with an event record, and backward passes.

    Args:
        packed: The network. Its weights are not used.
        launcher: Compiles and launches the kernels.
    """

    def __init__(self, packed: PackedNetwork, launcher: Launcher) -> None:
        self._packed, self._launcher = packed, launcher
        self._network = NetworkTables(packed, launcher.device)
        self._capacity = Capacity(0, 0, 0, 0, 0)

    def __reduce__(self) -> tuple[type[Self], tuple[PackedNetwork, Launcher]]:
        """Return how to make a pickle or a copy, because addresses hold in this process only."""
        return type(self), (self._packed, self._launcher)

    @property
    def device(self) -> torch.device:
        """Device of the weights and results."""
        return self._launcher.device

    def run(
        self,
        weights: Tensor,
        batch: Batch,
        settings: RunSettings,
        dropout: float = 0.0,
        keep: bool = True,
    ) -> CudaRecord:
        """Run the forward passes of a batch.

        Args:
            weights: f32[..] on the device, laid out like ``PackedArrays.weights``. They must not
                change while the record is in use.
            batch: The samples.
            settings: Ordering policy, group size and input mode. The stop rule must be ``quiet``.
            dropout: Probability that a neuron does not become refractory when it fires.
            keep: Whether :meth:`backward` will be called with the record.

        Raises:
            ValueError: The batch was made for another network, the policy is custom, the stop
                rule is not ``quiet``, or ``dropout`` is not from 0 to 1.
            ForwardStepLimitError: A pass took more forward steps than the settings allow.
        """
        batch.check_fits(self._packed.model)
        if batch.value is not None:
            raise ValueError(
                "the CUDA engine does not support input events with values; train on device='cpu'"
            )
        check_settings(settings, dropout)
        of_settings = settings_entries(settings, dropout)
        device = self._launcher.device
        tables = BatchTables(self._packed, batch, settings.input == "queued", device)
        entries = self._network.entries | tables.entries | of_settings
        entries[CudaContext.WEIGHTS] = weights
        self._capacity = self._first_capacity(batch, tables)
        size = forward_bytes(self._packed, tables)
        while True:
            record = CudaRecord(entries, self._capacity, keep, device)
            launch(self._launcher, "forward", len(batch), size, record.entries)
            status = record.status.cpu().numpy()
            if not (status[:, Status.CODE] == 1).any():
                break
            needed = status[:, Status.ROWS : Status.POTENTIALS + 1].max(0).tolist()
            self._capacity = self._capacity.grown(Capacity(*needed))
        failed = np.flatnonzero(status[:, Status.CODE])
        if failed.size:
            k, model = int(failed[0]), self._packed.model
            place = f"sample {k} of the batch: pass {status[k, Status.PASS]}"
            raise forward_step_limit_error(place, settings, model, int(status[k, Status.OWNER]))
        return record

    def backward(
        self,
        record: CudaRecord,
        grad_votes: Tensor,
        grad_spikes: Tensor,
        surrogate: tuple[int, float],
    ) -> Tensor:
        """Return the gradient of the loss with respect to the weights, f32[..].

        The sums are taken in a fixed order, so that the same record gives the same bits.

        Args:
            record: Record of a :meth:`run` with ``keep=True``.
            grad_votes: f32[B, T, classes], gradient with respect to ``record.votes``.
            grad_spikes: f32[B, T, P], gradient with respect to ``record.spikes``.
            surrogate: ``Surrogate.code`` of the surrogate derivative.
        """
        samples, device = record.labels.numel(), self._launcher.device
        size = int(record.entries[CudaContext.WEIGHT_COUNT])
        buffers = max(1, min(samples, _BUFFERS, _GRADIENTS // size))
        total = torch.zeros(size, dtype=torch.float32, device=device)
        entries = record.entries | {
            CudaContext.GRAD_VOTES: grad_votes.contiguous(),
            CudaContext.GRAD_SPIKES: grad_spikes.contiguous(),
            CudaContext.SURROGATE: surrogate[0],
            CudaContext.SLOPE: bits(surrogate[1]),
            CudaContext.GRADS: torch.zeros(buffers, size, dtype=torch.float32, device=device),
            CudaContext.GRAD_COUNT: buffers,
            CudaContext.GRAD: total,
        }
        if samples:
            launch(self._launcher, "backward", buffers, self._backward_bytes(), entries)
            launch(self._launcher, "add_up", -(-size // 256), 0, entries)
        return total

    def _first_capacity(self, batch: Batch, tables: BatchTables) -> Capacity:
        """Return a capacity that suffices for sparse activity, or what earlier batches needed."""
        neurons, passes = self._packed.model.size, batch.timesteps
        populations = len(self._packed.model.populations)
        rows = neurons * (2 + passes // 16)
        estimate = Capacity(
            rows=rows,
            slots=rows + tables.input_slots,
            steps=4 * passes + 64,
            turns=(passes + 1) * populations + 2,
            potentials=(passes + 2) * neurons,
        )
        known = self._capacity
        return replace(
            estimate, **{name: max(getattr(estimate, name), getattr(known, name))
                         for name in Capacity.__slots__}
        )  # fmt: skip

    def _backward_bytes(self) -> int:
        """Return the size of a block's ``Unwinding``, which ``gradients.cuh`` defines."""
        model, ring = self._packed.model, self._network.ring
        return 4 * ((6 + 2 * ring) * model.size + (3 + ring) * len(model.populations) + 1)
