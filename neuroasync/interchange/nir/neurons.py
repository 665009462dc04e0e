"""The neuron nodes of NIR as populations, and back."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.checks import must_be, shown
from neuroasync.core.model.model import LIF
from neuroasync.interchange.nir.discretisation import MEMORYLESS_US, Discretisation, Reset
from neuroasync.interchange.nir.nodes import Node, Shape, values_of

__all__ = ["Neurons", "neurons_of", "note_of"]

Floats = NDArray[np.float64]

_AN_ARRAY: Final = "array"
"""What a note says of a parameter that has one value per neuron in the bundle."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """A neuron node, in the terms of a bundle.

    Attributes:
        neuron: parameters of the population.
        gain: f64[neurons], factor of all weights and biases that lead to it.
        offset: f64[neurons], what is added to the potential in each forward pass.
    """

    neuron: LIF
    gain: Floats
    offset: Floats


def neurons_of(node: Node, shape: Shape, how: Discretisation) -> Neurons:
    """Return the neurons of a node.

    The potential counts from ``v_reset``, so that a reset to zero is one to ``v_reset``.

    Raises:
        InterchangeError: the node cannot be mapped exactly.
    """

    def value(key: str) -> Floats:
        return values_of(node, key, shape)

    if node.kind == "Threshold":
        nothing = np.zeros(shape)
        tau_us = np.full(shape, MEMORYLESS_US)
        return _neurons(node, how, tau_us, value("threshold"), 1 + nothing, nothing, "zero")
    reset = _reset(node, how)
    base = value("v_reset")
    if reset == "subtract" and base.any():
        raise node.error(
            "with reset 'subtract', `v_reset` must be 0, because NIR does not say whether the "
            "threshold or its distance from `v_reset` is subtracted"
        )
    threshold = value("v_threshold") - base
    if node.kind == "IF":
        gain = how.integrator_gain(value("r"))
        return _neurons(node, how, np.full(shape, math.inf), threshold, gain, 0 * base, reset)
    tau_s = value("tau")
    if (tau_s <= 0).any():
        raise node.error(must_be("tau", "above 0", shown(float(tau_s.min()))))
    offset = how.settled(tau_s) * (value("v_leak") - base)
    gain = how.gain(tau_s, value("r"))
    return _neurons(node, how, how.tau_us(tau_s), threshold, gain, offset, reset)


def _neurons(
    node: Node,
    how: Discretisation,
    tau_us: Floats,
    threshold: Floats,
    gain: Floats,
    offset: Floats,
    reset: Reset,
) -> Neurons:
    if (threshold <= 0).any():
        raise node.error(
            "`v_threshold` must be above `v_reset`, and the `threshold` of a Threshold above 0, "
            f"got a distance of {threshold.min():g}"
        )
    refractory = node.note.get("refractory", True)
    if type(refractory) is not bool:
        raise node.error("its metadata of neuroasync are damaged (refractory)")
    tau_s = node.values.get("tau", np.array(math.inf)).flat[0]
    neuron = LIF(
        _in_bundle(node, "tau_mem_us", tau_us, lambda us: how.tau_s(np.array(us)) == tau_s),
        _in_bundle(node, "v_threshold", threshold, lambda v: v == threshold.flat[0]),
        reset,
        refractory,
    )
    return Neurons(neuron, gain, offset)


def _reset(node: Node, how: Discretisation) -> Reset:
    reset: Any = how.reset or node.note.get("reset")
    if reset is None:
        raise node.error(
            "NIR does not say what a reset does: choose the reset 'zero' (Norse and most others) "
            "or 'subtract' (sinabs, snnTorch by default)"
        )
    if reset not in get_args(Reset):
        raise node.error(must_be("reset", f"one of {list(get_args(Reset))}", shown(reset)))
    return reset  # type: ignore[no-any-return]


def _in_bundle(
    node: Node, key: str, values: Floats, is_in_file: Callable[[float], bool]
) -> float | NDArray[np.float32]:
    """Return one number if all values are equal, or else an array.

    If a bundle was exported, a note tells which of both it had, and the number that it had. The
    note counts only if the file still has what follows from it.
    """
    first = float(values.flat[0])
    noted = node.note.get(key)
    if not (values == first).all() or noted == _AN_ARRAY:
        return values.astype(np.float32)
    if isinstance(noted, float) and noted > 0 and is_in_file(noted):
        return noted
    return first


def note_of(neuron: LIF) -> Mapping[str, Any]:
    """Return what NIR has no field for, as metadata of a node."""
    parameters = {key: getattr(neuron, key) for key in ("tau_mem_us", "v_threshold")}
    numbers = {
        key: _AN_ARRAY if isinstance(value, np.ndarray) else value
        for key, value in parameters.items()
    }
    # JSON has no infinity, and a node of type IF says the same.
    finite = {key: value for key, value in numbers.items() if value != math.inf}
    return {"reset": neuron.reset, "refractory": neuron.refractory, **finite}
