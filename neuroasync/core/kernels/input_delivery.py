"""What arrives at the start of a pass: input events, and spikes whose delay ends."""

import numpy as np

from neuroasync.core.kernels import layout as lay
from neuroasync.core.kernels.array_views import (
    connections_of,
    control_of,
    due_of,
    group_of,
    i64_at,
    input_bits,
    input_index,
    pending_of,
    populations_of,
    settings_of,
    trailing_zeros,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.pending_spikes import log_group

__all__ = ["note_delayed", "open_group"]

_ONE = np.uint64(1)


@kernel
def open_group(c, first, last):
    """Make step 0 of a pass: input events ``first`` to ``last`` and the spikes due now, one group.

    With queued input, the events join the pending spikes instead, in the order that they have.
    """
    control = control_of(c)
    control[lay.STEP] = 0
    control[lay.LAST_OWNER] = -1
    control[lay.SERIAL] += 1
    control[lay.INPUTS] += last - first
    n = 0
    if settings_of(c)[lay.QUEUED]:
        _queue(c, first, last)
    else:
        n = _in_order(c, first, last)
    control[lay.GROUP] = _take_due(c, n)
    log_group(c)


@kernel
def _queue(c, first, last):
    control, pending, index = control_of(c), pending_of(c), input_index(c)
    inputs = c[lay.POPULATION_COUNT]
    start = populations_of(c)[inputs, lay.START]
    for k in range(last - first):
        at = control[lay.HEAD] + control[lay.PENDING] + k
        pending[lay.KEY, at] = start + k
        pending[lay.ORIGIN, at] = start + index[first + k]
        pending[lay.ARRIVAL, at] = -1
        pending[lay.OWNER, at] = inputs
    control[lay.PENDING] += last - first


@kernel
def _in_order(c, first, last):
    """Put the events into the group by ascending index, equal ones as one; return how many."""
    group, index, n = group_of(c), input_index(c), last - first
    inputs = c[lay.POPULATION_COUNT]
    start, ascends = populations_of(c)[inputs, lay.START], True
    for k in range(first + 1, last):
        ascends = ascends and index[k] > index[k - 1]
    if not ascends:
        bits = input_bits(c)
        if 4 * n < bits.size or not _distinct(c, bits, first, last):
            return _by_sorting(c, first, last)
        at = 0
        for word in range(bits.size):
            left = bits[word]
            bits[word] = 0
            while left:
                _put(group, at, start + 64 * word + trailing_zeros(left), inputs, 1, -1)
                left &= left - _ONE
                at += 1
        return at
    for k in range(n):
        _put(group, k, start + index[first + k], inputs, 1, -1)
    return n


@kernel
def _distinct(c, bits, first, last):
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
def _by_sorting(c, first, last):
    group, inputs, n = group_of(c), c[lay.POPULATION_COUNT], 0
    start = populations_of(c)[inputs, lay.START]
    for i in np.sort(input_index(c)[first:last]):
        if n and group[lay.ORIGIN, n - 1] == start + i:
            group[lay.COUNT, n - 1] += 1
            continue
        _put(group, n, start + i, inputs, 1, -1)
        n += 1
    return n


@kernel
def _put(group, at, origin, owner, count, via):
    group[lay.KEY, at] = origin
    group[lay.ORIGIN, at] = origin
    group[lay.COUNT, at] = count
    group[lay.OWNER, at] = owner
    group[lay.VIA, at] = via


@kernel
def _take_due(c, n):
    """Append what is due now to the group by (time fired, connection, neuron); return its size.

    What one neuron sent over a connection at one time stays in the order in which it was selected.
    """
    control = control_of(c)
    if control[lay.DUE] == 0:
        return n
    due, group = due_of(c), group_of(c)
    kept, first = 0, n
    for k in range(control[lay.DUE]):
        if due[lay.DUE_AT, k] != control[lay.TIME]:
            for r in range(lay.DUE_COLUMNS):
                due[r, kept] = due[r, k]
            kept += 1
            continue
        # Until they are sorted, key and owner hold what else they are sorted by.
        _put(group, n, due[lay.DUE_ORIGIN, k], n, due[lay.DUE_COUNT, k], due[lay.CONNECTION, k])
        group[lay.KEY, n] = due[lay.FIRED_AT, k]
        n += 1
    control[lay.DUE] = kept
    control[lay.WORK] += 16 * (n - first)
    _sort_slots(group, first, n - first)
    for s in range(first, n):
        group[lay.KEY, s] = group[lay.ORIGIN, s]
        group[lay.OWNER, s] = _owner(c, group[lay.ORIGIN, s])
    return n


@kernel
def _owner(c, origin):
    populations, owner = populations_of(c), c[lay.POPULATION_COUNT]
    while populations[owner, lay.START] > origin:
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
    for r in range(lay.GROUP_COLUMNS):
        group[r, a], group[r, b] = group[r, b], group[r, a]


@kernel
def _later(group, a, b):
    """Whether slot ``a`` goes after slot ``b``."""
    if group[lay.KEY, a] != group[lay.KEY, b]:
        return group[lay.KEY, a] > group[lay.KEY, b]
    if group[lay.VIA, a] != group[lay.VIA, b]:
        return group[lay.VIA, a] > group[lay.VIA, b]
    if group[lay.ORIGIN, a] != group[lay.ORIGIN, b]:
        return group[lay.ORIGIN, a] > group[lay.ORIGIN, b]
    return group[lay.OWNER, a] > group[lay.OWNER, b]


@kernel
def note_delayed(c):
    """Note the group's spikes as in flight on every connection with a delay that they have."""
    if settings_of(c)[lay.FAN_DELAYED] == 0:
        return
    control, populations, connections = control_of(c), populations_of(c), connections_of(c)
    group, due, links = group_of(c), due_of(c), i64_at(c[lay.LINKS], 1)
    for s in range(control[lay.GROUP]):
        owner = group[lay.OWNER, s]
        if group[lay.VIA, s] >= 0 or populations[owner, lay.DELAYED] == 0:
            continue
        for j in range(populations[owner, lay.OUT_START], populations[owner, lay.OUT_STOP]):
            delay = connections[links[j], lay.DELAY]
            if delay > 0:
                at = control[lay.DUE]
                due[lay.DUE_AT, at] = control[lay.TIME] + delay
                due[lay.FIRED_AT, at] = control[lay.TIME]
                due[lay.CONNECTION, at] = links[j]
                due[lay.DUE_ORIGIN, at] = group[lay.ORIGIN, s]
                due[lay.DUE_COUNT, at] = group[lay.COUNT, s]
                control[lay.DUE] = at + 1
