"""The neuron nodes of NIR as populations.

A current-based neuron (CubaLIF, CubaLI) integrates a synaptic current::

    tau_syn di/dt = -i + w_in S        tau_mem dv/dt = (v_leak - v) + r i

Its steps are those of both equations in turn, as in snnTorch and Norse: i decays and gains what
arrives, then v decays and gains the new i, which is held for the step. What one spike adds to v in
total, without the decay of v, is exact if jump and decay are of the same kind; it acts up to one
step early.
"""

import math
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.checks import must_be, shown
from neuroasync.core.model.neurons import LI, LIF, Neuron, Parameter
from neuroasync.interchange.nir.discretisation import MEMORYLESS_US, Discretisation, Reset
from neuroasync.interchange.nir.nodes import SPIKING, Node, Shape, values_of

__all__ = ["AN_ARRAY", "Neurons", "neurons_of"]

Floats = NDArray[np.float64]

AN_ARRAY: Final = "array"
"""What the metadata say of a parameter that has one value per neuron in the bundle."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """A neuron node, in the terms of a bundle.

    Attributes:
        neuron: parameters of the population.
        gain: f64 of the population's shape, factor of all weights and biases that lead to it.
        offset: f64 of the population's shape, what is added to the potential in each forward pass.
    """

    neuron: Neuron
    gain: Floats
    offset: Floats


def neurons_of(node: Node, shape: Shape, how: Discretisation) -> Neurons:
    """Return the neurons of a node.

    The potential of neurons that fire counts from ``v_reset``, so that a reset to zero is one to
    ``v_reset``.

    Raises:
        InterchangeError: the node cannot be mapped exactly.
    """

    def value(key: str) -> Floats:
        return values_of(node, key, shape)

    ones = np.ones(shape)
    base = value("v_reset") if "v_reset" in node.values else 0 * ones
    match node.kind:
        case "Threshold":
            tau_us, gain, offset = MEMORYLESS_US * ones, ones, 0 * ones
        case "I" | "IF":
            tau_us, gain, offset = math.inf * ones, how.integrator_gain(value("r")), 0 * ones
        case _:
            tau_s = _time_constants(node, "tau" if "tau" in node.values else "tau_mem", shape)
            tau_us, gain = how.tau_us(tau_s), how.gain(tau_s, value("r"))
            offset = how.settled(tau_s) * (value("v_leak") - base)
    tau_mem_us = _parameter(node, "tau_mem_us", tau_us, how)
    tau_syn_us = None
    if node.kind in ("CubaLI", "CubaLIF"):
        tau_s = _time_constants(node, "tau_syn", shape)
        gain = gain * how.gain(tau_s, value("w_in"))
        tau_syn_us = _parameter(node, "tau_syn_us", how.tau_us(tau_s), how)
        _check_current(node, offset, how)
    if node.kind not in SPIKING:
        return Neurons(LI(tau_mem_us, tau_syn_us), gain, offset)
    threshold = value("threshold" if node.kind == "Threshold" else "v_threshold") - base
    return Neurons(_spiking(node, tau_mem_us, threshold, tau_syn_us, how), gain, offset)


def _spiking(
    node: Node,
    tau_mem_us: Parameter,
    threshold: Floats,
    tau_syn_us: Parameter | None,
    how: Discretisation,
) -> LIF:
    reset: Reset = "zero"  # of a Threshold, of which nothing is left in the next pass
    is_delayed = False
    if node.kind != "Threshold":
        reset = _reset(node, how)
        is_delayed = bool(how.reset_delay)
        if how.reset_delay is None:
            is_delayed = _flag(node, "reset_delayed", False)
    if (threshold <= 0).any():
        raise node.error(
            "`v_threshold` must be above `v_reset`, and the `threshold` of a Threshold above 0, "
            f"got a distance of {threshold.min():g}"
        )
    return LIF(
        tau_mem_us,
        _parameter(node, "v_threshold", threshold, how),
        reset,
        _flag(node, "refractory", True),
        reset_delayed=is_delayed,
        tau_syn_us=tau_syn_us,
    )


def _reset(node: Node, how: Discretisation) -> Reset:
    reset: Any = how.reset or node.metadata.get("reset")
    if reset is None:
        raise node.error(
            "NIR does not say what a reset does: choose the reset 'zero' (Norse and most others) "
            "or 'subtract' (sinabs, snnTorch by default)"
        )
    if reset not in get_args(Reset):
        raise node.error(must_be("reset", f"one of {list(get_args(Reset))}", shown(reset)))
    if reset == "subtract" and node.values["v_reset"].any():
        raise node.error(
            "with reset 'subtract', `v_reset` must be 0, because NIR does not say whether the "
            "threshold or its distance from `v_reset` is subtracted"
        )
    checked: Reset = reset
    return checked


def _flag(node: Node, key: str, default: bool) -> bool:
    value = node.metadata.get(key, default)
    if type(value) is not bool:
        raise node.error(f"its metadata of neuroasync are damaged ({key})")
    return value


def _time_constants(node: Node, key: str, shape: Shape) -> Floats:
    tau_s = values_of(node, key, shape)
    if (tau_s <= 0).any():
        raise node.error(must_be(key, "above 0", shown(float(tau_s.min()))))
    return tau_s


def _check_current(node: Node, offset: Floats, how: Discretisation) -> None:
    if not how.timestep_us:
        raise node.error(
            "its current acts in each timestep, so that it requires a timestep above 0"
        )
    if offset.any():
        raise node.error(
            "its `v_leak` must be its `v_reset`, because whatever is added in each timestep "
            "passes through the synaptic current here"
        )


def _parameter(node: Node, key: str, values: Floats, how: Discretisation) -> Parameter:
    """Return one number if all values are equal, or else an array.

    If a bundle was exported, the metadata tell which of both it had, and the number that it had.
    The metadata count only if the file still has what follows from it.
    """
    first = float(values.flat[0])
    stored = node.metadata.get(key)
    if not (values == first).all() or stored == AN_ARRAY:
        return values.astype(np.float32)
    if (
        isinstance(stored, float)
        and 0 < stored < math.inf
        and _is_in_file(node, key, stored, first, how)
    ):
        return stored
    return first


def _is_in_file(node: Node, key: str, stored: float, found: float, how: Discretisation) -> bool:
    """Return whether exporting ``stored`` gives what the node has."""
    field = {"tau_syn_us": "tau_syn", "tau_mem_us": "tau" if "tau" in node.values else "tau_mem"}
    if field.get(key) in node.values:
        return bool(how.tau_s(np.array(stored)) == node.values[field[key]].flat[0])
    return stored == found
