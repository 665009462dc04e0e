"""The pending spikes: admit who fired, choose who goes next, take them as a group."""

import numpy as np

from neuroasync.core.kernels import layout as lay
from neuroasync.core.kernels.array_views import (
    chosen_of,
    control_of,
    counts_of,
    fired_of,
    group_of,
    keys_of,
    knobs_of,
    marks_of,
    momenta_of,
    pending_of,
    populations_of,
    rows_of,
    settings_of,
    slots_of,
    spikes_of,
    votes_of,
    waiting_of,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform
from neuroasync.core.kernels.selection import smallest

__all__ = ["choose", "enqueue_fired", "log_group", "take"]

_SIGN = np.uint64(1 << 63)
_ALL = np.uint64(2**64 - 1)


@kernel
def enqueue_fired(c, p):
    """Enter who fired of ``p`` in this step into the pending set, and count them.

    A neuron that is still pending fires with a higher multiplicity and keeps its arrival.
    """
    n = counts_of(c)[lay.FIRES, p]
    if n == 0:
        return
    control, populations = control_of(c), populations_of(c)
    pending, start, step = pending_of(c), populations[p, lay.START], control[lay.STEP]
    fired = fired_of(c)[start : start + n]
    for k in range(n):
        if c[lay.WAITING_AT] >= 0:
            waiting = waiting_of(c)
            waiting[fired[k]] += 1
            if waiting[fired[k]] > 1:
                continue
        at = control[lay.HEAD] + control[lay.PENDING]
        pending[lay.KEY, at] = fired[k]
        pending[lay.ORIGIN, at] = fired[k]
        pending[lay.ARRIVAL, at] = step
        pending[lay.OWNER, at] = p
        control[lay.PENDING] += 1
    if c[lay.ROWS_ROOM]:
        _log_rows(c, fired)
    if p == settings_of(c)[lay.OUTPUT]:
        _vote(c, fired, start)
    control[lay.LAST_OWNER] = p
    control[lay.SPIKES] += n
    spikes_of(c)[p] += n


@kernel
def _log_rows(c, fired):
    control, marks, momenta = control_of(c), marks_of(c), momenta_of(c)
    rows, row_potential = rows_of(c)
    for k in range(fired.size):
        at, i = control[lay.ROWS], fired[k]
        rows[lay.PASS_, at] = control[lay.PASS]
        rows[lay.STEP_, at] = control[lay.STEP]
        rows[lay.TIME_, at] = control[lay.TIME]
        rows[lay.NEURON_, at] = i
        rows[lay.BECAME_REFRACTORY, at] = marks[i] & lay.REFRACTORY_BIT
        row_potential[at] = momenta[i]
        control[lay.ROWS] = at + 1


@kernel
def _vote(c, fired, start):
    """Count the output's spikes as votes."""
    control, votes = control_of(c), votes_of(c)
    for k in range(fired.size):
        cls = fired[k] - start
        votes[lay.VOTES, cls] += 1
        votes[lay.LATEST, cls] = control[lay.SERIAL]
        # Who draws level does not lead: the other came first.
        leads = votes[lay.VOTES, cls] > control[lay.TOP]
        control[lay.TOP] = max(control[lay.TOP], votes[lay.VOTES, cls])
        if leads and votes[lay.LED_SPIKES, cls] == 0:
            votes[lay.LED_SPIKES, cls] = control[lay.SPIKES] + k + 1
            votes[lay.LED_STEPS, cls] = control[lay.STEPS]
            votes[lay.LED_ROUNDS, cls] = control[lay.ROUNDS]
        if control[lay.FIRST_VOTE] < 0:
            control[lay.FIRST_VOTE] = control[lay.STEPS]
            control[lay.FIRST_VOTE_ROUNDS] = control[lay.ROUNDS]
            control[lay.FIRST_VOTE_SPIKES] = control[lay.SPIKES] + k + 1


@kernel
def choose(c):
    """Write the positions of the pending spikes that go next to ``chosen``, in policy order.

    Returns:
        How many were chosen: at most the group size, but all of a population under layer-sync.
    """
    control, settings, chosen = control_of(c), settings_of(c), chosen_of(c)
    n, policy = control[lay.PENDING], settings[lay.POLICY]
    wanted = min(n, settings[lay.GROUP_SIZE])
    if policy == lay.FIFO:  # they stand in the order in which they came
        for s in range(wanted):
            chosen[s] = control[lay.HEAD] + s
        return wanted
    if policy == lay.LAYER_SYNC:
        return _choose_layer(c, n)
    keys, pending, momenta = keys_of(c), pending_of(c), momenta_of(c)
    prefix = step_prefix(np.uint64(control[lay.SEED]), control[lay.PASS], control[lay.STEP] + 1)
    control[lay.WORK] += n
    if policy == lay.RANDOM:
        for k in range(n):
            keys[k] = neuron_key(prefix, pending[lay.KEY, k])
    else:
        noise, inputs = knobs_of(c)[lay.NOISE], c[lay.POPULATION_COUNT]
        for k in range(n):
            m = np.float64(0.0)
            if pending[lay.OWNER, k] != inputs:
                m = np.float64(momenta[pending[lay.ORIGIN, k]])
            if noise != 0.0:
                m += noise * uniform(neuron_key(prefix, pending[lay.KEY, k]))
            keys[k] = _ALL - _ascending(m)
    smallest(keys, pending[lay.KEY], n, wanted, chosen)
    return wanted


@kernel
def _ascending(value):
    """A float64 as 64 bits that sort like it; there is no negative zero."""
    bits = np.float64(value + 0.0).view(np.uint64)
    return bits ^ _ALL if bits & _SIGN else bits | _SIGN


@kernel
def _choose_layer(c, n):
    """All pending spikes of the population of lowest rank, by neuron."""
    pending, populations = pending_of(c), populations_of(c)
    keys, chosen = keys_of(c), chosen_of(c)
    best = pending[lay.OWNER, 0]
    for k in range(1, n):
        p = pending[lay.OWNER, k]
        rank, lowest = populations[p, lay.RANK], populations[best, lay.RANK]
        if rank < lowest or (rank == lowest and p < best):
            best = p
    wanted, ascends, latest = 0, True, np.int64(-1)
    for k in range(n):
        mine = pending[lay.OWNER, k] == best
        keys[k] = np.uint64(0) if mine else np.uint64(1)
        if mine:
            chosen[wanted] = k
            wanted += 1
            ascends = ascends and pending[lay.KEY, k] > latest
            latest = pending[lay.KEY, k]
    if not ascends:
        smallest(keys, pending[lay.KEY], n, wanted, chosen)
    return wanted


@kernel
def take(c, n):
    """Move the ``n`` chosen spikes from the pending set to the group, in that order.

    This opens the next forward step, and counts its rounds.
    """
    control, group, pending = control_of(c), group_of(c), pending_of(c)
    chosen, settings = chosen_of(c), settings_of(c)
    inputs, size = c[lay.POPULATION_COUNT], settings[lay.GROUP_SIZE]
    control[lay.STEP] += 1
    control[lay.STEPS] += 1
    control[lay.SERIAL] += 1
    control[lay.NOW] += lay.MARK
    control[lay.ROUNDS] += (n + size - 1) // size
    for s in range(n):
        at = chosen[s]
        owner, origin = pending[lay.OWNER, at], pending[lay.ORIGIN, at]
        group[lay.KEY, s] = pending[lay.KEY, at]
        group[lay.ORIGIN, s] = origin
        group[lay.OWNER, s] = owner
        group[lay.COUNT, s] = 1
        group[lay.VIA, s] = -1
        if owner != inputs and c[lay.WAITING_AT] >= 0:
            waiting = waiting_of(c)
            group[lay.COUNT, s] = waiting[origin]
            waiting[origin] = 0
        pending[lay.OWNER, at] = -1
    control[lay.GROUP] = n
    _close_gaps(c, n)
    log_group(c)


@kernel
def _close_gaps(c, n):
    """Drop the ``n`` that were taken, whose owner is -1."""
    control, pending, policy = control_of(c), pending_of(c), settings_of(c)[lay.POLICY]
    left = control[lay.PENDING] - n
    if policy == lay.FIFO:
        control[lay.HEAD] = control[lay.HEAD] + n if left else 0
    elif policy == lay.RANDOM or policy == lay.MOMENTUM_ORDER:
        # Where they stand is of no account: the last fill the gaps.
        chosen, last = chosen_of(c), left + n - 1
        for s in range(n):
            at = chosen[s]
            while last >= left and pending[lay.OWNER, last] < 0:
                last -= 1
            if at < left:
                for r in range(lay.PENDING_COLUMNS):
                    pending[r, at] = pending[r, last]
                last -= 1
    else:
        kept = 0
        for k in range(left + n):
            if pending[lay.OWNER, k] >= 0:
                for r in range(lay.PENDING_COLUMNS):
                    pending[r, kept] = pending[r, k]
                kept += 1
    control[lay.PENDING] = left


@kernel
def log_group(c):
    """Append the group to the log of what was delivered, if there is one."""
    if c[lay.SLOTS_ROOM] == 0:
        return
    control, group, slots = control_of(c), group_of(c), slots_of(c)
    for s in range(control[lay.GROUP]):
        at = control[lay.SLOTS]
        slots[lay.PASS_, at] = control[lay.PASS]
        slots[lay.STEP_, at] = control[lay.STEP]
        slots[lay.SLOT_KEY, at] = group[lay.KEY, s]
        slots[lay.SLOT_ORIGIN, at] = group[lay.ORIGIN, s]
        slots[lay.SLOT_COUNT, at] = group[lay.COUNT, s]
        slots[lay.SLOT_VIA, at] = group[lay.VIA, s]
        control[lay.SLOTS] = at + 1
