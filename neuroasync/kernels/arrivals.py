"""What arrives at the start of a pass: input events, and spikes whose delay ends."""

import numpy as np

from neuroasync.kernels import layout as lay
from neuroasync.kernels.jit import kernel
from neuroasync.kernels.pending import log_group

__all__ = ["note_delayed", "open_group", "reached_populations"]


@kernel
def open_group(index, populations, due, group, pending, slots, control, settings):
    """Make step 0 of a pass: its input events and the spikes due now, as one group.

    With queued input, the events join the pending spikes instead.

    Args:
        index: i64[events], input indices of the pass in (time, index) order.
        populations, due, group, pending, slots, control, settings: see ``layout``.
    """
    inputs = populations.shape[0] - 1
    first = populations[inputs, lay.START]
    control[lay.STEP] = 0
    control[lay.LAST_OWNER] = -1
    control[lay.SERIAL] += 1
    control[lay.INPUTS] += index.size
    n = 0
    if settings[lay.QUEUED]:
        for k in range(index.size):
            at = control[lay.PENDING] + k
            pending[lay.KEY, at] = first + k
            pending[lay.ORIGIN, at] = first + index[k]
            pending[lay.ARRIVAL, at] = -1
            pending[lay.OWNER, at] = inputs
        control[lay.PENDING] += index.size
    else:
        for i in np.sort(index):
            if n and group[lay.ORIGIN, n - 1] == first + i:
                group[lay.COUNT, n - 1] += 1
                continue
            _put(group, n, first + i, inputs, 1, -1)
            n += 1
    control[lay.GROUP] = _take_due(populations, due, group, n, control)
    log_group(group, slots, control)


@kernel
def _put(group, at, origin, owner, count, via):
    group[lay.KEY, at] = origin
    group[lay.ORIGIN, at] = origin
    group[lay.COUNT, at] = count
    group[lay.OWNER, at] = owner
    group[lay.VIA, at] = via


@kernel
def _take_due(populations, due, group, n, control):
    """Append what is due now to the group by (time fired, connection, neuron); return its size."""
    inputs = populations.shape[0] - 1
    kept, first = 0, n
    for k in range(control[lay.DUE]):
        if due[lay.DUE_AT, k] != control[lay.TIME]:
            for r in range(due.shape[0]):
                due[r, kept] = due[r, k]
            kept += 1
            continue
        # Entries stand in the order they were noted: insertion from the end moves few.
        at = n
        while at > first and _later(group, at - 1, due, k):
            for r in range(group.shape[0]):
                group[r, at] = group[r, at - 1]
            at -= 1
        origin = due[lay.DUE_ORIGIN, k]
        owner = inputs
        while populations[owner, lay.START] > origin:
            owner -= 1
        _put(group, at, origin, owner, due[lay.DUE_COUNT, k], due[lay.CONNECTION, k])
        group[lay.KEY, at] = due[lay.FIRED_AT, k]
        n += 1
    control[lay.DUE] = kept
    for s in range(first, n):
        group[lay.KEY, s] = group[lay.ORIGIN, s]
    return n


@kernel
def _later(group, s, due, k):
    """Whether slot ``s`` (its key holds the time it fired) goes after entry ``k``."""
    if group[lay.KEY, s] != due[lay.FIRED_AT, k]:
        return group[lay.KEY, s] > due[lay.FIRED_AT, k]
    if group[lay.VIA, s] != due[lay.CONNECTION, k]:
        return group[lay.VIA, s] > due[lay.CONNECTION, k]
    return group[lay.ORIGIN, s] > due[lay.DUE_ORIGIN, k]


@kernel
def note_delayed(populations, connections, links, due, group, control):
    """Note the group's spikes as in flight on every connection with a delay that they have."""
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


@kernel
def reached_populations(populations, connections, links, group, control, reached):
    """Mark in ``reached`` i64[P] the populations that the group has a connection to."""
    reached[:] = 0
    for s in range(control[lay.GROUP]):
        owner, via = group[lay.OWNER, s], group[lay.VIA, s]
        if via >= 0:
            reached[connections[via, lay.TARGET]] = 1
            continue
        for j in range(populations[owner, lay.OUT_START], populations[owner, lay.OUT_STOP]):
            if connections[links[j], lay.DELAY] == 0:
                reached[connections[links[j], lay.TARGET]] = 1
