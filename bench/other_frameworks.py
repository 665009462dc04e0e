"""Other frameworks with the same weights, as functions from frames to the spikes of each layer.

All are layer-synchronous, with decay 1/2 and reset to zero, in the fastest mode that their
documentation describes for a whole sample. Every sample starts from rest.
"""

import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.reference_networks import DECAY, THRESHOLD

__all__ = ["FRAMEWORKS", "Framework", "installed"]

Framework: TypeAlias = Callable[[Any], Sequence[Any]]
"""From the frames of a sample (f32[T, inputs], torch or numpy) to f32[T, neurons] per layer."""

Weights: TypeAlias = Sequence[NDArray[np.float32]]
"""f32[target, source] of each layer."""


def _numpy_loop(weights: Weights) -> Framework:
    def run(frames: NDArray[np.float32]) -> Sequence[Any]:
        v = [np.zeros(len(w), np.float32) for w in weights]
        spikes: list[list[Any]] = [[] for _ in weights]
        for z in frames:
            for k, w in enumerate(weights):
                v[k] = v[k] * np.float32(DECAY) + w @ z
                fires = v[k] > THRESHOLD
                v[k][fires] = 0
                z = fires.astype(np.float32)
                spikes[k].append(z)
        return [np.stack(layer) for layer in spikes]

    return run


def _torch_loop(weights: Weights) -> Framework:
    import torch

    tensors = [torch.from_numpy(w.T.copy()) for w in weights]

    def run(frames: Any) -> Sequence[Any]:
        v = [torch.zeros(w.shape[1]) for w in tensors]
        spikes: list[list[Any]] = [[] for _ in tensors]
        for z in frames:
            for k, w in enumerate(tensors):
                v[k] = v[k] * DECAY + z @ w
                z = (v[k] > THRESHOLD).float()
                v[k] = v[k] * (1 - z)
                spikes[k].append(z)
        return [torch.stack(layer) for layer in spikes]

    return run


def _snntorch(weights: Weights) -> Framework:
    import snntorch
    import torch

    linears = [_linear(w) for w in weights]
    cells = [
        snntorch.Leaky(
            beta=DECAY, threshold=THRESHOLD, reset_mechanism="zero", surrogate_disable=True
        )
        for _ in weights
    ]

    def run(frames: Any) -> Sequence[Any]:
        mem = [cell.reset_mem() for cell in cells]
        spikes: list[list[Any]] = [[] for _ in cells]
        for z in frames[:, None]:
            for k, (linear, cell) in enumerate(zip(linears, cells, strict=True)):
                z, mem[k] = cell(linear(z), mem[k])
                spikes[k].append(z)
        return [torch.cat(layer) for layer in spikes]

    return run


def _norse(weights: Weights) -> Framework:
    import norse.torch as norse
    import torch

    # Norse computes v += dt / tau (i - v), so the weights are divided by dt / tau; this is exact.
    rate = (1 - DECAY) / 1e-3
    parameters = norse.LIFBoxParameters(
        tau_mem_inv=torch.tensor(rate), v_th=torch.tensor(THRESHOLD)
    )
    linears = [_linear(w / np.float32(1 - DECAY)) for w in weights]
    cells = [norse.LIFBoxCell(parameters, dt=1e-3) for _ in weights]

    def run(frames: Any) -> Sequence[Any]:
        states: list[Any] = [None] * len(cells)
        spikes: list[list[Any]] = [[] for _ in cells]
        for z in frames[:, None]:
            for k, (linear, cell) in enumerate(zip(linears, cells, strict=True)):
                z, states[k] = cell(linear(z), states[k])
                spikes[k].append(z)
        return [torch.cat(layer) for layer in spikes]

    return run


def _spikingjelly(weights: Weights) -> Framework:
    from spikingjelly.activation_based import functional, neuron

    linears = [_linear(w) for w in weights]
    nodes = [
        neuron.LIFNode(
            tau=1 / (1 - DECAY),
            decay_input=False,
            v_threshold=THRESHOLD,
            v_reset=0.0,
            step_mode="m",
        )
        for _ in weights
    ]

    def run(frames: Any) -> Sequence[Any]:
        z, spikes = frames[:, None], []
        for linear, node in zip(linears, nodes, strict=True):
            functional.reset_net(node)
            z = node(linear(z))
            spikes.append(z[:, 0])
        return spikes

    return run


def _sinabs(weights: Weights) -> Framework:
    import sinabs.layers
    import torch
    from sinabs.activation import MembraneReset, SingleSpike

    linears = [_linear(w) for w in weights]
    layers = [
        sinabs.layers.LIF(
            tau_mem=-1 / math.log(DECAY),
            spike_threshold=torch.tensor(THRESHOLD),
            spike_fn=SingleSpike,
            reset_fn=MembraneReset(),
            norm_input=False,
        )
        for _ in weights
    ]

    def run(frames: Any) -> Sequence[Any]:
        z, spikes = frames[None], []
        for linear, layer in zip(linears, layers, strict=True):
            layer.reset_states()
            z = layer(linear(z))
            spikes.append(z[0])
        return spikes

    return run


def _linear(weight: NDArray[np.float32]) -> Any:
    import torch

    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data = torch.from_numpy(weight.copy())
    return linear.eval()


FRAMEWORKS: Final[dict[str, tuple[str, Callable[[Weights], Framework]]]] = {
    "numpy loop": ("numpy", _numpy_loop),
    "torch loop": ("torch", _torch_loop),
    "snnTorch": ("snntorch", _snntorch),
    "Norse": ("norse", _norse),
    "SpikingJelly, multi-step": ("spikingjelly", _spikingjelly),
    "sinabs, whole sequence": ("sinabs", _sinabs),
}
"""For each framework: the package that it needs, and a function that makes a runner."""


def installed(name: str) -> bool:
    """Return whether the packages of a framework are installed."""
    package, _ = FRAMEWORKS[name]
    return find_spec(package) is not None and (package == "numpy" or find_spec("torch") is not None)
