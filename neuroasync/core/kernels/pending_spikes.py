"""The pending spikes: enqueue the neurons that fired, and move the selected ones to the group."""

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
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    GROUP_UNIT,
    REFRACTORY_BIT,
    Context,
    Control,
    DeliveryLog,
    Group,
    Pending,
    PolicyCode,
    Populations,
    Settings,
    SpikeLog,
    StepCounts,
    Votes,
)

__all__ = ["enqueue_fired", "lacks_capacity", "log_group", "move_to_group"]


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
    control[Control.WORK] += n
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
        control[Control.WORK] += left + n
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


@kernel
def lacks_capacity(c, slots, added):
    """Return whether a buffer is too small for a step.

    Buffers are grown between steps only, so the check covers all that a step can add: every neuron
    may fire once.

    Args:
        c: the context.
        slots: maximum number of slots of the step's group.
        added: number of input events that join the pending spikes.
    """
    control, neurons = control_of(c), c[Context.NEURONS]
    control[Control.NEEDED_SLOTS] = slots
    control[Control.NEEDED_PENDING] = control[Control.PENDING] + added + neurons
    return (
        c[Context.GROUP_CAPACITY] < slots
        or c[Context.PENDING_CAPACITY] - control[Control.HEAD] < control[Control.NEEDED_PENDING]
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
