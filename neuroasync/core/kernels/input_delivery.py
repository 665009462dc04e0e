"""Delivery at the start of a pass: input events, and spikes whose delay ends.

Prioritised input is one group: the input events of the pass by ascending input index, each
multiplied by its count, then the spikes that are due, by (time fired, connection, neuron). With
queued input, the events join the pending spikes, and only the spikes that are due form the group.
"""

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
)
from neuroasync.core.kernels.intrinsics import trailing_zeros
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
    """Open step 0 of a pass, whose group holds input and the spikes that are due.

    Args:
        c: the context.
        first: position of the first input event of the pass.
        last: position after its last input event.
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
    """Add the input events to the pending spikes, in (time, index) order."""
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
    """Write the events to the group by ascending input index; return the number of slots.

    Events of the same input share a slot. Events that are not in ascending order are sorted with
    a bit per input, unless the inputs are too many for that or an input has several events.
    """
    group, index, n = group_of(c), input_index(c), last - first
    inputs = c[Context.POPULATION_COUNT]
    start, is_ascending = populations_of(c)[inputs, Populations.START], True
    for k in range(first + 1, last):
        is_ascending = is_ascending and index[k] > index[k - 1]
    if not is_ascending:
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
    """Set the bit of each event's input; clear them and return False if an input occurs twice."""
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
    """Write the events to the group by sorting a copy; return the number of slots."""
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
    """Write one slot of the group; its key is its origin."""
    group[Group.KEY, at] = origin
    group[Group.ORIGIN, at] = origin
    group[Group.MULTIPLICITY, at] = count
    group[Group.OWNER, at] = owner
    group[Group.CONNECTION, at] = via


@kernel
def _append_due_spikes(c, n):
    """Append the spikes that are due now to the group; return its number of slots.

    They are ordered by (time fired, connection, neuron). Spikes of one neuron that were fired at
    one time stay in the order in which they were selected.

    Args:
        c: the context.
        n: number of slots that the group has.
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
        # Until the slots are sorted, KEY holds the time fired and OWNER the original position.
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
    """Return the population of a neuron, or P for an input."""
    populations, owner = populations_of(c), c[Context.POPULATION_COUNT]
    while populations[owner, Populations.START] > origin:
        owner -= 1
    return owner


@kernel
def _sort_slots(group, first, n):
    """Heap sort ``n`` slots by (time fired, connection, neuron, original position)."""
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
    """Restore the max-heap property below slot ``first + at``."""
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
    """Exchange two slots."""
    for r in range(len(Group)):
        group[r, a], group[r, b] = group[r, b], group[r, a]


@kernel
def _later(group, a, b):
    """Return whether slot ``a`` comes after slot ``b``."""
    if group[Group.KEY, a] != group[Group.KEY, b]:
        return group[Group.KEY, a] > group[Group.KEY, b]
    if group[Group.CONNECTION, a] != group[Group.CONNECTION, b]:
        return group[Group.CONNECTION, a] > group[Group.CONNECTION, b]
    if group[Group.ORIGIN, a] != group[Group.ORIGIN, b]:
        return group[Group.ORIGIN, a] > group[Group.ORIGIN, b]
    return group[Group.OWNER, a] > group[Group.OWNER, b]


@kernel
def put_in_flight(c):
    """Put the spikes of the group in flight on each of their connections that has a delay."""
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
