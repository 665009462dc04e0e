"""Selection of the next group in Python: by a custom policy or by a recording."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.policies import PendingSpikes, custom_policy
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.kernels.layout import Control, Pending
from neuroasync.core.kernels.order_keys import MASK
from neuroasync.errors import PolicyError, ReplayError

__all__ = ["choose_by_policy", "choose_recorded"]


def choose_by_policy(state: NetworkState, run: RunSettings) -> int:
    """Select the next group with the custom policy of ``run``; return its number of spikes.

    Raises:
        PolicyError: the policy returned an impossible order.
    """
    policy, group_size = custom_policy(run.policy), run.group_size
    if policy is None:
        raise RuntimeError(
            "a built-in policy is run by kernels, but a kernel asked Python to select"
        )
    pending = _pending(state)
    k = pending.neuron.size
    wanted = min(k, group_size)
    result = policy.order(pending, group_size)
    chosen = _positions(result, wanted, k)
    if chosen is None:
        raise PolicyError(
            f"{type(policy).__name__}.order must return {wanted} distinct positions from 0 to "
            f"{k - 1}, got {result!r:.120}"
        )
    state.acquire_scratch().chosen[:wanted] = chosen
    return wanted


def choose_recorded(state: NetworkState, keys: NDArray[np.int64]) -> int:
    """Select the pending spikes with ``keys``, in this order; return their number.

    Raises:
        ReplayError: ``keys`` is empty, or a spike is not pending or is named twice.
    """
    k, scratch = int(state.control[Control.PENDING]), state.acquire_scratch()
    at = {key: position for position, key in enumerate(scratch.pending[Pending.KEY, :k].tolist())}
    if not keys.size:
        raise ReplayError(f"{k} spikes are pending; the recording delivers none of them")
    for slot, key in enumerate(keys.tolist()):
        if key not in at:
            n = state.plan.packed.model.size
            origin = f"neuron {key}" if key < n else f"input event {key - n} of the pass"
            raise ReplayError(f"slot {slot}: the recording delivers {origin}, which is not pending")
        scratch.chosen[slot] = at.pop(key)
    return keys.size


def _positions(result: ArrayLike, wanted: int, below: int) -> NDArray[np.int64] | None:
    """Return the first ``wanted`` positions of a policy's result, or None if it is invalid."""
    try:
        positions = np.array(result)  # a copy, which the policy does not hold
    except ValueError:  # for example, lists of different lengths
        return None
    if positions.ndim != 1 or positions.dtype.kind not in "iu" or positions.size < wanted:
        return None
    chosen = positions[:wanted]
    inside = chosen.min() >= 0 and chosen.max() < below
    return chosen.astype(np.int64) if inside and np.unique(chosen).size == wanted else None


def _pending(state: NetworkState) -> PendingSpikes:
    """Return copies of the pending spikes for a custom policy."""
    control, pending = state.control, state.acquire_scratch().pending
    k = int(control[Control.PENDING])
    key, starts = pending[Pending.KEY, :k].astype(np.int64), state.plan.packed.model.starts
    is_input = key >= starts[-1]
    population = np.searchsorted(starts, key, side="right") - 1
    neuron = np.where(is_input, 0, key)
    multiplicity = state.multiplicity
    count = np.ones(k, np.int64) if multiplicity is None else multiplicity[neuron].astype(np.int64)
    return PendingSpikes(
        neuron=key,
        population=np.where(is_input, len(starts) - 1, population),
        momentum=np.where(is_input, np.float32(0), state.momentum[neuron]),
        arrival=pending[Pending.ARRIVAL, :k].astype(np.int64),
        multiplicity=np.where(is_input, 1, count),
        seed=int(control[Control.SEED]) & MASK,
        pass_index=int(control[Control.PASS]),
        step=int(control[Control.STEP]) + 1,
    )
