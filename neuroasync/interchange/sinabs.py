"""Networks of sinabs.

The neurons of sinabs (SynSense) with the input x, the synaptic current i and the potential v are

    LIF   i = alpha_syn (i + x),  v = alpha_mem v + (1 - alpha_mem) i
    IAF   the same with alpha_mem = 1 and without the factor (1 - alpha_mem)

where alpha = exp(-1 / tau). Without tau_syn, i = x. With ``norm_input=False``, there is no factor
(1 - alpha_mem). An ``ExpLeak``, which is for readouts, is a LIF without spikes. A neuron with
``SingleSpike`` fires if v >= spike_threshold; that is, if v is above the next smaller float32,
which becomes the threshold of the population. Then its potential becomes 0, or the threshold of the
layer is subtracted. The factors of the input are multiplied into the weights.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroasync.core.durations import Duration
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.neurons import LI, LIF
from neuroasync.errors import InterchangeError
from neuroasync.interchange.layer_parameters import number_or_array, spread, time_constant
from neuroasync.interchange.torch_modules.framework import Framework, Layout, SpikingLayer
from neuroasync.interchange.torch_modules.from_module import Imported, from_module

__all__ = ["FRAMEWORK", "from_sinabs"]

_READOUTS: Final = ("ExpLeak", "ExpLeakSqueeze")
_KINDS: Final = (
    "LIF", "LIFSqueeze", "LIFRecurrent", "IAF", "IAFSqueeze", "IAFRecurrent", *_READOUTS,
)  # fmt: skip


def from_sinabs(
    module: nn.Module,
    *,
    timestep_us: Duration,
    input_shape: tuple[int, ...] | None = None,
    reference: SpikeTrains | NDArray[Any] | None = None,
    timesteps: int | None = None,
    classes: tuple[str, ...] | None = None,
) -> Imported:
    r"""Import a trained sinabs module, and compare it with sinabs on reference samples.

    The module takes all timesteps, [batch, timesteps, \*input_shape], or, if its layers are
    ``LIFSqueeze`` or ``IAFSqueeze``, [batch * timesteps, \*input_shape]. The rest is as in
    :func:`from_snntorch`.

    Args:
        module: The module, with layers ``LIF``, ``LIFSqueeze``, ``LIFRecurrent``, ``IAF``,
            ``IAFSqueeze`` or ``IAFRecurrent`` that have ``spike_fn=SingleSpike``. It stays as it
            is. The last layer is the output: a spiking one, whose spikes are votes, or ``ExpLeak``
            or ``ExpLeakSqueeze``. Then the label is the class of the highest potential after the
            last timestep.
        timestep_us: Duration of one timestep, µs or such as ``"1ms"``.
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


class _Sinabs:
    """What the import needs to know about sinabs."""

    name = "sinabs"
    package = "sinabs"

    def is_layer(self, module: nn.Module) -> bool:
        """Return whether a module is a spiking layer."""
        return any(c.__name__ == "StatefulLayer" for c in type(module).__mro__)

    def layouts(self, layers: Sequence[nn.Module]) -> Sequence[Layout]:
        """Return the layout to try."""
        is_flat = any(type(layer).__name__.endswith("Squeeze") for layer in layers)
        return (Layout.FLAT if is_flat else Layout.BATCH_FIRST,)

    def whole_input(
        self, layer: Any, args: Sequence[Any], previous: Callable[[Sequence[int]], Tensor]
    ) -> Tensor:
        """Return the input current, with that of the recurrent connection."""
        current: Tensor = args[0]
        if hasattr(layer, "rec_connect"):
            spikes = previous(current.shape).flatten(0, 1)
            current = current + layer.rec_connect(spikes).reshape(current.shape)
        return current

    def state(self, layer: Any, args: Sequence[Any]) -> list[Tensor] | None:
        """Return None, because a layer takes all timesteps at once."""
        return None

    def check_layer(self, layer: Any, name: str) -> None:
        """Refuse a layer that has no counterpart, whatever its shape is."""
        kind = type(layer).__name__
        place = f"layer `{name}` ({kind})"
        _check_layer(layer, kind, place)
        if kind not in _READOUTS:
            _reset(layer.reset_fn, 1.0, place)

    def spiking_layer(
        self, layer: Any, name: str, shape: tuple[int, ...], timestep_us: int, is_output: bool
    ) -> SpikingLayer:
        """Return the population of a layer."""
        kind = type(layer).__name__
        place = f"layer `{name}` ({kind})"
        alpha = layer.alpha_mem_calculated
        tau, notes = time_constant(alpha, shape, timestep_us, place, "alpha_mem")
        values: dict[str, Any] = {"tau_mem_us": tau}
        gain = np.ones(shape)
        if layer.norm_input:
            gain = 1 - spread(alpha, shape, place, "alpha_mem").astype(np.float64)
        if (synapse := layer.alpha_syn_calculated) is not None:
            values["tau_syn_us"], more = time_constant(
                synapse, shape, timestep_us, place, "alpha_syn"
            )
            gain = gain * spread(synapse, shape, place, "alpha_syn").astype(np.float64)
            notes += more
        if kind in _READOUTS:
            return SpikingLayer(LI(**values), gain, tuple(notes))
        return SpikingLayer(LIF(**values, **_firing(layer, shape, place)), gain, tuple(notes))

    def reset(self, module: nn.Module) -> None:
        """Forget the state of all layers."""
        for part in module.modules():
            if self.is_layer(part):
                # An uninitialised state takes the batch size of the next input, and starts at 0.
                for state, _ in list(part.named_buffers(recurse=False)):
                    part.register_buffer(state, torch.zeros(0))

    def step(self, module: nn.Module, frame: Tensor, state: Any) -> Any:
        """Run one timestep; unused, because the layers take all timesteps."""
        return module(frame)

    def potential(self, layer: Any, output: Any) -> Tensor | None:
        """Return the output of a readout; other layers keep their last potentials only."""
        return output if type(layer).__name__ in _READOUTS else None


FRAMEWORK: Final[Framework] = _Sinabs()
"""sinabs, for the import of modules."""


def _check_layer(layer: Any, kind: str, place: str) -> None:
    if kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise InterchangeError(f"{place} cannot be imported; these layers can: {known}")
    if kind not in _READOUTS and getattr(layer.spike_fn, "__name__", "") != "SingleSpike":
        found = getattr(layer.spike_fn, "__name__", type(layer.spike_fn).__name__)
        raise InterchangeError(
            f"{place} must have spike_fn=SingleSpike, because a neuron fires at most once per "
            f"timestep, got {found}"
        )
    if hasattr(layer, "rec_connect") and any(
        parameter.any()
        for name, parameter in layer.rec_connect.named_parameters()
        if name.endswith("bias")
    ):
        raise InterchangeError(
            f"{place} must have a rec_connect without a bias, which sinabs adds in all timesteps "
            "but the first"
        )
    if layer.min_v_mem is not None:
        raise InterchangeError(f"{place} must have min_v_mem=None, which has no counterpart")


def _firing(layer: Any, shape: tuple[int, ...], place: str) -> dict[str, Any]:
    """Return the parameters of a neuron that fires."""
    threshold = number_or_array(layer.spike_threshold, shape, place, "spike_threshold")
    below = np.nextafter(np.float32(threshold), np.float32(0))
    reset = _reset(layer.reset_fn, threshold, place)
    return {"v_threshold": below if below.ndim else float(below), **reset}


def _reset(function: Any, threshold: float | NDArray[np.float32], place: str) -> dict[str, Any]:
    kind = type(function).__name__
    if kind == "MembraneReset" and function.reset_value == 0:
        return {"reset": "zero"}
    if kind == "MembraneSubtract":
        amount = function.subtract_value
        return {"reset": "subtract", "reset_amount": threshold if amount is None else float(amount)}
    raise InterchangeError(
        f"{place} must have reset_fn=MembraneReset() or MembraneSubtract(), got {function}"
    )
