"""What arrives at the start of a pass: input events, and spikes whose delay ends."""

import numpy as np

from neuroasync.core.kernels.array_views import (
    connections_of,
    control_of,
    group_of,
    i64_at,
    in_flight_of,
    input_bits,
    input_index,
    pending_of,
    populations_of,
    settings_of,
    trailing_zeros,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Connections,
    Context,
    Control,
    Group,
    InFlight,
    Pending,
    Populations,
    Settings,
)
from neuroasync.core.kernels.pending_spikes import log_group

__all__ = ["open_group", "put_in_flight"]

_ONE = np.uint64(1)


@kernel
def open_group(c, first, last):
    """Make step 0 of a pass: input events ``first`` to ``last`` and the spikes due now, one group.

    With queued input, the events join the pending spikes instead, in the order that they have.
    """
    control = control_of(c)
    control[Control.STEP] = 0
    control[Control.LAST_OWNER] = -1
    control[Control.GROUP_NUMBER] += 1
    control[Control.INPUT_EVENTS] += last - first
    n = 0
    if settings_of(c)[Settings.QUEUED]:
        _enqueue_input(c, first, last)
    else:
        n = _group_input(c, first, last)
    control[Control.GROUP] = _append_due_spikes(c, n)
    log_group(c)


@kernel
def _enqueue_input(c, first, last):
    control, pending, index = control_of(c), pending_of(c), input_index(c)
    inputs = c[Context.POPULATION_COUNT]
    start = populations_of(c)[inputs, Populations.START]
    for k in range(last - first):
        at = control[Control.HEAD] + control[Control.PENDING] + k
        pending[Pending.KEY, at] = start + k
        pending[Pending.ORIGIN, at] = start + index[first + k]
        pending[Pending.ARRIVAL, at] = -1
        pending[Pending.OWNER, at] = inputs
    control[Control.PENDING] += last - first


@kernel
def _group_input(c, first, last):
    """Put the events into the group by ascending index, equal ones as one; return how many."""
    group, index, n = group_of(c), input_index(c), last - first
    inputs = c[Context.POPULATION_COUNT]
    start, ascends = populations_of(c)[inputs, Populations.START], True
    for k in range(first + 1, last):
        ascends = ascends and index[k] > index[k - 1]
    if not ascends:
        bits = input_bits(c)
        if 4 * n < bits.size or not _set_bits_if_distinct(c, bits, first, last):
            return _group_by_sorting(c, first, last)
        at = 0
        for word in range(bits.size):
            left = bits[word]
            bits[word] = 0
            while left:
                _write_slot(group, at, start + 64 * word + trailing_zeros(left), inputs, 1, -1)
                left &= left - _ONE
                at += 1
        return at
    for k in range(n):
        _write_slot(group, k, start + index[first + k], inputs, 1, -1)
    return n


@kernel
def _set_bits_if_distinct(c, bits, first, last):
    """Set the bit of each event's index, unless two have the same one: then none is set."""
    index = input_index(c)
    for k in range(first, last):
        i = np.uint64(index[k])
        bit = _ONE << (i & np.uint64(63))
        if bits[i >> np.uint64(6)] & bit:
            for j in range(first, k):
                bits[index[j] >> 6] = 0
            return False
        bits[i >> np.uint64(6)] |= bit
    return True


@kernel
def _group_by_sorting(c, first, last):
    group, inputs, n = group_of(c), c[Context.POPULATION_COUNT], 0
    start = populations_of(c)[inputs, Populations.START]
    for i in np.sort(input_index(c)[first:last]):
        if n and group[Group.ORIGIN, n - 1] == start + i:
            group[Group.MULTIPLICITY, n - 1] += 1
            continue
        _write_slot(group, n, start + i, inputs, 1, -1)
        n += 1
    return n


@kernel
def _write_slot(group, at, origin, owner, count, via):
    group[Group.KEY, at] = origin
    group[Group.ORIGIN, at] = origin
    group[Group.MULTIPLICITY, at] = count
    group[Group.OWNER, at] = owner
    group[Group.CONNECTION, at] = via


@kernel
def _append_due_spikes(c, n):
    """Append what is due now to the group by (time fired, connection, neuron); return its size.

    What one neuron sent over a connection at one time stays in the order in which it was selected.
    """
    control = control_of(c)
    if control[Control.IN_FLIGHT] == 0:
        return n
    in_flight, group = in_flight_of(c), group_of(c)
    kept, first = 0, n
    for k in range(control[Control.IN_FLIGHT]):
        if in_flight[InFlight.DUE_US, k] != control[Control.TIME]:
            for r in range(len(InFlight)):
                in_flight[r, kept] = in_flight[r, k]
            kept += 1
            continue
        # Until they are sorted, key and owner hold what else they are sorted by.
        _write_slot(
            group,
            n,
            in_flight[InFlight.ORIGIN, k],
            n,
            in_flight[InFlight.MULTIPLICITY, k],
            in_flight[InFlight.CONNECTION, k],
        )
        group[Group.KEY, n] = in_flight[InFlight.FIRED_US, k]
        n += 1
    control[Control.IN_FLIGHT] = kept
    control[Control.WORK] += 16 * (n - first)
    _sort_slots(group, first, n - first)
    for s in range(first, n):
        group[Group.KEY, s] = group[Group.ORIGIN, s]
        group[Group.OWNER, s] = _owner(c, group[Group.ORIGIN, s])
    return n


@kernel
def _owner(c, origin):
    populations, owner = populations_of(c), c[Context.POPULATION_COUNT]
    while populations[owner, Populations.START] > origin:
        owner -= 1
    return owner


@kernel
def _sort_slots(group, first, n):
    """Sort ``n`` slots by (time fired, connection, neuron, place): a heap sort."""
    ordered = True
    for s in range(first + 1, first + n):
        ordered = ordered and not _later(group, s - 1, s)
    if ordered:
        return
    for at in range(n // 2 - 1, -1, -1):
        _sift_down(group, first, n, at)
    for end in range(n - 1, 0, -1):
        _swap(group, first, first + end)
        _sift_down(group, first, end, 0)


@kernel
def _sift_down(group, first, n, at):
    while True:
        latest = at
        for child in (2 * at + 1, 2 * at + 2):
            if child < n and _later(group, first + child, first + latest):
                latest = child
        if latest == at:
            return
        _swap(group, first + at, first + latest)
        at = latest


@kernel
def _swap(group, a, b):
    for r in range(len(Group)):
        group[r, a], group[r, b] = group[r, b], group[r, a]


@kernel
def _later(group, a, b):
    """Whether slot ``a`` goes after slot ``b``."""
    if group[Group.KEY, a] != group[Group.KEY, b]:
        return group[Group.KEY, a] > group[Group.KEY, b]
    if group[Group.CONNECTION, a] != group[Group.CONNECTION, b]:
        return group[Group.CONNECTION, a] > group[Group.CONNECTION, b]
    if group[Group.ORIGIN, a] != group[Group.ORIGIN, b]:
        return group[Group.ORIGIN, a] > group[Group.ORIGIN, b]
    return group[Group.OWNER, a] > group[Group.OWNER, b]


@kernel
def put_in_flight(c):
    """Note the group's spikes as in flight on every connection with a delay that they have."""
    if settings_of(c)[Settings.MAX_DELAYED_FAN_OUT] == 0:
        return
    control, populations, connections = control_of(c), populations_of(c), connections_of(c)
    group, in_flight, links = group_of(c), in_flight_of(c), i64_at(c[Context.LINKS], 1)
    for s in range(control[Control.GROUP]):
        owner = group[Group.OWNER, s]
        if group[Group.CONNECTION, s] >= 0 or populations[owner, Populations.HAS_DELAYS] == 0:
            continue
        for j in range(
            populations[owner, Populations.OUT_START], populations[owner, Populations.OUT_STOP]
        ):
            delay = connections[links[j], Connections.DELAY]
            if delay > 0:
                at = control[Control.IN_FLIGHT]
                in_flight[InFlight.DUE_US, at] = control[Control.TIME] + delay
                in_flight[InFlight.FIRED_US, at] = control[Control.TIME]
                in_flight[InFlight.CONNECTION, at] = links[j]
                in_flight[InFlight.ORIGIN, at] = group[Group.ORIGIN, s]
                in_flight[InFlight.MULTIPLICITY, at] = group[Group.MULTIPLICITY, s]
                control[Control.IN_FLIGHT] = at + 1
