"""The pending spikes: admit who fired, choose who goes next, take them as a group."""

import numpy as np

from neuroasync.kernels import layout as lay
from neuroasync.kernels.jit import kernel
from neuroasync.kernels.order import neuron_key, step_prefix, uniform
from neuroasync.kernels.sorting import smallest

__all__ = ["admit", "choose", "take"]

_SIGN = np.uint64(1 << 63)
_ALL = np.uint64(2**64 - 1)


@kernel
def admit(
    p, fired, n, populations, potential, marks, pending, rows, row_potential, votes, spikes,
    control, settings,
):  # fmt: skip
    """Enter the ``n`` neurons of ``p`` that fired in this step into the pending set; count them.

    A neuron that is still pending fires with a higher multiplicity and keeps its arrival.
    """
    now, step = control[lay.PASS], control[lay.STEP]
    is_output = p == settings[lay.OUTPUT]
    for k in range(n):
        i = fired[k]
        if marks[lay.WAITING, i] == 0:
            at = control[lay.PENDING]
            pending[lay.KEY, at] = i
            pending[lay.ORIGIN, at] = i
            pending[lay.ARRIVAL, at] = step
            pending[lay.OWNER, at] = p
            control[lay.PENDING] = at + 1
        marks[lay.WAITING, i] += 1
        at = control[lay.ROWS]
        rows[lay.PASS_, at] = now
        rows[lay.STEP_, at] = step
        rows[lay.TIME_, at] = control[lay.TIME]
        rows[lay.NEURON_, at] = i
        rows[lay.BECAME_REFRACTORY, at] = marks[lay.FIRED, i] == now
        row_potential[at] = potential[lay.MOMENTUM, i]
        control[lay.ROWS] = at + 1
        if is_output:
            cls = i - populations[p, lay.START]
            votes[lay.VOTES, cls] += 1
            votes[lay.LATEST, cls] = control[lay.SERIAL]
            if votes[lay.LED_SPIKES, cls] == 0 and _leads(votes, cls):
                votes[lay.LED_SPIKES, cls] = control[lay.SPIKES] + k + 1
                votes[lay.LED_STEPS, cls] = control[lay.STEPS]
                votes[lay.LED_ROUNDS, cls] = control[lay.ROUNDS]
            if control[lay.FIRST_VOTE] < 0:
                control[lay.FIRST_VOTE] = control[lay.STEPS]
                control[lay.FIRST_VOTE_ROUNDS] = control[lay.ROUNDS]
                control[lay.FIRST_VOTE_SPIKES] = control[lay.SPIKES] + k + 1
    if n:
        control[lay.LAST_OWNER] = p
        control[lay.SPIKES] += n
        spikes[p] += n


@kernel
def _leads(votes, cls):
    """Whether ``cls``, which has the latest vote, leads: a tie is the other's, who came first."""
    for c in range(votes.shape[1]):
        if c != cls and votes[lay.VOTES, c] >= votes[lay.VOTES, cls]:
            return False
    return True


@kernel
def _ascending(value):
    """A float64 as 64 bits that sort like it."""
    bits = np.float64(value).view(np.uint64)
    return bits ^ _ALL if bits & _SIGN else bits | _SIGN


@kernel
def choose(populations, potential, pending, keys, chosen, control, settings, noise):
    """Write the positions of the pending spikes that go next to ``chosen``, in policy order.

    Args:
        populations, potential, pending, control, settings: see ``layout``.
        keys: u64[K] scratch.
        chosen: i64[K].
        noise: λ of the momentum order.

    Returns:
        How many were chosen: at most the group size, but all of a population under layer-sync.
    """
    n, policy = control[lay.PENDING], settings[lay.POLICY]
    wanted = min(n, settings[lay.GROUP_SIZE])
    if policy == lay.LAYER_SYNC:
        wanted = _layer_keys(populations, pending, keys, n)
    elif policy == lay.FIFO:
        for k in range(n):
            keys[k] = np.uint64(pending[lay.ARRIVAL, k] + 1)
    else:
        prefix = step_prefix(
            np.uint64(settings[lay.SEED]), control[lay.PASS], control[lay.STEP] + 1
        )
        inputs = populations.shape[0] - 1
        for k in range(n):
            key = neuron_key(prefix, pending[lay.KEY, k])
            if policy == lay.MOMENTUM_ORDER:
                m = np.float64(0.0)
                if pending[lay.OWNER, k] != inputs:
                    m = np.float64(potential[lay.MOMENTUM, pending[lay.ORIGIN, k]])
                keys[k] = _ALL - _ascending(m + noise * uniform(key))
            else:
                keys[k] = key
    smallest(keys, pending[lay.KEY], n, wanted, chosen)
    return wanted


@kernel
def _layer_keys(populations, pending, keys, n):
    """Key 0 for all pending spikes of the lowest-ranked population, 1 for others; how many."""
    best = pending[lay.OWNER, 0]
    for k in range(1, n):
        p = pending[lay.OWNER, k]
        rank, lowest = populations[p, lay.RANK], populations[best, lay.RANK]
        if rank < lowest or (rank == lowest and p < best):
            best = p
    wanted = 0
    for k in range(n):
        chosen = pending[lay.OWNER, k] == best
        keys[k] = np.uint64(0) if chosen else np.uint64(1)
        wanted += chosen
    return wanted


@kernel
def take(chosen, n, populations, marks, pending, group, slots, control, settings):
    """Move the ``n`` chosen spikes from the pending set to the group, in that order.

    This opens the next forward step, and counts its rounds.
    """
    control[lay.STEP] += 1
    control[lay.STEPS] += 1
    control[lay.SERIAL] += 1
    size = settings[lay.GROUP_SIZE]
    control[lay.ROUNDS] += (n + size - 1) // size
    inputs = populations.shape[0] - 1
    for s in range(n):
        at = chosen[s]
        owner, origin = pending[lay.OWNER, at], pending[lay.ORIGIN, at]
        group[lay.KEY, s] = pending[lay.KEY, at]
        group[lay.ORIGIN, s] = origin
        group[lay.OWNER, s] = owner
        group[lay.COUNT, s] = 1
        group[lay.VIA, s] = -1
        if owner != inputs:
            group[lay.COUNT, s] = marks[lay.WAITING, origin]
            marks[lay.WAITING, origin] = 0
        pending[lay.OWNER, at] = -1
    control[lay.GROUP] = n
    kept = 0
    for k in range(control[lay.PENDING]):
        if pending[lay.OWNER, k] >= 0:
            for r in range(pending.shape[0]):
                pending[r, kept] = pending[r, k]
            kept += 1
    control[lay.PENDING] = kept
    log_group(group, slots, control)


@kernel
def log_group(group, slots, control):
    """Append the group to the log of what was delivered."""
    for s in range(control[lay.GROUP]):
        at = control[lay.SLOTS]
        slots[lay.PASS_, at] = control[lay.PASS]
        slots[lay.STEP_, at] = control[lay.STEP]
        slots[lay.SLOT_KEY, at] = group[lay.KEY, s]
        slots[lay.SLOT_ORIGIN, at] = group[lay.ORIGIN, s]
        slots[lay.SLOT_COUNT, at] = group[lay.COUNT, s]
        slots[lay.SLOT_VIA, at] = group[lay.VIA, s]
        control[lay.SLOTS] = at + 1
