"""Moving the selected spikes from the pending spikes to the group."""

from typing import Final

from neuroasync.core.kernels.array_views import (
    chosen_of,
    control_of,
    group_of,
    multiplicity_of,
    ordered_of,
    pending_of,
    settings_of,
)
from neuroasync.core.kernels.delivery.input_delivery import queued_multiplicity
from neuroasync.core.kernels.delivery.owners import owner_of
from neuroasync.core.kernels.delivery.slots import write_slot
from neuroasync.core.kernels.jit import inlined_uncounted, kernel
from neuroasync.core.kernels.layout import (
    FULL,
    Context,
    Control,
    Group,
    Pending,
    PolicyCode,
    Selected,
    Settings,
)

__all__ = ["move_to_group"]

_SPIKES_PER_CHECK: Final = 8192
"""Pending spikes that are moved between two checks of the work budget."""
_MOVE_COST: Final = 16
"""Cost of moving a pending spike to the group, in synaptic operations (measured)."""
_SCAN_COST: Final = 4
"""Cost of searching a pending spike for a gap (measured)."""


@inlined_uncounted
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
    elif control[Control.SELECTED] != Selected.CHOSEN:
        _keep_rest(c, n, left)
    elif not _close_gaps(c, n, left, limit):
        control[Control.MOVED] = n
        return False
    control[Control.PENDING] = left
    return True


@inlined_uncounted
def _move(c, begin, end):
    """Write the slots ``begin`` to ``end`` of the group; mark the spikes as moved."""
    control, group, pending = control_of(c), group_of(c), pending_of(c)[Pending.KEY]
    origins, chosen, ordered = group[Group.ORIGIN], chosen_of(c), ordered_of(c)
    selected, room, head = (
        control[Control.SELECTED],
        c[Context.PENDING_CAPACITY],
        control[Control.HEAD],
    )
    is_full = control[Control.GROUP_OWNER] == FULL
    if selected == Selected.ORDERED and not is_full:
        for s in range(begin, end):
            origins[s] = ordered[s]
        return
    for s in range(begin, end):
        at = head + s
        if selected == Selected.CHOSEN:
            at = chosen[s]
        elif at >= room:
            at -= room
        key = ordered[s] if selected == Selected.ORDERED else pending[at]
        if is_full:
            _write_full_slot(c, s, key)
        else:
            origins[s] = key
        if selected == Selected.CHOSEN:
            pending[at] = -1  # marks the position as free for _close_gaps


@kernel
def _write_full_slot(c, s, key):
    """Write all columns of slot ``s`` for a pending spike; nothing of it stays pending."""
    group, neurons = group_of(c), c[Context.NEURONS]
    if key >= neurons:
        origin, owner = pending_of(c)[Pending.QUEUED, key - neurons], c[Context.POPULATION_COUNT]
        write_slot(group, s, origin, owner, queued_multiplicity(c, key), -1)
        group[Group.KEY, s] = key
        return
    count = 1
    if c[Context.MULTIPLICITY_AT] >= 0:
        multiplicity = multiplicity_of(c)
        count = multiplicity[key]
        multiplicity[key] = 0
    write_slot(group, s, key, owner_of(c, key), count, -1)


@inlined_uncounted
def _keep_rest(c, n, left):
    """Keep the ``left`` pending spikes that follow the first ``n``."""
    control, pending, ordered = control_of(c), pending_of(c)[Pending.KEY], ordered_of(c)
    if control[Control.SELECTED] == Selected.FIRST:
        head, room = control[Control.HEAD] + n, c[Context.PENDING_CAPACITY]
        control[Control.HEAD] = head - room if head >= room else head
        return
    for k in range(left):
        pending[k] = ordered[n + k]


@kernel
def _close_gaps(c, n, left, limit):
    """Remove the ``n`` entries of the pending spikes whose key is -1; see `move_to_group`.

    ``left`` entries remain, at least one.
    """
    control, policy = control_of(c), settings_of(c)[Settings.POLICY]
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
    control, pending, chosen = control_of(c), pending_of(c)[Pending.KEY], chosen_of(c)
    last = left + n - 1 - control[Control.KEPT]
    for s in range(begin, end):
        at = chosen[s]
        while last >= left and pending[last] < 0:
            last -= 1
        if at < left:
            pending[at] = pending[last]
            last -= 1
    control[Control.KEPT] = left + n - 1 - last


@kernel
def _close_up(c, begin, end):
    """Move the entries from ``begin`` to ``end`` that were not selected to the front."""
    control, pending = control_of(c), pending_of(c)
    kept = control[Control.KEPT]
    for k in range(begin, end):
        if pending[Pending.KEY, k] >= 0:
            pending[Pending.KEY, kept] = pending[Pending.KEY, k]
            pending[Pending.ARRIVAL, kept] = pending[Pending.ARRIVAL, k]
            kept += 1
    control[Control.KEPT] = kept
