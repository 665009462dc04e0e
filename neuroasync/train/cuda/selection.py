"""Whether the CUDA engine runs a network, or the compiled kernels of the CPU."""

import logging
from typing import Final, Literal

import torch

from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.model.model import Model
from neuroasync.core.model.neurons import LIF
from neuroasync.train.cuda.device import CudaLauncher, has_compiler, has_device
from neuroasync.train.cuda.launching import Launcher
from neuroasync.train.cuda.runner import CudaRunner

__all__ = ["Device", "cuda_runner", "current_launcher", "has_engine", "unsupported_feature"]

Device = Literal["auto", "cpu", "cuda"]
"""``"cuda"`` is the CUDA engine, and ``"cpu"`` the compiled kernels. ``"auto"`` chooses the CUDA
engine if there is a device, cuda-core is installed and the engine supports the network; otherwise
the CPU."""

_log = logging.getLogger("neuroasync.train")
_MAX: Final = 2**31 - 1
"""Greatest integer of the kernels' tables."""


def unsupported_feature(packed: PackedNetwork, learn: str | None = None) -> str | None:
    """Return what the CUDA engine does not support about a network, or None.

    Args:
        packed: The network.
        learn: What is learned besides weights and biases, if anything.
    """
    if learn is not None:
        return f"learning {learn}"
    model: Model = packed.model
    for population in model.populations:
        neuron = population.neuron
        if not isinstance(neuron, LIF) or (
            neuron.reset not in ("zero", "subtract")
            or neuron.reset_delayed
            or neuron.reset_amount is not None
            or neuron.tau_syn_us is not None
            or neuron.adaptation is not None
        ):
            return f"the neurons of population {population.name!r}"
    tables = packed.arrays.populations, packed.arrays.connections, packed.arrays.links
    if max(int(t.max(initial=0)) for t in tables) > _MAX or packed.arrays.weights.size > _MAX:
        return "so many synapses"
    return None


def cuda_runner(
    device: Device, packed: PackedNetwork, learn: str | None = None
) -> CudaRunner | None:
    """Return a runner of the CUDA engine, or None if the network is trained on the CPU.

    Args:
        device: The device that was asked for.
        packed: The network.
        learn: What is learned besides weights and biases, if anything.

    Raises:
        ValueError: As for :func:`has_engine`.
    """
    if not has_engine(device):
        return None
    if feature := unsupported_feature(packed, learn):
        level = logging.WARNING if device == "cuda" else logging.INFO
        _log.log(
            level, "the CUDA engine does not support %s, so the CPU trains this network", feature
        )
        return None
    return CudaRunner(packed, current_launcher())


def has_engine(device: Device) -> bool:
    """Return whether the CUDA engine was asked for and can run.

    Args:
        device: The device that was asked for.

    Raises:
        ValueError: The name of the device is unknown, or ``"cuda"`` is asked for and torch finds no
            CUDA device or cuda-core is missing.
    """
    has_cuda = device != "cpu" and has_device()
    if device not in ("auto", "cpu", "cuda") or (device == "cuda" and not has_cuda):
        raise ValueError(
            f"`device` must be 'auto', 'cpu', or 'cuda' if torch finds a CUDA device, "
            f"got {device!r:.80}"
        )
    if has_cuda and not has_compiler():
        needs = "the CUDA engine needs cuda-core: pip install 'neuroasync[cuda]'"
        if device == "cuda":
            raise ValueError(needs)
        _log.info("%s", needs)
        return False
    return has_cuda


def current_launcher() -> Launcher:
    """Return the kernels on torch's current CUDA device."""
    return CudaLauncher(torch.cuda.current_device())
