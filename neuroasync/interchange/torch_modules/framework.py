"""What the import of a module needs to know about the framework of its spiking layers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroasync.core.model.neurons import Neuron

__all__ = ["Framework", "Layout", "SpikingLayer", "evaluation", "output_frames", "run_module"]


class Layout(Enum):
    """How a module takes its input.

    ``STEPS``: one call per timestep, [batch, ..]. ``LOOP``: one call, [timesteps, batch, ..]; the
    module calls its layers once per timestep. ``LOOP_BATCH_FIRST``: the same with [batch,
    timesteps, ..]. ``TIME_FIRST``: [timesteps, batch, ..], and each layer takes all timesteps at
    once. ``BATCH_FIRST``: the same with [batch, timesteps, ..]. ``FLAT``: the same with [batch *
    timesteps, ..].
    """

    STEPS = "steps"
    LOOP = "loop"
    LOOP_BATCH_FIRST = "loop, batch first"
    TIME_FIRST = "time first"
    BATCH_FIRST = "batch first"
    FLAT = "flat"

    @property
    def calls_once(self) -> bool:
        """Whether a layer is called once for all timesteps."""
        return self in (Layout.TIME_FIRST, Layout.BATCH_FIRST, Layout.FLAT)


@dataclass(frozen=True, slots=True, eq=False)
class SpikingLayer:
    """A spiking layer of a framework as a population.

    Attributes:
        neuron: Parameters of the neurons; leaky integrators if the output is potentials.
        gain: Factor of the input current, f64 of the layer's shape.
        notes: Sentences about parameters that are not exact to the last bit.
        condition: Sentence about when the population computes the same, if it does not always.
    """

    neuron: Neuron
    gain: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    condition: str | None = None


class Framework(Protocol):
    """A framework whose modules can be imported.

    Attributes:
        name: Name of the framework.
        package: Name of its Python package.
    """

    name: str
    package: str

    def is_layer(self, module: nn.Module) -> bool:
        """Return whether a module is a spiking layer of this framework."""

    def layouts(self, layers: Sequence[nn.Module]) -> Sequence[Layout]:
        """Return the layouts that a module with these layers may have, most likely first."""

    def whole_input(
        self, layer: Any, args: Sequence[Any], previous: Callable[[Sequence[int]], Tensor]
    ) -> Tensor:
        """Return the whole input current of a layer.

        Args:
            layer: The layer.
            args: The arguments of the call.
            previous: Returns its own spikes of the previous timestep, given their shape.
        """

    def state(self, layer: Any, args: Sequence[Any]) -> list[Tensor] | None:
        """Return the state that a layer starts from when it is called with ``args``.

        None if the layer cannot be called once per timestep.
        """

    def check_layer(self, layer: Any, name: str) -> None:
        """Check what does not depend on the shape of a layer, before the module runs.

        Raises:
            InterchangeError: The layer has no counterpart.
        """

    def spiking_layer(
        self, layer: Any, name: str, shape: tuple[int, ...], timestep_us: int, is_output: bool
    ) -> SpikingLayer:
        """Return the population that computes what a layer computes.

        Args:
            layer: The layer.
            name: Its name in the module.
            shape: Shape of its neurons.
            timestep_us: Duration of a timestep, µs.
            is_output: Whether it is the last layer.

        Raises:
            InterchangeError: No population does.
        """

    def reset(self, module: nn.Module) -> None:
        """Set the state of all layers to rest."""

    def step(self, module: nn.Module, frame: Tensor, state: Any) -> Any:
        """Run one timestep and return the state for the next one."""

    def potential(self, layer: Any, output: Any) -> Tensor | None:
        """Return the membrane potentials after a call; None if they are not known.

        Those of leaky integrators are always known.
        """


@contextmanager
def evaluation(module: nn.Module) -> Iterator[None]:
    """Put all parts of ``module`` into evaluation mode inside the block."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def run_module(
    framework: Framework, module: nn.Module, layout: Layout, frames: Tensor, mark: Any = None
) -> None:
    """Run a module from rest on frames, f32[batch, timesteps, *input_shape].

    Args:
        framework: The framework of its layers.
        module: The module.
        layout: How it takes its input.
        frames: The input.
        mark: Called with each tensor that the module gets and the number of its timestep.
    """
    framework.reset(module)
    tell = mark or (lambda tensor, timestep: None)
    if layout is Layout.STEPS:
        state = None
        for t in range(frames.shape[1]):
            frame = frames[:, t].contiguous()
            tell(frame, t)
            state = framework.step(module, frame, state)
        return
    if layout in (Layout.LOOP, Layout.TIME_FIRST):
        given = frames.transpose(0, 1).contiguous()
    elif layout in (Layout.LOOP_BATCH_FIRST, Layout.BATCH_FIRST):
        given = frames.clone()
    else:
        given = frames.reshape(-1, *frames.shape[2:]).clone()
    tell(given, 0)
    module(given)


def output_frames(
    layout: Layout, outputs: Mapping[int, Tensor], batch: int, timesteps: int
) -> Tensor:
    """Return the outputs of a layer's calls as one tensor [batch, timesteps, neurons]."""
    if not layout.calls_once:
        return torch.stack([outputs[t].reshape(batch, -1) for t in range(timesteps)], 1)
    (output,) = outputs.values()
    if layout is Layout.TIME_FIRST:
        return output.reshape(timesteps, batch, -1).transpose(0, 1)
    return output.reshape(batch, timesteps, -1)
