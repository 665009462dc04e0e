"""The pending spikes: enqueue the neurons that fired, select the next group, and remove it.

A forward step delivers at most F pending spikes, F being the group size. Orders:

    layer-sync  all spikes of the lowest-ranked population that has any, by neuron, whatever F is
    random      ascending order_key(seed, pass, step, neuron); ties by neuron
    momentum    descending m + noise * uniform[0, 1) of the same key; ties by neuron
    fifo        the order in which they fired

Source: the forward step of Koopman et al., arXiv 2408.05098.
"""

import numpy as np

from neuroasync.core.kernels.array_views import (
    chosen_of,
    control_of,
    counts_of,
    delivery_log_of,
    fired_of,
    float_settings_of,
    group_of,
    last_group_of,
    momenta_of,
    multiplicity_of,
    order_keys_of,
    pending_of,
    populations_of,
    settings_of,
    spike_log_of,
    spikes_of,
    votes_of,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    GROUP_UNIT,
    REFRACTORY_BIT,
    Context,
    Control,
    Counts,
    DeliveryLog,
    FloatSettings,
    Group,
    Pending,
    PolicyCode,
    Populations,
    Settings,
    SpikeLog,
    Votes,
)
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform
from neuroasync.core.kernels.selection import smallest

__all__ = ["choose", "enqueue_fired", "log_group", "move_to_group"]

_SIGN = np.uint64(1 << 63)
_ALL = np.uint64(2**64 - 1)


@kernel
def enqueue_fired(c, p):
    """Add the spikes that ``p`` fired in this step to the pending spikes, and count them.

    If an earlier spike of a neuron is still pending, its multiplicity grows instead, and it keeps
    its arrival.
    """
    n = counts_of(c)[Counts.FIRED, p]
    if n == 0:
        return
    control, populations = control_of(c), populations_of(c)
    pending, start, step = pending_of(c), populations[p, Populations.START], control[Control.STEP]
    fired = fired_of(c)[start : start + n]
    for k in range(n):
        if c[Context.MULTIPLICITY_AT] >= 0:
            multiplicity = multiplicity_of(c)
            multiplicity[fired[k]] += 1
            if multiplicity[fired[k]] > 1:
                continue
        at = control[Control.HEAD] + control[Control.PENDING]
        pending[Pending.KEY, at] = fired[k]
        pending[Pending.ORIGIN, at] = fired[k]
        pending[Pending.ARRIVAL, at] = step
        pending[Pending.OWNER, at] = p
        control[Control.PENDING] += 1
    if c[Context.SPIKE_LOG_CAPACITY]:
        _log_spikes(c, fired)
    if p == settings_of(c)[Settings.OUTPUT]:
        _vote(c, fired, start)
    control[Control.LAST_OWNER] = p
    control[Control.SPIKES] += n
    spikes_of(c)[p] += n


@kernel
def _log_spikes(c, fired):
    """Append spikes to the spike log."""
    control, last_group, momenta = control_of(c), last_group_of(c), momenta_of(c)
    spike_log, spike_momentum = spike_log_of(c)
    for k in range(fired.size):
        at, i = control[Control.SPIKE_LOG], fired[k]
        spike_log[SpikeLog.PASS, at] = control[Control.PASS]
        spike_log[SpikeLog.STEP, at] = control[Control.STEP]
        spike_log[SpikeLog.TIME, at] = control[Control.TIME]
        spike_log[SpikeLog.NEURON, at] = i
        spike_log[SpikeLog.BECAME_REFRACTORY, at] = last_group[i] & REFRACTORY_BIT
        spike_momentum[at] = momenta[i]
        control[Control.SPIKE_LOG] = at + 1


@kernel
def _vote(c, fired, start):
    """Count spikes of the output population as votes, and note when a class first leads."""
    control, votes = control_of(c), votes_of(c)
    for k in range(fired.size):
        cls = fired[k] - start
        votes[Votes.COUNT, cls] += 1
        votes[Votes.LATEST, cls] = control[Control.GROUP_NUMBER]
        # A class that draws level does not lead, because the other one reached that count first.
        leads = votes[Votes.COUNT, cls] > control[Control.TOP_VOTES]
        control[Control.TOP_VOTES] = max(control[Control.TOP_VOTES], votes[Votes.COUNT, cls])
        if leads and votes[Votes.LED_SPIKES, cls] == 0:
            votes[Votes.LED_SPIKES, cls] = control[Control.SPIKES] + k + 1
            votes[Votes.LED_STEPS, cls] = control[Control.STEPS]
            votes[Votes.LED_ROUNDS, cls] = control[Control.ROUNDS]
        if control[Control.FIRST_VOTE_STEPS] < 0:
            control[Control.FIRST_VOTE_STEPS] = control[Control.STEPS]
            control[Control.FIRST_VOTE_ROUNDS] = control[Control.ROUNDS]
            control[Control.FIRST_VOTE_SPIKES] = control[Control.SPIKES] + k + 1


@kernel
def choose(c):
    """Write the positions of the pending spikes to deliver next to ``chosen``, in policy order.

    Returns:
        The number of selected spikes: at most the group size, except under layer-sync.
    """
    control, settings, chosen = control_of(c), settings_of(c), chosen_of(c)
    n, policy = control[Control.PENDING], settings[Settings.POLICY]
    count = min(n, settings[Settings.GROUP_SIZE])
    if policy == PolicyCode.FIFO:  # pending spikes are stored in the order of firing
        for s in range(count):
            chosen[s] = control[Control.HEAD] + s
        return count
    if policy == PolicyCode.LAYER_SYNC:
        return _choose_layer(c, n)
    keys, pending, momenta = order_keys_of(c), pending_of(c), momenta_of(c)
    prefix = step_prefix(
        np.uint64(control[Control.SEED]), control[Control.PASS], control[Control.STEP] + 1
    )
    control[Control.WORK] += n
    if policy == PolicyCode.RANDOM:
        for k in range(n):
            keys[k] = neuron_key(prefix, pending[Pending.KEY, k])
    else:
        noise, inputs = float_settings_of(c)[FloatSettings.NOISE], c[Context.POPULATION_COUNT]
        for k in range(n):
            m = np.float64(0.0)
            if pending[Pending.OWNER, k] != inputs:
                m = np.float64(momenta[pending[Pending.ORIGIN, k]])
            if noise != 0.0:
                m += noise * uniform(neuron_key(prefix, pending[Pending.KEY, k]))
            keys[k] = _ALL - _ascending(m)
    smallest(keys, pending[Pending.KEY], n, count, chosen)
    return count


@kernel
def _ascending(value):
    """Return a u64 for a float64, such that the integers sort like the numbers.

    Adding 0.0 turns -0.0 into 0.0, so that both have the same key.
    """
    bits = np.float64(value + 0.0).view(np.uint64)
    return bits ^ _ALL if bits & _SIGN else bits | _SIGN


@kernel
def _choose_layer(c, n):
    """Select all pending spikes of the lowest-ranked population, by neuron; return how many."""
    pending, populations = pending_of(c), populations_of(c)
    keys, chosen = order_keys_of(c), chosen_of(c)
    best = pending[Pending.OWNER, 0]
    for k in range(1, n):
        p = pending[Pending.OWNER, k]
        rank, lowest = populations[p, Populations.RANK], populations[best, Populations.RANK]
        if rank < lowest or (rank == lowest and p < best):
            best = p
    count, ascends, latest = 0, True, np.int64(-1)
    for k in range(n):
        mine = pending[Pending.OWNER, k] == best
        keys[k] = np.uint64(0) if mine else np.uint64(1)
        if mine:
            chosen[count] = k
            count += 1
            ascends = ascends and pending[Pending.KEY, k] > latest
            latest = pending[Pending.KEY, k]
    if not ascends:
        smallest(keys, pending[Pending.KEY], n, count, chosen)
    return count


@kernel
def move_to_group(c, n):
    """Move the spikes at the positions ``chosen[:n]`` from the pending spikes to the group.

    This opens the next forward step and counts its rounds.
    """
    control, group, pending = control_of(c), group_of(c), pending_of(c)
    chosen, settings = chosen_of(c), settings_of(c)
    inputs, size = c[Context.POPULATION_COUNT], settings[Settings.GROUP_SIZE]
    control[Control.STEP] += 1
    control[Control.STEPS] += 1
    control[Control.GROUP_NUMBER] += 1
    control[Control.GROUP_MARK] += GROUP_UNIT
    control[Control.ROUNDS] += (n + size - 1) // size
    for s in range(n):
        at = chosen[s]
        owner, origin = pending[Pending.OWNER, at], pending[Pending.ORIGIN, at]
        group[Group.KEY, s] = pending[Pending.KEY, at]
        group[Group.ORIGIN, s] = origin
        group[Group.OWNER, s] = owner
        group[Group.MULTIPLICITY, s] = 1
        group[Group.CONNECTION, s] = -1
        if owner != inputs and c[Context.MULTIPLICITY_AT] >= 0:
            multiplicity = multiplicity_of(c)
            group[Group.MULTIPLICITY, s] = multiplicity[origin]
            multiplicity[origin] = 0
        pending[Pending.OWNER, at] = -1  # marks the position as free for _close_gaps
    control[Control.GROUP] = n
    _close_gaps(c, n)
    log_group(c)


@kernel
def _close_gaps(c, n):
    """Remove the ``n`` entries of the pending spikes whose owner is -1."""
    control, pending, policy = control_of(c), pending_of(c), settings_of(c)[Settings.POLICY]
    left = control[Control.PENDING] - n
    if policy == PolicyCode.FIFO:
        control[Control.HEAD] = control[Control.HEAD] + n if left else 0
    elif policy == PolicyCode.RANDOM or policy == PolicyCode.MOMENTUM:
        # These orders do not depend on positions, so the last entries fill the gaps.
        chosen, last = chosen_of(c), left + n - 1
        for s in range(n):
            at = chosen[s]
            while last >= left and pending[Pending.OWNER, last] < 0:
                last -= 1
            if at < left:
                for r in range(len(Pending)):
                    pending[r, at] = pending[r, last]
                last -= 1
    else:  # layer-sync and custom policies rely on the order of firing
        kept = 0
        for k in range(left + n):
            if pending[Pending.OWNER, k] >= 0:
                for r in range(len(Pending)):
                    pending[r, kept] = pending[r, k]
                kept += 1
    control[Control.PENDING] = left


@kernel
def log_group(c):
    """Append the group to the delivery log, if deliveries are logged."""
    if c[Context.DELIVERY_LOG_CAPACITY] == 0:
        return
    control, group, delivery_log = control_of(c), group_of(c), delivery_log_of(c)
    for s in range(control[Control.GROUP]):
        at = control[Control.DELIVERY_LOG]
        delivery_log[DeliveryLog.PASS, at] = control[Control.PASS]
        delivery_log[DeliveryLog.STEP, at] = control[Control.STEP]
        delivery_log[DeliveryLog.KEY, at] = group[Group.KEY, s]
        delivery_log[DeliveryLog.ORIGIN, at] = group[Group.ORIGIN, s]
        delivery_log[DeliveryLog.MULTIPLICITY, at] = group[Group.MULTIPLICITY, s]
        delivery_log[DeliveryLog.CONNECTION, at] = group[Group.CONNECTION, s]
        control[Control.DELIVERY_LOG] = at + 1
