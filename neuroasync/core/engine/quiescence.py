"""Passes without input, in which a network may do nothing but decay."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.kernels.layout import Control, Dynamics, ExtraState, Populations, Uniform

__all__ = ["is_quiescent", "skip_passes"]

_ROUNDING: Final = 1.01
"""Factor of a sum of float32 additions that covers the rounding of all of them."""


def is_quiescent(state: NetworkState) -> bool:
    """Return whether further passes without input would do nothing but decay the neurons."""
    control, packed = state.control, state.plan.packed
    if control[Control.IN_FLIGHT]:
        return False
    if not packed.model.timestep_us:  # there is no pass without input
        return True
    populations = packed.arrays.populations
    if control[Control.SUPRATHRESHOLD] or populations[:, Populations.HAS_BIAS].any():
        return False
    changes = populations[:, Populations.HAS_CURRENT] | populations[:, Populations.ADAPTS]
    watched = np.flatnonzero(changes & populations[:, Populations.FIRES_SPONTANEOUSLY])
    if not watched.size:
        return True
    state.apply_decay()
    may_fire = any(_may_cross(state, p) for p in watched.tolist())
    state.release_scratch()
    return not may_fire


def skip_passes(state: NetworkState, passes: int) -> bool:
    """Let a network that is quiescent decay for ``passes`` timesteps at once.

    Returns:
        Whether this changed a variable of a neuron.
    """
    before = _neurons(state)
    state.control[Control.CLOCK] += passes
    return not np.array_equal(before, _neurons(state))


def _neurons(state: NetworkState) -> NDArray[np.float32]:
    """Return a copy of all variables of the neurons that decay, up to date."""
    state.apply_decay()
    extras = state.extra_state
    return np.concatenate([state.potential, *([] if extras is None else extras)])


def _may_cross(state: NetworkState, position: int) -> bool:
    """Return whether neurons of a population may rise above their thresholds without input.

    Without input, an adaptive threshold stays above ``v_threshold``, and the potential v is at most
    its present value plus all that the synaptic current i adds: i (f + f**2 + ..), where f is the
    decay factor of i.
    """
    arrays = state.plan.packed.arrays
    row = arrays.populations[position]
    mine = slice(row[Populations.START], row[Populations.STOP])
    highest = np.maximum(state.potential[mine], 0).astype(np.float64)
    if row[Populations.HAS_CURRENT] and state.extra_state is not None:
        current = state.extra_state[ExtraState.CURRENT, mine]
        # A current that is too small to change a potential without leak never changes it.
        factors = arrays.uniform[position, Uniform.FACTOR]
        if not row[Populations.HOMOGENEOUS]:
            factors = arrays.factors[mine]
        changes = (factors != 1) | (state.potential[mine] + current != state.potential[mine])
        counts = (current > 0) & changes
        factor = arrays.dynamics[Dynamics.CURRENT_FACTOR, mine][counts]
        with np.errstate(divide="ignore"):  # a current that does not decay adds up without a bound
            highest[counts] += current[counts] * _ROUNDING * factor / (1 - factor)
    return bool(np.any(highest > arrays.thresholds[mine]))
