"""Spikes on connections with a delay: put in flight, then delivered in the pass that is due."""

from typing import Final

from neuroasync.core.kernels.array_views import (
    connections_of,
    control_of,
    group_of,
    i32_at,
    in_flight_of,
    populations_of,
)
from neuroasync.core.kernels.delivery.owners import owner_of
from neuroasync.core.kernels.delivery.slots import write_slot
from neuroasync.core.kernels.jit import kernel, uncounted
from neuroasync.core.kernels.layout import (
    FULL,
    Connections,
    Context,
    Control,
    Group,
    InFlight,
    Populations,
    ReadStage,
)

__all__ = ["append_due_spikes", "begin_due_spikes", "put_in_flight"]

_SPIKES_PER_CHECK: Final = 4096
"""Spikes in flight, or due, that are read between two checks of the work budget."""
_SIFTS_PER_CHECK: Final = 256
"""Slots that are moved within the heap between two checks."""
_SPIKE_COST: Final = 16
"""Cost of reading a spike in flight or completing a slot, in synaptic operations (measured)."""
_SIFT_COST: Final = 800
"""Cost of moving a slot within the heap (measured for 300,000 slots)."""


@uncounted
def begin_due_spikes(c):
    """Prepare :func:`append_due_spikes`, after the input events of the pass were read."""
    control = control_of(c)
    control[Control.READ_STAGE] = ReadStage.DUE
    control[Control.READ_AT] = control[Control.KEPT] = control[Control.UNORDERED] = 0
    control[Control.READ_FIRST] = control[Control.GROUP]


@uncounted
def append_due_spikes(c, limit):
    """Append the spikes that are due now to the group.

    They are ordered by (time fired, connection, neuron). Spikes of one neuron that were fired at
    one time stay in the order in which they were selected.

    Args:
        c: the context.
        limit: value of ``control[WORK]`` after which to return; the next call continues there.

    Returns:
        Whether all of them were appended.
    """
    control = control_of(c)
    if control[Control.IN_FLIGHT] == 0 and control[Control.READ_STAGE] == ReadStage.DUE:
        return True
    while True:
        stage = control[Control.READ_STAGE]
        total = control[Control.GROUP] - control[Control.READ_FIRST]
        if stage == ReadStage.DUE:
            total = control[Control.IN_FLIGHT]
        elif stage == ReadStage.HEAP:
            total //= 2
        at = control[Control.READ_AT]
        is_sorting = stage == ReadStage.HEAP or stage == ReadStage.SORT
        end = min(total, at + (_SIFTS_PER_CHECK if is_sorting else _SPIKES_PER_CHECK))
        _append_some(c, stage, at, end, total)
        control[Control.READ_AT] = end
        control[Control.WORK] += (_SIFT_COST if is_sorting else _SPIKE_COST) * (end - at)
        if end == total:
            if stage == ReadStage.OWNERS:
                return True
            control[Control.READ_AT] = 0
            control[Control.READ_STAGE] = stage + 1
            if stage == ReadStage.DUE:
                control[Control.IN_FLIGHT] = control[Control.KEPT]
                if control[Control.UNORDERED] == 0:
                    control[Control.READ_STAGE] = ReadStage.OWNERS
        if control[Control.WORK] > limit:
            return False


@uncounted
def _append_some(c, stage, begin, end, total):
    """Do the part from ``begin`` to ``end`` of the ``total`` operations of a stage."""
    group, first = group_of(c), control_of(c)[Control.READ_FIRST]
    if stage == ReadStage.DUE:
        _take_due(c, begin, end)
    elif stage == ReadStage.HEAP:
        n = control_of(c)[Control.GROUP] - first
        for at in range(total - 1 - begin, total - 1 - end, -1):
            _sift_down(group, first, n, at)
    elif stage == ReadStage.SORT:
        for left in range(total - 1 - begin, total - 1 - end, -1):
            _swap(group, first, first + left)
            _sift_down(group, first, left, 0)
    else:
        for s in range(first + begin, first + end):
            group[Group.KEY, s] = group[Group.ORIGIN, s]
            group[Group.OWNER, s] = owner_of(c, group[Group.ORIGIN, s])


@kernel
def _take_due(c, begin, end):
    """Move spikes in flight from ``begin`` to ``end`` to the group if they are due.

    Until the slots are complete, KEY holds the time fired and OWNER the original position.
    """
    control, in_flight, group = control_of(c), in_flight_of(c), group_of(c)
    kept, n, first = control[Control.KEPT], control[Control.GROUP], control[Control.READ_FIRST]
    for k in range(begin, end):
        if in_flight[InFlight.DUE_US, k] != control[Control.TIME]:
            for r in range(len(InFlight)):
                in_flight[r, kept] = in_flight[r, k]
            kept += 1
            continue
        write_slot(
            group,
            n,
            in_flight[InFlight.ORIGIN, k],
            n,
            in_flight[InFlight.MULTIPLICITY, k],
            in_flight[InFlight.CONNECTION, k],
        )
        group[Group.KEY, n] = in_flight[InFlight.FIRED_US, k]
        if n > first and _later(group, n - 1, n):
            control[Control.UNORDERED] = 1
        n += 1
    control[Control.KEPT] = kept
    control[Control.GROUP] = n


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


@uncounted
def put_in_flight(c, begin, end):
    """Put the slots ``begin`` to ``end`` in flight on each connection that has a delay."""
    control, populations, connections = control_of(c), populations_of(c), connections_of(c)
    group, in_flight, links = group_of(c), in_flight_of(c), i32_at(c[Context.LINKS], 1)
    is_full = control[Control.GROUP_OWNER] == FULL
    for s in range(begin, end):
        if is_full and group[Group.CONNECTION, s] >= 0:
            continue
        owner = group[Group.OWNER, s] if is_full else owner_of(c, group[Group.ORIGIN, s])
        if populations[owner, Populations.HAS_DELAYS] == 0:
            continue
        count = group[Group.MULTIPLICITY, s] if is_full else 1
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
                in_flight[InFlight.MULTIPLICITY, at] = count
                control[Control.IN_FLIGHT] = at + 1
