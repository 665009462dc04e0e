"""Launches of kernels: what all runs of a network by the CUDA engine share."""

from typing import Final, Protocol

import torch
from torch import Tensor

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.kernels.layout import PolicyCode
from neuroasync.train.cuda.layout import CudaContext
from neuroasync.train.cuda.tables import BatchTables, Entries, bits, on_device, write

__all__ = ["Launcher", "forward_bytes", "launch", "settings_entries"]

_POLICIES: Final = {
    LayerSync: PolicyCode.LAYER_SYNC,
    Random: PolicyCode.RANDOM,
    Momentum: PolicyCode.MOMENTUM,
    Fifo: PolicyCode.FIFO,
}
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


def launch(launcher: Launcher, kernel: str, blocks: int, size: int, entries: Entries) -> None:
    """Launch a kernel whose blocks need ``size`` bytes of state."""
    entries, shared = dict(entries), size
    if size > launcher.shared_bytes:
        size, shared = -(-size // 8) * 8, 0
        blocks = min(blocks, max(1, _STATES // size))  # a block can run several samples
        entries[CudaContext.STATE_BYTES] = size
        entries[CudaContext.STATE] = torch.empty(
            blocks * size, dtype=torch.uint8, device=launcher.device
        )
    if blocks:
        launcher.launch(kernel, blocks, shared, on_device(write(entries), launcher.device))


def forward_bytes(packed: PackedNetwork, tables: BatchTables) -> int:
    """Return the size of a block's ``State``, which ``state.cuh`` defines."""
    model = packed.model
    n, e = model.size, tables.queued_events
    classes = model.populations[model.index(model.output)].size
    return 8 * (n + e) + 4 * (n + e + 9 * n + 4 * len(model.populations) + 2 * classes + e)


def settings_entries(settings: RunSettings, dropout: float = 0.0) -> Entries:
    """Return the entries of run settings, without the stop rule.

    Args:
        settings: Ordering policy, which is built in, group size and input mode.
        dropout: Probability that a neuron does not become refractory when it fires.
    """
    policy = settings.policy
    return {
        CudaContext.POLICY: _POLICIES[type(policy)],
        CudaContext.GROUP_SIZE: min(settings.group_size, 2**31 - 1),
        CudaContext.QUEUED: int(settings.input == "queued"),
        CudaContext.MAX_STEPS: min(settings.max_forward_steps, 2**31 - 1),
        CudaContext.NOISE: bits(policy.noise if isinstance(policy, Momentum) else 0.0),
        CudaContext.DROPOUT: bits(dropout),
    }
