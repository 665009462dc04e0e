"""Networks of Norse.

The neurons of Norse (Pehle and Pedersen, doi:10.5281/zenodo.4422025) take Euler steps of length dt,
with the input x, the synaptic current i and the potential v:

    LIFBoxCell    v += dt tau_mem_inv ((x + v_leak) - v)
    LIF, LIFCell  i += x,  v += dt tau_mem_inv ((v_leak - v) + i),  i -= dt tau_syn_inv i
    IAF, IAFCell  v += x
    LIFRecurrent, LIFRecurrentCell    LIF with x = W z_in[t] + R z[t - 1]
    LIBoxCell; LI, LICell, LILinearCell    LIFBoxCell; LIF without spikes, for readouts

A neuron fires if v > v_th, and its potential becomes v_reset, or v - v_th. So the membrane decays
by 1 - dt tau_mem_inv per timestep, the synapse by 1 - dt tau_syn_inv, and the input is scaled by
dt tau_mem_inv, which is multiplied into the weights.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from neuroasync.core.durations import Duration
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.neurons import LI, LIF
from neuroasync.errors import InterchangeError
from neuroasync.interchange.layer_parameters import number_or_array, time_constant
from neuroasync.interchange.torch_modules.framework import Framework, Layout, SpikingLayer
from neuroasync.interchange.torch_modules.from_module import Imported, from_module

__all__ = ["FRAMEWORK", "from_norse"]

_READOUTS: Final = ("LIBoxCell", "LICell", "LI", "LILinearCell")
_CURRENT_BASED: Final = (
    "LIFCell", "LIF", "LIFRecurrentCell", "LIFRecurrent", *_READOUTS[1:],
)  # fmt: skip
_KINDS: Final = ("LIFBoxCell", "IAFCell", "IAF", "LIBoxCell", *_CURRENT_BASED)
_RECURRENT: Final = ("LIFRecurrentCell", "LIFRecurrent")
_BASES: Final = frozenset({"SNNCell", "SNN", "SNNRecurrentCell", "SNNRecurrent"})
_STOCHASTIC: Final = ("logistic",)


def from_norse(
    module: nn.Module,
    *,
    timestep_us: Duration,
    input_shape: tuple[int, ...] | None = None,
    reference: SpikeTrains | NDArray[Any] | None = None,
    timesteps: int | None = None,
    classes: tuple[str, ...] | None = None,
) -> Imported:
    r"""Import a trained Norse module, and compare it with Norse on reference samples.

    The module is a ``SequentialState`` of cells, which takes one timestep, [batch, \*input_shape];
    or it takes all timesteps, [timesteps, batch, \*input_shape]. The rest is as in
    :func:`from_snntorch`.

    Args:
        module: The module, with layers ``LIFBoxCell``, ``LIF``, ``LIFCell``, ``LIFRecurrent``,
            ``LIFRecurrentCell``, ``IAF`` or ``IAFCell``. It stays as it is. The last layer is the
            output: a spiking one, whose spikes are votes, or ``LIBoxCell``, ``LI``, ``LICell`` or
            ``LILinearCell``. Then the label is the class of the highest potential after the last
            timestep.
        timestep_us: Duration of one timestep, µs or such as ``"1ms"``. It need not be Norse's dt.
        input_shape: Shape of the input at one timestep. Defaults to that of ``reference``.
        reference: Samples to compare both on: spike trains, or numbers, [samples, timesteps,
            \*input_shape], or [samples, \*input_shape] if they stay the same during all
            ``timesteps``. Numbers 0, 1, 2, ... are numbers of spikes. If there are others, all are
            values, which reach the network as events with values.
        timesteps: Number of timesteps of a sample. Defaults to that of ``reference``.
        classes: Names of the classes, one per output neuron.

    Returns:
        The bundle, and the agreement report if there is a ``reference``.

    Raises:
        InterchangeError: A part of the module has no exact counterpart; the message names it.
        EventsError: ``reference`` is invalid.
        ValueError: An argument is out of range.
    """
    return from_module(FRAMEWORK, module, timestep_us, input_shape, reference, timesteps, classes)


class _Norse:
    """What the import needs to know about Norse."""

    name = "Norse"
    package = "norse"

    def is_layer(self, module: nn.Module) -> bool:
        """Return whether a module is a spiking layer."""
        return any(
            (c.__module__ == "norse.torch.module.snn" and c.__name__ in _BASES)
            or (c.__module__ == "norse.torch.module.leaky_integrator" and c.__name__ in _READOUTS)
            for c in type(module).__mro__
        )

    def layouts(self, layers: Sequence[nn.Module]) -> Sequence[Layout]:
        """Return the layouts to try."""
        if all(type(layer).__name__.endswith("Cell") for layer in layers):
            return Layout.STEPS, Layout.LOOP, Layout.LOOP_BATCH_FIRST
        return (Layout.TIME_FIRST,)

    def whole_input(
        self, layer: Any, args: Sequence[Any], previous: Callable[[Sequence[int]], Tensor]
    ) -> Tensor:
        """Return the input current, with that of the recurrent connection."""
        current: Tensor = args[0]
        if type(layer).__name__ == "LILinearCell":
            return functional.linear(current, layer.input_weights)
        if type(layer).__name__ not in _RECURRENT:
            return current
        feedforward = functional.linear(current, layer.input_weights)
        recurrent = functional.linear(previous(feedforward.shape), layer.recurrent_weights)
        return feedforward + recurrent

    def state(self, layer: Any, args: Sequence[Any]) -> list[Tensor] | None:
        """Return the tensors of the state that the layer was given."""
        state = args[1] if len(args) > 1 else None
        return [] if state is None else list(state)

    def check_layer(self, layer: Any, name: str) -> None:
        """Refuse a layer that has no counterpart, whatever its shape is."""
        kind, p = type(layer).__name__, layer.p
        place = f"layer `{name}` ({kind})"
        if kind not in _KINDS:
            known = ", ".join(_KINDS)
            raise InterchangeError(f"{place} cannot be imported; these layers can: {known}")
        if getattr(p, "method", "") in _STOCHASTIC:
            raise InterchangeError(f"{place} must not have method={p.method!r}, which is random")
        for key in ("v_leak", "v_reset"):
            value = torch.as_tensor(getattr(p, key, 0.0))
            if value.any():
                raise InterchangeError(f"{place} must have {key}=0, got {value.tolist()}")
        if kind not in _READOUTS:
            _reset(p, place)

    def spiking_layer(
        self, layer: Any, name: str, shape: tuple[int, ...], timestep_us: int, is_output: bool
    ) -> SpikingLayer:
        """Return the population of a layer."""
        kind, p = type(layer).__name__, layer.p
        place = f"layer `{name}` ({kind})"
        if kind in ("IAF", "IAFCell"):
            return SpikingLayer(LIF(**_firing(p, shape, place)), np.ones(shape))
        rate = layer.dt * torch.as_tensor(p.tau_mem_inv).double()
        tau, notes = time_constant(1 - rate, shape, timestep_us, place, "1 - dt * tau_mem_inv")
        values: dict[str, Any] = {"tau_mem_us": tau}
        if kind in _CURRENT_BASED:
            decay = 1 - layer.dt * torch.as_tensor(p.tau_syn_inv).double()
            values["tau_syn_us"], more = time_constant(
                decay, shape, timestep_us, place, "1 - dt * tau_syn_inv"
            )
            notes += more
        gain = np.broadcast_to(rate.detach().numpy(), (1, *shape))[0]
        if kind in _READOUTS:
            return SpikingLayer(LI(**values), gain, tuple(notes))
        return SpikingLayer(LIF(**values, **_firing(p, shape, place)), gain, tuple(notes))

    def reset(self, module: nn.Module) -> None:
        """Do nothing, because the state is passed along."""

    def step(self, module: nn.Module, frame: Tensor, state: Any) -> Any:
        """Run one timestep and return the state."""
        output = module(frame, state)
        return output[1] if isinstance(output, tuple) and len(output) > 1 else None

    def potential(self, layer: Any, output: Any) -> Tensor | None:
        """Return the potentials after a timestep, if they are known."""
        kind = type(layer).__name__
        if kind in _READOUTS:
            readout: Tensor = output[0]
            return readout
        is_cell = kind.endswith("Cell")
        return output[1].v if is_cell and isinstance(output, tuple) else None


FRAMEWORK: Final[Framework] = _Norse()
"""Norse, for the import of modules."""


def _firing(p: Any, shape: tuple[int, ...], place: str) -> dict[str, Any]:
    """Return the parameters of a neuron that fires."""
    return {"v_threshold": number_or_array(p.v_th, shape, place, "v_th"), **_reset(p, place)}


def _reset(p: Any, place: str) -> dict[str, Any]:
    method = getattr(p, "reset_method", None)
    if method is None or method.__name__ == "reset_value":
        return {"reset": "zero"}
    if method.__name__ == "reset_subtract":
        return {"reset": "subtract"}
    raise InterchangeError(
        f"{place} must have reset_method=reset_value or reset_subtract, got {method.__name__}"
    )
