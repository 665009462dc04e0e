"""Spikes on connections with a delay: put in flight, then delivered in the pass that is due."""

from neuroasync.core.kernels.array_views import (
    connections_of,
    control_of,
    group_of,
    i64_at,
    in_flight_of,
    populations_of,
    settings_of,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Connections,
    Context,
    Control,
    Group,
    InFlight,
    Populations,
    Settings,
)

__all__ = ["append_due_spikes", "put_in_flight", "write_slot"]


@kernel
def write_slot(group, at, origin, owner, count, via):
    """Write one slot of the group; its key is its origin."""
    group[Group.KEY, at] = origin
    group[Group.ORIGIN, at] = origin
    group[Group.MULTIPLICITY, at] = count
    group[Group.OWNER, at] = owner
    group[Group.CONNECTION, at] = via


@kernel
def append_due_spikes(c, n):
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
        write_slot(
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
