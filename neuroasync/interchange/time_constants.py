"""Time constants for decay factors that a framework stores.

The engine multiplies by ``float32(exp(-timestep / tau))`` once per pass. For the factor beta of a
framework, the time constant is

    tau = -timestep / ln(beta)

One number is exact. Arrays are rounded to float32, so the factor may differ in the last bit if it
is less than about 0.6; neighbouring values of ``tau`` are then tried.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["time_constants"]

_TIMES_TO_ZERO: Final = 1000.0
"""exp(-x) is 0 in float64 from x = 746 on."""
_NEIGHBOURS: Final = 16
"""Number of neighbouring float32 values that are tried on each side."""


def time_constants(
    factor: NDArray[np.float32], timestep_us: int
) -> tuple[float | NDArray[np.float32], int]:
    """Return time constants whose decay over one timestep is ``factor``.

    Args:
        factor: f32[..], factors from 0 to 1.
        timestep_us: Timestep, µs.

    Returns:
        One number if all factors are equal, else f32[..]; and for how many neurons the decay of
        the engine differs from ``factor`` in the last bit.
    """
    distinct = np.unique(factor)
    if distinct.size == 1:
        tau = _time_constant(float(distinct[0]), timestep_us)
        return tau, factor.size * int(_decay(tau, timestep_us) != distinct[0])
    taus = np.array([_nearest(float(beta), timestep_us) for beta in distinct], np.float32)
    misses = [_decay(float(t), timestep_us) != b for t, b in zip(taus, distinct, strict=True)]
    place = np.searchsorted(distinct, factor)
    return taus[place], int(np.count_nonzero(np.array(misses)[place]))


def _time_constant(beta: float, timestep_us: int) -> float:
    if beta <= 0:
        return timestep_us / _TIMES_TO_ZERO
    return math.inf if beta >= 1 else -timestep_us / math.log(beta)


def _nearest(beta: float, timestep_us: int) -> np.float32:
    """Return the float32 time constant whose decay is closest to ``beta``."""
    tau = np.float32(_time_constant(beta, timestep_us))
    if not 0 < beta < 1:
        return tau
    candidates = [tau]
    below = above = tau
    for _ in range(_NEIGHBOURS):
        below, above = np.nextafter(below, np.float32(0)), np.nextafter(above, np.float32(np.inf))
        candidates += [below, above]
    return min(candidates, key=lambda t: abs(float(_decay(float(t), timestep_us)) - beta))


def _decay(tau: float, timestep_us: int) -> np.float32:
    return np.float32(math.exp(-timestep_us / tau))
