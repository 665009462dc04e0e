"""The settings of torch under which a training runs, whatever the program around it has set."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

__all__ = ["own_torch_state"]


@contextmanager
def own_torch_state() -> Iterator[None]:
    """Run the block under torch's default settings and with gradients, then restore the settings.

    Torch uses one thread in the block, so that its threads do not compete with those of the
    kernels. Settings that hold for the whole process are changed only if they differ.
    """
    with ExitStack() as stack:
        # Parameters that are created in inference mode can never be trained.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if (threads := torch.get_num_threads()) != 1:
            stack.callback(torch.set_num_threads, threads)
            torch.set_num_threads(1)
        if (dtype := torch.get_default_dtype()) != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.is_anomaly_enabled():
            stack.enter_context(torch.autograd.set_detect_anomaly(False))
        if mode := torch.get_deterministic_debug_mode():
            stack.callback(torch.set_deterministic_debug_mode, mode)
            torch.set_deterministic_debug_mode(0)
        if _flushes_denormals():
            stack.callback(torch.set_flush_denormal, True)
            torch.set_flush_denormal(False)
        yield


def _flushes_denormals() -> bool:
    """Return whether this thread rounds tiny numbers to 0; torch can set this, but not tell it."""
    return bool(np.float32(1e-40) * np.float32(1.0) == 0)
