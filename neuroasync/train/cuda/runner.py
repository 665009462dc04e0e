"""Forward and backward passes of batches by the CUDA kernels."""

from dataclasses import replace
from typing import Final, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.kernels.layout import PolicyCode
from neuroasync.errors import ForwardStepLimitError
from neuroasync.train.batch import Batch
from neuroasync.train.cuda.layout import CudaContext, Status
from neuroasync.train.cuda.record import Capacity, CudaRecord
from neuroasync.train.cuda.tables import BatchTables, Entries, NetworkTables, bits, on_device, write
from neuroasync.train.event_record import check_settings

__all__ = ["CudaRunner", "Launcher"]

_POLICIES: Final = {
    LayerSync: PolicyCode.LAYER_SYNC,
    Random: PolicyCode.RANDOM,
    Momentum: PolicyCode.MOMENTUM,
    Fifo: PolicyCode.FIFO,
}
_GRADIENTS: Final = 2**28
"""Maximum number of values in all gradient buffers together, 1 GiB."""
_BUFFERS: Final = 1024
"""Maximum number of gradient buffers."""


_STATES: Final = 2**30
"""Maximum number of bytes of all states together that lie in global memory."""


class Launcher(Protocol):
    """Compiles the kernels and launches them.

    Attributes:
        device: Device of all tensors.
        shared_bytes: Maximum dynamic shared memory of a block.
    """

    device: torch.device
    shared_bytes: int

    def launch(self, kernel: str, blocks: int, shared_bytes: int, context: Tensor) -> None:
        """Run a kernel on the device, after everything that was launched before."""


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
            ValueError: The batch was made for another network, the policy is custom, or the stop
                rule is not ``quiet``.
            ForwardStepLimitError: A pass took more forward steps than the settings allow.
        """
        batch.check_fits(self._packed.model)
        if batch.value is not None:
            raise ValueError(
                "the CUDA engine does not support input events with values; train on device='cpu'"
            )
        check_settings(settings)
        device = self._launcher.device
        tables = BatchTables(self._packed, batch, settings.input == "queued", device)
        entries = self._network.entries | tables.entries | _settings(settings, dropout)
        entries[CudaContext.WEIGHTS] = weights
        self._capacity = self._first_capacity(batch, tables)
        size = self._forward_bytes(tables)
        while True:
            record = CudaRecord(entries, self._capacity, keep, device)
            self._launch("forward", len(batch), size, record.entries)
            status = record.status.cpu().numpy()
            if not (status[:, Status.CODE] == 1).any():
                break
            needed = status[:, Status.ROWS : Status.POTENTIALS + 1].max(0).tolist()
            self._capacity = self._capacity.grown(Capacity(*needed))
        failed = np.flatnonzero(status[:, Status.CODE])
        if failed.size:
            raise self._step_limit(int(failed[0]), status[failed[0]], settings)
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
            self._launch("backward", buffers, self._backward_bytes(), entries)
            self._launch("add_up", -(-size // 256), 0, entries)
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

    def _forward_bytes(self, tables: BatchTables) -> int:
        """Return the size of a block's ``State``, which ``state.cuh`` defines."""
        model = self._packed.model
        n, e = model.size, tables.queued_events
        classes = int(self._network.entries[CudaContext.CLASSES])
        return 8 * (n + e) + 4 * (n + e + 9 * n + 4 * len(model.populations) + 2 * classes + e)

    def _backward_bytes(self) -> int:
        """Return the size of a block's ``Unwinding``, which ``gradients.cuh`` defines."""
        model, ring = self._packed.model, self._network.ring
        return 4 * ((6 + 2 * ring) * model.size + (3 + ring) * len(model.populations) + 1)

    def _launch(self, kernel: str, blocks: int, size: int, entries: Entries) -> None:
        """Launch a kernel whose blocks need ``size`` bytes of state."""
        entries, shared = dict(entries), size
        if size > self._launcher.shared_bytes:
            size, shared = -(-size // 8) * 8, 0
            blocks = min(blocks, max(1, _STATES // size))  # a block can run several samples
            entries[CudaContext.STATE_BYTES] = size
            entries[CudaContext.STATE] = torch.empty(
                blocks * size, dtype=torch.uint8, device=self._launcher.device
            )
        if blocks:
            context = on_device(write(entries), self._launcher.device)
            self._launcher.launch(kernel, blocks, shared, context)

    def _step_limit(
        self, sample: int, status: NDArray[np.int32], settings: RunSettings
    ) -> ForwardStepLimitError:
        owner = int(status[Status.OWNER])
        latest = "no population fired, because the input is queued"
        if owner >= 0:
            name = self._packed.model.populations[owner].name
            latest = f"population {name!r} was the last to fire"
        return ForwardStepLimitError(
            f"sample {sample} of the batch: pass {status[Status.PASS]} did not end within "
            f"max_forward_steps = {settings.max_forward_steps}; {latest}. Raise the limit, or make "
            "the populations of the loop refractory"
        )


def _settings(settings: RunSettings, dropout: float) -> Entries:
    policy = settings.policy
    return {
        CudaContext.POLICY: _POLICIES[type(policy)],
        CudaContext.GROUP_SIZE: min(settings.group_size, 2**31 - 1),
        CudaContext.QUEUED: int(settings.input == "queued"),
        CudaContext.MAX_STEPS: min(settings.max_forward_steps, 2**31 - 1),
        CudaContext.NOISE: bits(policy.noise if isinstance(policy, Momentum) else 0.0),
        CudaContext.DROPOUT: bits(dropout),
    }
