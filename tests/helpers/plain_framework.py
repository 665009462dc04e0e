"""A framework of one class, so that the import of modules is tested without a real one."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neuroasync.core.model.neurons import LI, LIF
from neuroasync.interchange.torch_modules.framework import Layout, SpikingLayer


class PlainLIF(nn.Module):
    """Neurons that do not leak, fire above 1 and reset to zero."""

    def __init__(self) -> None:
        super().__init__()
        self.mem: Tensor | float = 0.0

    def forward(self, current: Tensor) -> Tensor:
        """Return the spikes of one timestep."""
        self.mem = self.mem + current
        spikes = (self.mem > 1).float()
        self.mem = self.mem * (1 - spikes)
        return spikes


class PlainLI(PlainLIF):
    """The same neurons, which do not fire, and whose output is their potentials."""

    def forward(self, current: Tensor) -> Tensor:
        """Return the potentials after one timestep."""
        self.mem = self.mem + current
        return self.mem.clone()


class PlainFramework:
    """What the import needs to know about :class:`PlainLIF` and :class:`PlainLI`."""

    name, package = "plain", "plain"

    def is_layer(self, module: nn.Module) -> bool:
        return isinstance(module, PlainLIF)

    def layouts(self, layers: Any) -> tuple[Layout, ...]:
        return Layout.STEPS, Layout.LOOP, Layout.LOOP_BATCH_FIRST

    def whole_input(self, layer: Any, args: Any, previous: Any) -> Tensor:
        return args[0]

    def state(self, layer: Any, args: Any) -> list[Tensor] | None:
        return [layer.mem]

    def check_layer(self, layer: Any, name: str) -> None:
        pass

    def spiking_layer(
        self, layer: Any, name: str, shape: Any, timestep_us: int, is_output: bool
    ) -> SpikingLayer:
        neuron = LI() if isinstance(layer, PlainLI) else LIF()
        return SpikingLayer(neuron, np.ones(shape))

    def reset(self, module: nn.Module) -> None:
        for part in module.modules():
            if isinstance(part, PlainLIF):
                part.mem = 0.0

    def step(self, module: nn.Module, frame: Tensor, state: Any) -> None:
        module(frame)

    def potential(self, layer: Any, output: Any) -> Tensor:
        return torch.as_tensor(layer.mem)
