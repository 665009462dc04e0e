"""Neuron models as plain data: leaky integrate-and-fire neurons, and leaky integrators.

The equations are those of :mod:`neuroasync.core.kernels.integrate_and_fire`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.immutable import immutable_copy
from neuroasync.core.model.checks import check_int, must_be, shown
from neuroasync.core.model.connections import same_fields
from neuroasync.errors import ModelError

__all__ = ["LI", "LIF", "RESETS", "Adaptation", "Neuron", "Parameter", "check_neuron"]

Parameter: TypeAlias = float | NDArray[np.float32]
"""A parameter of neurons: one number, or f32 of the population's shape."""

RESETS: Final = ("zero", "subtract", "none")
"""What a spike can do to the membrane potential."""


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """Parameters of an adaptive threshold.

    The threshold of a neuron is ``v_threshold + a``. Each of its spikes adds ``increment`` to a,
    which decays to 0.

    Attributes:
        tau_us: time constant of a in µs: one number, or f32 of the population's shape. ``inf``
            means that a does not decay.
        increment: what a spike adds to a, above 0: one number, or f32 of the population's shape.
    """

    tau_us: Parameter
    increment: Parameter

    def __eq__(self, other: object) -> bool:
        """Return whether both fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LIF:
    """Parameters of leaky integrate-and-fire neurons.

    Attributes:
        tau_mem_us: membrane time constant in µs: one number, or f32 of the population's shape.
            ``inf`` means no leak.
        v_threshold: threshold of the membrane potential: one number, or f32 of the population's
            shape. A neuron fires when its potential is strictly above the threshold.
        reset: ``"zero"`` sets the membrane potential to 0 after a spike, ``"subtract"`` subtracts
            ``reset_amount`` from it, ``"none"`` leaves it as it is.
        refractory: whether a neuron fires at most once per forward pass.
        sync_threshold: number of spikes that a neuron must have received in the forward pass
            before it may fire; 0 turns this rule off.
        reset_delayed: whether the reset takes effect at the start of the next pass, after the
            decay, instead of at once.
        reset_amount: what ``"subtract"`` subtracts, above 0: one number, or f32 of the
            population's shape. None subtracts the threshold that the neuron exceeded.
        tau_syn_us: time constant of the synaptic current in µs: one number, or f32 of the
            population's shape; ``inf`` means that it does not decay. None means that there is no
            synaptic current: a spike changes the potential once.
        adaptation: the adaptive threshold, or None.
    """

    tau_mem_us: Parameter = math.inf
    v_threshold: Parameter = 1.0
    reset: Literal["zero", "subtract", "none"] = "zero"
    refractory: bool = True
    sync_threshold: int = 0
    reset_delayed: bool = False
    reset_amount: Parameter | None = None
    tau_syn_us: Parameter | None = None
    adaptation: Adaptation | None = None

    def __repr__(self) -> str:
        """Return the class with the fields that differ from their defaults."""
        return _repr(self)

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LI:
    """Parameters of leaky integrators, which never fire.

    They are a readout: if the output is a population of them, the label of a sample is the class
    with the highest membrane potential. No connection may leave them.

    Engines run them as LIF neurons with an infinite threshold, which the class attributes state.

    Attributes:
        tau_mem_us: membrane time constant in µs: one number, or f32 of the population's shape.
            ``inf`` means no leak.
        tau_syn_us: time constant of the synaptic current in µs, as of :class:`LIF`; None means
            that there is no synaptic current.
    """

    tau_mem_us: Parameter = math.inf
    tau_syn_us: Parameter | None = None

    v_threshold: ClassVar[float] = math.inf
    reset: ClassVar[Literal["none"]] = "none"
    refractory: ClassVar[bool] = True
    sync_threshold: ClassVar[int] = 0
    reset_delayed: ClassVar[bool] = False
    reset_amount: ClassVar[None] = None
    adaptation: ClassVar[None] = None

    def __repr__(self) -> str:
        """Return the class with the fields that differ from their defaults."""
        return _repr(self)

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal; arrays are compared by shape and content."""
        return same_fields(self, other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable


Neuron: TypeAlias = LIF | LI


def _repr(neuron: Neuron) -> str:
    values = [(f.name, getattr(neuron, f.name), f.default) for f in fields(neuron)]
    custom = [
        f"{name}={value!r}"
        for name, value, default in values
        if isinstance(value, np.ndarray) or value != default
    ]
    return f"{type(neuron).__name__}({', '.join(custom)})"


def check_neuron(path: str, neuron: Neuron, shape: tuple[int, ...]) -> Neuron:
    """Check the parameters of neurons, and return them with read-only arrays.

    Args:
        path: path of the neuron, for errors.
        neuron: the parameters.
        shape: shape of the population.

    Raises:
        ModelError: a parameter is invalid.
    """
    if not isinstance(neuron, LIF | LI):
        raise ModelError(must_be(path, "a LIF or LI", type(neuron).__name__))
    tau_mem_us = _time_constant(f"{path}.tau_mem_us", neuron.tau_mem_us, shape)
    tau_syn_us = None
    if neuron.tau_syn_us is not None:
        tau_syn_us = _time_constant(f"{path}.tau_syn_us", neuron.tau_syn_us, shape)
    if isinstance(neuron, LI):
        return LI(tau_mem_us, tau_syn_us)
    _check_reset(path, neuron)
    if type(neuron.refractory) is not bool:
        raise ModelError(must_be(f"{path}.refractory", "true or false", shown(neuron.refractory)))
    sync_threshold = check_int(f"{path}.sync_threshold", neuron.sync_threshold, 0, 2**31)
    reset_amount = None
    if neuron.reset_amount is not None:
        reset_amount = _positive(f"{path}.reset_amount", neuron.reset_amount, shape)
    return replace(
        neuron,
        tau_mem_us=tau_mem_us,
        v_threshold=_positive(f"{path}.v_threshold", neuron.v_threshold, shape),
        sync_threshold=sync_threshold,
        reset_amount=reset_amount,
        tau_syn_us=tau_syn_us,
        adaptation=_checked_adaptation(f"{path}.adaptation", neuron.adaptation, shape),
    )


def _check_reset(path: str, neuron: LIF) -> None:
    reset, delayed = neuron.reset, neuron.reset_delayed
    if reset not in RESETS:
        raise ModelError(must_be(f"{path}.reset", f"one of {list(RESETS)}", shown(reset)))
    if type(delayed) is not bool:
        raise ModelError(must_be(f"{path}.reset_delayed", "true or false", shown(delayed)))
    if delayed and reset == "none":
        requirement = "false, because there is no reset (`reset` is 'none')"
        raise ModelError(must_be(f"{path}.reset_delayed", requirement, shown(delayed)))
    if neuron.reset_amount is not None and reset != "subtract":
        requirement = f"left out, because `reset` is {reset!r} and subtracts nothing"
        raise ModelError(must_be(f"{path}.reset_amount", requirement, shown(neuron.reset_amount)))


def _checked_adaptation(
    path: str, adaptation: Adaptation | None, shape: tuple[int, ...]
) -> Adaptation | None:
    if adaptation is None:
        return None
    if not isinstance(adaptation, Adaptation):
        raise ModelError(must_be(path, "an Adaptation or None", type(adaptation).__name__))
    return Adaptation(
        _time_constant(f"{path}.tau_us", adaptation.tau_us, shape),
        _positive(f"{path}.increment", adaptation.increment, shape),
    )


def _time_constant(path: str, value: Parameter, shape: tuple[int, ...]) -> Parameter:
    requirement = f"above 0 (inf means no {'leak' if path.endswith('mem_us') else 'decay'})"
    return _checked_parameter(path, value, shape, lambda x: x > 0, requirement)


def _positive(path: str, value: Parameter, shape: tuple[int, ...]) -> Parameter:
    # The values become float32, and subnormal numbers are excluded because they lose precision.
    least, greatest = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    requirement = "above 0 and finite in float32"
    return _checked_parameter(
        path, value, shape, lambda x: (x >= least) & (x <= greatest), requirement
    )


def _checked_parameter(
    path: str,
    value: object,
    shape: tuple[int, ...],
    is_valid: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
    requirement: str,
) -> Parameter:
    is_number = isinstance(value, int | float | np.ndarray | np.generic)
    if not is_number or np.asarray(value).dtype.kind not in "fiu":
        kinds = f"a number or an array of shape {shape}"
        raise ModelError(must_be(path, kinds, shown(value)))
    is_scalar = not isinstance(value, np.ndarray)
    with np.errstate(all="ignore"):  # values out of range become inf or NaN, which the check finds
        array = immutable_copy(np.asarray(value), np.float64 if is_scalar else np.float32)
        if not is_scalar and array.shape != shape:
            raise ModelError(must_be(path, f"of shape {shape}", f"shape {array.shape}"))
        if not np.all(is_valid(array.astype(np.float64))):
            raise ModelError(must_be(path, requirement, shown(value)))
    return float(array) if is_scalar else array
