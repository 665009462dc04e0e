"""The pending spikes: enqueue and count the neurons that fired, and open the next group."""

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    counts_of,
    fired_of,
    i64_at,
    last_group_of,
    momenta_of,
    multiplicity_of,
    pending_of,
    populations_of,
    settings_of,
    spike_log_of,
    spikes_of,
    votes_of,
)
from neuroasync.core.kernels.delivery.prefetching import MAX_PREFETCHED, prefetch_rows
from neuroasync.core.kernels.jit import inlined_uncounted, kernel, uncounted
from neuroasync.core.kernels.layout import (
    FIRED_AT_ONCE,
    FULL,
    GROUP_UNIT,
    MIXED,
    REFRACTORY_BIT,
    SLOTS_AHEAD,
    Context,
    Control,
    DeliveryLog,
    Group,
    Pending,
    Phase,
    PolicyCode,
    Populations,
    Settings,
    SpikeLog,
    StepCounts,
    Votes,
)
from neuroasync.core.kernels.vectors.ranking import MAX_RANKED

__all__ = [
    "begin_group",
    "count_spikes",
    "count_step",
    "enqueue_fired",
    "lacks_capacity",
    "lacks_pending_capacity",
    "log_slots",
]


@inlined_uncounted
def enqueue_fired(c, p):
    """Add the spikes that ``p`` fired in this step to the pending spikes, and count them.

    If an earlier spike of a neuron is still pending, its multiplicity grows instead, and it keeps
    its arrival.
    """
    n = counts_of(c)[StepCounts.FIRED, p]
    if n == 0:
        return
    control, start = control_of(c), populations_of(c)[p, Populations.START]
    pending, fired = pending_of(c)[Pending.KEY], fired_of(c)[start : start + n]
    policy, room = settings_of(c)[Settings.POLICY], c[Context.PENDING_CAPACITY]
    at = control[Control.HEAD] + control[Control.PENDING]
    is_plain = c[Context.MULTIPLICITY_AT] < 0 and policy != PolicyCode.CUSTOM
    if is_plain and at + n + FIRED_AT_ONCE <= room:
        # Whole pieces, because the end of a short loop is mispredicted; the rest is overwritten.
        for begin in range(0, n, FIRED_AT_ONCE):
            for k in range(begin, begin + FIRED_AT_ONCE):
                pending[np.uint64(at + k)] = np.int32(fired[np.uint64(k)])
        control[Control.PENDING] += n
    else:
        _enqueue_one_by_one(c, fired)
    if c[Context.PREFETCHES] == SLOTS_AHEAD and control[Control.PENDING] <= MAX_PREFETCHED:
        prefetch_rows(c, fired, 0, n)  # they are delivered later, so this memory has time to arrive
    count_spikes(c, p, fired)


@uncounted
def _enqueue_one_by_one(c, fired):
    """Add spikes to the pending spikes; see :func:`enqueue_fired`."""
    control, pending, room = control_of(c), pending_of(c), c[Context.PENDING_CAPACITY]
    for k in range(fired.size):
        if c[Context.MULTIPLICITY_AT] >= 0:
            multiplicity = multiplicity_of(c)
            multiplicity[fired[k]] += 1
            if multiplicity[fired[k]] > 1:
                continue
        at = control[Control.HEAD] + control[Control.PENDING]
        if at >= room:  # the array is circular
            at -= room
        pending[Pending.KEY, at] = fired[k]
        pending[Pending.ARRIVAL, at] = control[Control.STEP]
        control[Control.PENDING] += 1


@inlined_uncounted
def count_spikes(c, p, fired):
    """Log the spikes that ``p`` fired in this step, and count them and their votes."""
    control = control_of(c)
    if c[Context.SPIKE_LOG_CAPACITY]:
        _log_spikes(c, fired)
    if p == settings_of(c)[Settings.OUTPUT]:
        _vote(c, fired, populations_of(c)[p, Populations.START])
    control[Control.LAST_OWNER] = p
    control[Control.SPIKES] += fired.size
    spikes_of(c)[p] += fired.size


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
        spike_log[SpikeLog.FLAGS, at] = (
            last_group[i] & REFRACTORY_BIT | control[Control.SILENT_TURN]
        )
        spike_momentum[at] = momenta[i]
        control[Control.SPIKE_LOG] = at + 1


@uncounted
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


@inlined_uncounted
def begin_group(c, n):
    """Open the next forward step, which delivers the ``n`` pending spikes that were selected.

    :func:`move_to_group` then moves the spikes.
    """
    counts_of(c)[:] = 0
    control_of(c)[Control.GROUP_MARK] += GROUP_UNIT
    is_plain = c[Context.MULTIPLICITY_AT] < 0 and settings_of(c)[Settings.QUEUED] == 0
    control_of(c)[Control.GROUP_OWNER] = MIXED if is_plain else FULL
    count_step(c, n)


@inlined_uncounted
def count_step(c, n):
    """Count a forward step that delivers ``n`` spikes, and its rounds; move them next."""
    control, size = control_of(c), settings_of(c)[Settings.GROUP_SIZE]
    control[Control.STEP] += 1
    control[Control.STEPS] += 1
    control[Control.GROUP_NUMBER] += 1
    control[Control.ROUNDS] += (n + size - 1) // size
    control[Control.GROUP] = n
    control[Control.MOVED] = control[Control.SCANNED] = 0
    control[Control.KEPT] = 0
    control[Control.PHASE] = Phase.MOVING


@kernel
def log_slots(c, begin, end):
    """Append the slots ``begin`` to ``end`` of the group to the delivery log."""
    control, n = control_of(c), end - begin
    log, row = (
        c[Context.DELIVERY_LOG] + 8 * control[Control.DELIVERY_LOG],
        8 * c[Context.DELIVERY_LOG_CAPACITY],
    )
    slots, slot_row = c[Context.GROUP] + 8 * begin, 8 * c[Context.GROUP_CAPACITY]
    _fill(log + row * DeliveryLog.PASS, n, control[Control.PASS])
    _fill(log + row * DeliveryLog.STEP, n, control[Control.STEP])
    _copy(log + row * DeliveryLog.ORIGIN, n, slots + slot_row * Group.ORIGIN)
    if control[Control.GROUP_OWNER] == FULL:
        _copy(log + row * DeliveryLog.KEY, n, slots + slot_row * Group.KEY)
        _copy(log + row * DeliveryLog.MULTIPLICITY, n, slots + slot_row * Group.MULTIPLICITY)
        _copy(log + row * DeliveryLog.CONNECTION, n, slots + slot_row * Group.CONNECTION)
    else:
        _copy(log + row * DeliveryLog.KEY, n, slots + slot_row * Group.ORIGIN)
        _fill(log + row * DeliveryLog.MULTIPLICITY, n, 1)
        _fill(log + row * DeliveryLog.CONNECTION, n, -1)
    control[Control.DELIVERY_LOG] += n


@kernel
def _fill(address, n, value):
    """Write ``value`` to the i64[n] at an address."""
    to = i64_at(address, n)
    for k in range(n):
        to[k] = value


@kernel
def _copy(address, n, source):
    """Copy the i64[n] at ``source`` to an address."""
    to, values = i64_at(address, n), i64_at(source, n)
    for k in range(n):
        to[k] = values[k]


@uncounted
def lacks_pending_capacity(c, added):
    """Return whether a pass in which ``added`` input events become pending needs a larger array.

    The array is grown between passes only, when it is empty. A neuron has at most one entry: it
    fires once in the pass, or its multiplicity grows. Ranking needs the rest.
    """
    control = control_of(c)
    control[Control.NEEDED_PENDING] = added + c[Context.NEURONS] + MAX_RANKED
    return c[Context.PENDING_CAPACITY] < control[Control.NEEDED_PENDING]


@uncounted
def lacks_capacity(c, slots):
    """Return whether a buffer is too small for a step.

    Buffers are grown between steps only, so the check covers all that a step can add: every neuron
    may fire once.

    Args:
        c: the context.
        slots: maximum number of slots of the step's group.
    """
    control, neurons = control_of(c), c[Context.NEURONS]
    control[Control.NEEDED_SLOTS] = slots
    return (
        c[Context.GROUP_CAPACITY] < slots
        or c[Context.IN_FLIGHT_CAPACITY] - control[Control.IN_FLIGHT]
        < slots * settings_of(c)[Settings.MAX_DELAYED_FAN_OUT]
        or (
            c[Context.SPIKE_LOG_CAPACITY] > 0
            and c[Context.SPIKE_LOG_CAPACITY] - control[Control.SPIKE_LOG] < neurons
        )
        or (
            c[Context.DELIVERY_LOG_CAPACITY] > 0
            and c[Context.DELIVERY_LOG_CAPACITY] - control[Control.DELIVERY_LOG] < slots
        )
    )
