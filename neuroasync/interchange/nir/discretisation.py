"""How the differential equations of NIR become steps in time.

NIR stores ``tau dv/dt = (v_leak - v) + r I`` and says neither how long a timestep is, nor how the
equation is solved, nor what a reset does. Frameworks differ in all three. A spike that arrives with
weight w is a current of w for one step of length ``step``, or a unit of charge::

    decay   "euler"  v *= 1 - step / tau          "exact"  v *= exp(-step / tau)
    jump    "euler"  v += step / tau * r w        "exact"  v += (1 - exp(-step / tau)) * r w
            "unit"   v += r w

A constant current c moves v by ``(1 - decay factor) * c`` in each step, so that v settles at c.
Here, v decays by ``exp(-Δt / tau_mem_us)``. Euler's factor is reached by another time constant::

    tau_mem_us = -Δt / log(1 - step / tau)

so that both factors are equal after every whole number of steps.

An integrator (IF, I) has no time constant: ``dv/dt = r I``. A spike has a unit of charge, so that
``v += r w``, as in Norse and sinabs, which write r = 1. SpikingJelly writes r = 1 / step: the spike
is a current for one step, so that ``v += w``. Such an r is recognised by ``r * step = 1``.

Source: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications 15, 8122
(2024), https://doi.org/10.1038/s41467-024-52259-9, with the code of its Figure 3.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.model.checks import as_number, check_int, did_you_mean, must_be, shown
from neuroasync.errors import InterchangeError

__all__ = ["MEMORYLESS_US", "Decay", "Discretisation", "Jump", "Reset"]

Jump = Literal["euler", "exact", "unit"]
Decay = Literal["euler", "exact"]
Reset = Literal["zero", "subtract"]
Floats = NDArray[np.float64]

MEMORYLESS_US: Final = 1e-3
"""A time constant after which nothing is left of a potential: exp(-1 µs / this) is 0 in float64."""

_S: Final = 1e6
"""Microseconds in a second."""

_ROUNDING: Final = 2.0**-21
"""Products that are this close to 1 were 1 before the file rounded their factors to float32."""

_MAX_STEP_US: Final = 1e12


@dataclass(frozen=True)
class Discretisation:
    """The choices that NIR leaves open.

    Attributes:
        timestep_us: timestep Δt of the bundle; 0 runs one forward pass per distinct timestamp.
        step_us: length of a step of the framework, in µs of the file. If it differs from a
            ``timestep_us`` above 0, times in the file are scaled so that one is the other.
        jump: how far a spike moves a potential that leaks.
        decay: how a potential decays within a step.
        reset: what a spike does to the potential; None if each node says it itself.
        reset_delay: whether a reset takes effect in the next step, after the decay; None if each
            node says it itself.

    Raises:
        InterchangeError: a field is invalid.
    """

    timestep_us: int
    step_us: float
    jump: Jump
    decay: Decay
    reset: Reset | None = None
    reset_delay: bool | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        check_int("timestep_us", self.timestep_us, 0, limits.MAX_TIME_US, InterchangeError)
        step_us = as_number(self.step_us)
        if step_us is None or not 0 < step_us <= _MAX_STEP_US:
            requirement = f"a number above 0 and up to {_MAX_STEP_US:g}"
            raise InterchangeError(must_be("step_us", requirement, shown(self.step_us)))
        object.__setattr__(self, "step_us", float(step_us))
        for name, choices in (("jump", Jump), ("decay", Decay), ("reset", Reset)):
            value = getattr(self, name)
            if (name, value) != ("reset", None) and value not in get_args(choices):
                requirement = f"one of {list(get_args(choices))}"
                hint = did_you_mean(value, get_args(choices))
                raise InterchangeError(must_be(name, requirement, f"{shown(value)}{hint}"))

        if not isinstance(self.reset_delay, bool | None):
            raise InterchangeError(
                must_be("reset_delay", "True, False or None", shown(self.reset_delay))
            )

    @property
    def scale(self) -> float:
        """Microseconds of the bundle in a microsecond of the file."""
        return self.timestep_us / self.step_us if self.timestep_us else 1.0

    def gain(self, tau_s: Floats, r: Floats) -> Floats:
        """Return how far a spike of weight 1 moves the potential.

        Args:
            tau_s: time constants in seconds.
            r: factor of the current.
        """
        if self.jump == "unit":
            return r
        ratio = self.step_us / (tau_s * _S)
        gain = r * (ratio if self.jump == "euler" else -np.expm1(-ratio))
        return np.where(np.abs(gain - 1) < _ROUNDING, 1.0, gain)

    def integrator_gain(self, r: Floats) -> Floats:
        """Return how far a spike of weight 1 moves the potential of a neuron without leak."""
        is_current = np.abs(r * self.step_us / _S - 1) < _ROUNDING
        return np.where(is_current, 1.0, r)

    def settled(self, tau_s: Floats) -> Floats:
        """Return the fraction of a constant current by which it moves the potential in a step."""
        ratio = self.step_us / (tau_s * _S)
        return ratio if self.decay == "euler" else -np.expm1(-ratio)

    def tau_us(self, tau_s: Floats) -> Floats:
        """Return the time constants of the bundle, in µs.

        Raises:
            InterchangeError: a step is longer than a time constant, so that Euler's factor is
                negative.
        """
        if self.decay == "exact":
            return tau_s * _S * self.scale
        ratio = self.step_us / (tau_s * _S)
        # A factor of 0 may have been rounded, as tau is often a float32.
        ratio = np.where(np.abs(ratio - 1) < _ROUNDING, 1.0, ratio)
        if (ratio > 1).any():
            raise InterchangeError(
                f"with decay 'euler', a time constant must be at least a step ({self.step_us:g} "
                f"µs), got {np.min(tau_s) * _S:g} µs; shorten the step or use decay 'exact'"
            )
        with np.errstate(divide="ignore"):  # log(0): nothing is left after a step
            tau_us = -(self.timestep_us or self.step_us) / np.log1p(-ratio)
        return np.where(ratio == 1, MEMORYLESS_US, tau_us)

    def tau_s(self, tau_us: Floats) -> Floats:
        """Return the time constants of the file, in seconds; the inverse of :meth:`tau_us`."""
        if self.decay == "exact":
            return tau_us / (_S * self.scale)
        step = self.timestep_us or self.step_us
        return self.step_us / _S / -np.expm1(-step / tau_us)

    def delay_us(self, delay_s: float) -> int:
        """Return a delay of the bundle, in µs.

        Raises:
            InterchangeError: the delay is negative or not a whole number of timesteps.
        """
        unit = self.timestep_us or 1
        delay_us = delay_s * _S * self.scale
        if not 0 <= delay_us <= limits.MAX_TIME_US:
            raise InterchangeError(f"a delay of {delay_s:g} s is out of range")
        steps = round(delay_us / unit)
        # The file may have rounded the delay to float32.
        if not math.isclose(delay_us, steps * unit, rel_tol=_ROUNDING, abs_tol=1e-6):
            what = f"the timestep, {unit} µs" if self.timestep_us else "1 µs"
            raise InterchangeError(
                f"a delay must be a multiple of {what}, got {delay_us:.10g} µs, which leaves "
                f"{delay_us - math.floor(delay_us / unit) * unit:.6g} µs"
            )
        return steps * unit

    def delay_s(self, delay_us: int) -> float:
        """Return a delay of the file, in seconds."""
        return delay_us / (_S * self.scale)
