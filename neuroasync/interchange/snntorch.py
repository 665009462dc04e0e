"""Networks of snnTorch.

The neurons of snnTorch (Eshraghian et al., arXiv 2109.12894), with the input current I, the
potential U, the synaptic current S, and the reset R, which is 1 after a spike:

    Leaky       U[t+1] = beta U[t] + I[t+1] - R threshold            (subtract)
    Synaptic    S[t+1] = alpha S[t] + I[t+1],  U[t+1] = beta U[t] + S[t+1] - R threshold
    Lapicque    U[t+1] = (1 - T/RC) U[t] + (T/C) I[t+1] - R threshold
    RLeaky, RSynaptic    the same with I[t+1] + V(spikes[t]) in the place of I[t+1]

A neuron fires if U > threshold. With ``reset_delay`` (the default), the reset takes effect at the
next timestep, after the decay; without it, at once. A reset of ``Leaky`` to zero is the same with
and without the delay, because a neuron of a population fires once per pass and then ignores input.

A reset by subtraction at once is different. In the code of snnTorch 1.0.0, it amounts to

    fires if  beta U[t] + I[t+1] > threshold + R threshold,  with R = 1 if U[t] > threshold
    U[t+1] = beta U[t] + I[t+1] - threshold   if it fires

So the threshold is twice as high where the last reset left the potential above it. R does not
follow from the spikes, so neither another amount to subtract nor an adaptive threshold gives the
same. While no potential exceeds twice the threshold, R stays 0, and the population is exact.

With ``readout="potential"``, the output of the network is U of the last layer, without resets.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroasync.core.durations import Duration
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.checks import must_be, shown
from neuroasync.core.model.neurons import LI, LIF
from neuroasync.errors import InterchangeError
from neuroasync.interchange.layer_parameters import number_or_array, spread, time_constant
from neuroasync.interchange.torch_modules.framework import Layout, SpikingLayer
from neuroasync.interchange.torch_modules.from_module import Imported, from_module

__all__ = ["Readout", "SnnTorch", "from_snntorch"]

Readout = Literal["spikes", "potential"]
"""The output of a network: the spikes or the potentials of its last layer."""

_KINDS: Final = ("Leaky", "Synaptic", "Lapicque", "RLeaky", "RSynaptic")
_RECURRENT: Final = ("RLeaky", "RSynaptic")
_AT_ONCE: Final = (
    "subtracts its threshold at once. Where the potential is still above the threshold after that, "
    "snnTorch subtracts it once more before the neuron is evaluated, and the network does not"
)


def from_snntorch(
    module: nn.Module,
    *,
    timestep_us: Duration,
    input_shape: tuple[int, ...] | None = None,
    reference: SpikeTrains | NDArray[Any] | None = None,
    timesteps: int | None = None,
    classes: tuple[str, ...] | None = None,
    readout: Readout = "spikes",
) -> Imported:
    r"""Import a trained snnTorch module, and compare it with snnTorch on reference samples.

    The module takes one timestep, [batch, \*input_shape], or loops over all of them, [timesteps,
    batch, \*input_shape] or [batch, timesteps, \*input_shape]. It is run once to find out which
    layers feed which: linear functions between spiking layers (linear and convolutional layers,
    sums, skips, average pooling, batch normalization in evaluation mode) become connections. What
    has no exact counterpart is refused.

    Args:
        module: The module, with layers ``snn.Leaky``, ``snn.Synaptic``, ``snn.Lapicque``,
            ``snn.RLeaky`` or ``snn.RSynaptic``. It stays as it is. The last spiking layer is the
            output.
        timestep_us: Duration of one timestep, µs or such as ``"1ms"``.
        input_shape: Shape of the input at one timestep. Defaults to that of ``reference``.
        reference: Samples to compare both on: spike trains, or numbers, [samples, timesteps,
            \*input_shape], or [samples, \*input_shape] if they stay the same during all
            ``timesteps``. Numbers 0, 1, 2, ... are numbers of spikes. If there are others, all are
            values, which reach the network as events with values.
        timesteps: Number of timesteps of a sample. Defaults to that of ``reference``.
        classes: Names of the classes, one per output neuron.
        readout: What the output is: ``"spikes"`` of the last layer, or its ``"potential"``. In that
            case, the layer must have ``reset_mechanism="none"``, its threshold does not matter, and
            the label is the class of the highest potential after the last timestep.

    Returns:
        The bundle, and the agreement report if there is a ``reference``.

    Raises:
        InterchangeError: A part of the module has no exact counterpart; the message names it.
        EventsError: ``reference`` is invalid.
        ValueError: An argument is out of range.
    """
    if readout not in get_args(Readout):
        raise ValueError(must_be("readout", f"one of {list(get_args(Readout))}", shown(readout)))
    framework = SnnTorch(readout)
    return from_module(framework, module, timestep_us, input_shape, reference, timesteps, classes)


class SnnTorch:
    """What the import needs to know about snnTorch; a :class:`Framework`.

    Args:
        readout: What the output of the network is.
    """

    name = "snnTorch"
    package = "snntorch"

    def __init__(self, readout: Readout = "spikes") -> None:
        self._readout = readout

    def is_layer(self, module: nn.Module) -> bool:
        """Return whether a module is a spiking layer."""
        return any(
            c.__module__ == "snntorch._neurons.neurons" and c.__name__ == "SpikingNeuron"
            for c in type(module).__mro__
        )

    def layouts(self, layers: Sequence[nn.Module]) -> Sequence[Layout]:
        """Return the layouts to try."""
        return Layout.STEPS, Layout.LOOP, Layout.LOOP_BATCH_FIRST

    def whole_input(
        self, layer: Any, args: Sequence[Any], previous: Callable[[Sequence[int]], Tensor]
    ) -> Tensor:
        """Return the input current, with that of the recurrent connection."""
        current: Tensor = args[0]
        if type(layer).__name__ in _RECURRENT:
            current = current + layer.recurrent(previous(current.shape))
        return current

    def state(self, layer: Any, args: Sequence[Any]) -> list[Tensor] | None:
        """Return the potentials, which are the last argument or belong to the layer."""
        given = args[-1] if len(args) > 1 else None
        return [layer.mem if given is None else given]

    def check_layer(self, layer: Any, name: str) -> None:
        """Refuse a layer that has no counterpart, whatever its shape is."""
        kind = type(layer).__name__
        place = f"layer `{name}` (snn.{kind})"
        _check_layer(layer, kind, place)
        _reset(layer, kind, place)

    def spiking_layer(
        self, layer: Any, name: str, shape: tuple[int, ...], timestep_us: int, is_output: bool
    ) -> SpikingLayer:
        """Return the population of a layer."""
        kind = type(layer).__name__
        place = f"layer `{name}` (snn.{kind})"
        decay, gain = layer.beta.clamp(0, 1), np.ones(shape)
        if kind == "Lapicque":
            decay = 1 - layer.time_step / (layer.R * layer.C)
            rate = layer.R * (1 / (layer.R * layer.C)) * layer.time_step
            gain = spread(rate, shape, place, "C").astype(np.float64)
        tau_mem_us, notes = time_constant(decay, shape, timestep_us, place, "beta")
        values: dict[str, Any] = {"tau_mem_us": tau_mem_us}
        if hasattr(layer, "alpha"):
            alpha = layer.alpha.clamp(0, 1)
            values["tau_syn_us"], more = time_constant(alpha, shape, timestep_us, place, "alpha")
            notes += more
        if is_output and self._readout == "potential":
            _check_readout(layer, kind, place)
            return SpikingLayer(LI(**values), gain, tuple(notes))
        values["v_threshold"] = number_or_array(layer.threshold, shape, place, "threshold")
        reset = _reset(layer, kind, place)
        condition = f"{place} {_AT_ONCE}" if reset == {"reset": "subtract"} else None
        return SpikingLayer(LIF(**values, **reset), gain, tuple(notes), condition)

    def reset(self, module: nn.Module) -> None:
        """Set the state of all layers to rest."""
        for part in module.modules():
            if self.is_layer(part):
                part.reset_mem()  # type: ignore[operator]  # a method of every layer

    def step(self, module: nn.Module, frame: Tensor, state: Any) -> Any:
        """Run one timestep; the layers hold the state."""
        module(frame)

    def potential(self, layer: Any, output: Any) -> Tensor | None:
        """Return the potentials, which a layer holds."""
        potential: Tensor = layer.mem
        return potential


def _check_layer(layer: Any, kind: str, place: str) -> None:
    if kind not in _KINDS:
        known = ", ".join(f"snn.{k}" for k in _KINDS)
        raise InterchangeError(f"{place} cannot be imported; these layers can: {known}")
    if layer.inhibition:
        raise InterchangeError(f"{place} must not have inhibition=True, which has no counterpart")
    if layer.state_quant:
        raise InterchangeError(f"{place} must not have state_quant, which has no counterpart")
    if not torch.all(torch.as_tensor(layer.graded_spikes_factor) == 1):
        raise InterchangeError(f"{place} must have graded_spikes_factor=1, because spikes count 1")
    probe = torch.tensor([-1.0, -1e-6, 0.0, 1e-6, 1.0])
    if layer.spike_grad(probe).tolist() != [0, 0, 0, 1, 1]:
        raise InterchangeError(
            f"{place} must fire exactly if its potential is above the threshold, but the forward "
            "pass of its spike_grad does something else"
        )


def _reset(layer: Any, kind: str, place: str) -> dict[str, Any]:
    mechanism, is_delayed = layer.reset_mechanism, getattr(layer, "reset_delay", True)
    if kind == "RSynaptic" and not is_delayed:
        raise InterchangeError(
            f"{place} must have reset_delay=True, because snnTorch does not apply the reset of "
            "this layer otherwise"
        )
    if mechanism == "zero" and kind != "Leaky" and is_delayed:
        raise InterchangeError(
            f"{place} must not have reset_mechanism='zero' with a delayed reset, because it then "
            "loses the input of the timestep after a spike, which has no counterpart"
        )
    if mechanism == "subtract" and is_delayed:
        return {"reset": "subtract", "reset_delayed": True}
    return {"reset": mechanism}


def _check_readout(layer: Any, kind: str, place: str) -> None:
    if kind in _RECURRENT:
        raise InterchangeError(
            f"{place} must not be recurrent, because its output is its potential"
        )
    if layer.reset_mechanism != "none":
        raise InterchangeError(
            f"{place} must have reset_mechanism='none', because its output is its potential, got "
            f"{layer.reset_mechanism!r}"
        )
