"""The pending spikes: enqueue the neurons that fired, and move the selected ones to the group."""

from typing import Final

from neuroasync.core.kernels.array_views import (
    chosen_of,
    control_of,
    counts_of,
    delivery_log_of,
    fired_of,
    group_of,
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
from neuroasync.core.kernels.delivery.input_delivery import queued_multiplicity
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    GROUP_UNIT,
    REFRACTORY_BIT,
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

__all__ = [
    "begin_group",
    "count_spikes",
    "count_step",
    "enqueue_fired",
    "lacks_capacity",
    "lacks_pending_capacity",
    "log_slots",
    "move_to_group",
]

_SPIKES_PER_CHECK: Final = 8192
"""Pending spikes that are moved between two checks of the work budget."""
_MOVE_COST: Final = 16
"""Cost of moving a pending spike to the group, in synaptic operations (measured)."""
_SCAN_COST: Final = 4
"""Cost of searching a pending spike for a gap (measured)."""


@kernel
def enqueue_fired(c, p):
    """Add the spikes that ``p`` fired in this step to the pending spikes, and count them.

    If an earlier spike of a neuron is still pending, its multiplicity grows instead, and it keeps
    its arrival.
    """
    n = counts_of(c)[StepCounts.FIRED, p]
    if n == 0:
        return
    control, populations = control_of(c), populations_of(c)
    pending, start, step = pending_of(c), populations[p, Populations.START], control[Control.STEP]
    fired, room = fired_of(c)[start : start + n], c[Context.PENDING_CAPACITY]
    for k in range(n):
        if c[Context.MULTIPLICITY_AT] >= 0:
            multiplicity = multiplicity_of(c)
            multiplicity[fired[k]] += 1
            if multiplicity[fired[k]] > 1:
                continue
        at = control[Control.HEAD] + control[Control.PENDING]
        if at >= room:  # the array is circular
            at -= room
        pending[Pending.KEY, at] = fired[k]
        pending[Pending.ORIGIN, at] = fired[k]
        pending[Pending.ARRIVAL, at] = step
        pending[Pending.OWNER, at] = p
        control[Control.PENDING] += 1
    count_spikes(c, p, fired)


@kernel
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
def begin_group(c, n):
    """Open the next forward step, which delivers the pending spikes at ``chosen[:n]``.

    :func:`move_to_group` then moves the spikes.
    """
    counts_of(c)[:] = 0
    control_of(c)[Control.GROUP_MARK] += GROUP_UNIT
    count_step(c, n)


@kernel
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
def move_to_group(c, limit):
    """Move the selected spikes from the pending spikes to the group.

    Args:
        c: the context.
        limit: value of ``control[WORK]`` after which to return; the next call continues there.

    Returns:
        Whether all selected spikes were moved.
    """
    control = control_of(c)
    n, begin = control[Control.GROUP], control[Control.MOVED]
    while begin < n:
        end = min(n, begin + _SPIKES_PER_CHECK)
        _move(c, begin, end)
        control[Control.WORK] += _MOVE_COST * (end - begin)
        begin = end
        if end < n and control[Control.WORK] > limit:
            control[Control.MOVED] = end
            return False
    left = control[Control.PENDING] - n
    if left == 0:
        control[Control.HEAD] = 0
    elif not _close_gaps(c, n, left, limit):
        control[Control.MOVED] = n
        return False
    control[Control.PENDING] = left
    return True


@kernel
def _move(c, begin, end):
    """Write the slots ``begin`` to ``end`` of the group; mark the spikes as moved."""
    group, pending, chosen = group_of(c), pending_of(c), chosen_of(c)
    inputs = c[Context.POPULATION_COUNT]
    for s in range(begin, end):
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
        elif owner == inputs:
            group[Group.MULTIPLICITY, s] = queued_multiplicity(c, pending[Pending.KEY, at])
        pending[Pending.OWNER, at] = -1  # marks the position as free for _close_gaps


@kernel
def _close_gaps(c, n, left, limit):
    """Remove the ``n`` entries of the pending spikes whose owner is -1; see `move_to_group`.

    ``left`` entries remain, at least one.
    """
    control, policy = control_of(c), settings_of(c)[Settings.POLICY]
    if policy == PolicyCode.FIFO:
        head, room = control[Control.HEAD] + n, c[Context.PENDING_CAPACITY]
        control[Control.HEAD] = head - room if head >= room else head
        return True
    # The order of random and momentum does not depend on positions. Custom policies rely on the
    # order of firing.
    fills = policy == PolicyCode.RANDOM or policy == PolicyCode.MOMENTUM
    total = n if fills else left + n
    begin = control[Control.SCANNED]
    while begin < total:
        end = min(total, begin + _SPIKES_PER_CHECK)
        if fills:
            _fill_gaps(c, begin, end, left, n)
        else:
            _close_up(c, begin, end)
            control[Control.WORK] += _SCAN_COST * (end - begin)
        begin = end
        if end < total and control[Control.WORK] > limit:
            control[Control.SCANNED] = end
            return False
    return True


@kernel
def _fill_gaps(c, begin, end, left, n):
    """Fill the gaps that the selected spikes ``begin`` to ``end`` left with the last entries."""
    control, pending, chosen = control_of(c), pending_of(c), chosen_of(c)
    last = left + n - 1 - control[Control.KEPT]
    for s in range(begin, end):
        at = chosen[s]
        while last >= left and pending[Pending.OWNER, last] < 0:
            last -= 1
        if at < left:
            for r in range(len(Pending)):
                pending[r, at] = pending[r, last]
            last -= 1
    control[Control.KEPT] = left + n - 1 - last


@kernel
def _close_up(c, begin, end):
    """Move the entries from ``begin`` to ``end`` that were not selected to the front."""
    control, pending = control_of(c), pending_of(c)
    kept = control[Control.KEPT]
    for k in range(begin, end):
        if pending[Pending.OWNER, k] >= 0:
            for r in range(len(Pending)):
                pending[r, kept] = pending[r, k]
            kept += 1
    control[Control.KEPT] = kept


@kernel
def log_slots(c, begin, end):
    """Append the slots ``begin`` to ``end`` of the group to the delivery log."""
    control, group, delivery_log = control_of(c), group_of(c), delivery_log_of(c)
    for s in range(begin, end):
        at = control[Control.DELIVERY_LOG]
        delivery_log[DeliveryLog.PASS, at] = control[Control.PASS]
        delivery_log[DeliveryLog.STEP, at] = control[Control.STEP]
        delivery_log[DeliveryLog.KEY, at] = group[Group.KEY, s]
        delivery_log[DeliveryLog.ORIGIN, at] = group[Group.ORIGIN, s]
        delivery_log[DeliveryLog.MULTIPLICITY, at] = group[Group.MULTIPLICITY, s]
        delivery_log[DeliveryLog.CONNECTION, at] = group[Group.CONNECTION, s]
        control[Control.DELIVERY_LOG] = at + 1


@kernel
def lacks_pending_capacity(c, added):
    """Return whether a pass in which ``added`` input events become pending needs a larger array.

    The array is grown between passes only, when it is empty. A neuron has at most one entry: it
    fires once in the pass, or its multiplicity grows.
    """
    control = control_of(c)
    control[Control.NEEDED_PENDING] = added + c[Context.NEURONS]
    return c[Context.PENDING_CAPACITY] < control[Control.NEEDED_PENDING]


@kernel
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
