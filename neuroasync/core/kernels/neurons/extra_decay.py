"""Lazy decay of neurons with a synaptic current, an adaptive threshold or a delayed reset.

A pass at virtual time t begins for such a neuron with, in this order and in float32,

    v *= exp(-(t - t_prev) / tau_mem)
    v -= r, or v = 0 if the reset is to zero          (if the previous pass left a reset r)
    i *= exp(-(t - t_prev) / tau_syn);  v += i        (synaptic current)
    a *= exp(-(t - t_prev) / tau_a)                   (adaptation of the threshold)

Each pass that the neuron has missed is applied in turn, so that the result equals that of an eager
decay, to the bit. :mod:`neuroasync.core.kernels.decay` describes the blocks and their clocks.
"""

import math

import numpy as np

from neuroasync.core.kernels.array_views import (
    factors_of,
    populations_of,
    potentials_of,
    ring_of,
    settings_of,
    taus_of,
    uniform_of,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Context,
    Dynamics,
    ExtraState,
    Populations,
    Settings,
    Uniform,
)
from neuroasync.core.kernels.neurons.views import dynamics_of, extra_state_of

__all__ = ["decay_with_extras"]


@kernel
def decay_with_extras(c, p, start, stop, then, now):
    """Apply the passes from ``then + 1`` to ``now`` to neurons ``start`` to ``stop`` of ``p``."""
    if settings_of(c)[Settings.TIMESTEP_US] > 0:
        row, dynamics = populations_of(c)[p], dynamics_of(c)
        factor = uniform_of(c)[p, Uniform.FACTOR]
        for i in range(start, stop):
            if row[Populations.HOMOGENEOUS] == 0:
                factor = factors_of(c)[i]
            of_current = np.float32(dynamics[Dynamics.CURRENT_FACTOR, i])
            of_adaptation = np.float32(dynamics[Dynamics.ADAPTATION_FACTOR, i])
            for _ in range(now - then):
                if not _decay_once(c, row, i, factor, of_current, of_adaptation):
                    break  # the factors are constant, so that nothing changes any more
        return
    _, intervals = ring_of(c)
    for clock in range(then + 1, now + 1):
        _decay_after(c, p, start, stop, intervals[clock % intervals.size])


@kernel
def _decay_after(c, p, start, stop, interval_us):
    """Apply one pass, which began ``interval_us`` after the one before it."""
    row, dynamics, tau = populations_of(c)[p], dynamics_of(c), taus_of(c)[p]
    for i in range(start, stop):
        if row[Populations.HOMOGENEOUS] == 0:
            tau = taus_of(c)[c[Context.POPULATION_COUNT] + i]
        of_current = of_adaptation = np.float32(1.0)
        if row[Populations.HAS_CURRENT]:
            of_current = _factor(interval_us, dynamics[Dynamics.TAU_CURRENT, i])
        if row[Populations.ADAPTS]:
            of_adaptation = _factor(interval_us, dynamics[Dynamics.TAU_ADAPTATION, i])
        _decay_once(c, row, i, _factor(interval_us, tau), of_current, of_adaptation)


@kernel
def _factor(interval_us, tau_us):
    """Return the decay factor over an interval: computed in float64, and rounded once."""
    return np.float32(math.exp(-interval_us / tau_us))


@kernel
def _decay_once(c, row, i, factor, of_current, of_adaptation):
    """Apply the start of one pass to neuron ``i``; return whether it changed anything."""
    potentials, extras = potentials_of(c), extra_state_of(c)
    before, v = potentials[i], potentials[i] * factor
    changed = False
    if row[Populations.DELAYED] and extras[ExtraState.DELAYED_RESET, i] != 0:
        v = v - extras[ExtraState.DELAYED_RESET, i] if row[Populations.SUBTRACTS] else np.float32(0)
        extras[ExtraState.DELAYED_RESET, i] = 0
        changed = True
    if row[Populations.HAS_CURRENT]:
        current = extras[ExtraState.CURRENT, i] * of_current
        changed |= current != extras[ExtraState.CURRENT, i]
        extras[ExtraState.CURRENT, i] = current
        v += current
    if row[Populations.ADAPTS]:
        adaptation = extras[ExtraState.ADAPTATION, i] * of_adaptation
        changed |= adaptation != extras[ExtraState.ADAPTATION, i]
        extras[ExtraState.ADAPTATION, i] = adaptation
    potentials[i] = v
    return changed or v != before
