"""Delivery: what a group of spike events adds to the current of its targets.

Source: the forward step of Koopman et al., arXiv 2408.05098; the order of sums, which is that of
the group's slots, is ours.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels import layout as lay
from neuroasync.core.kernels.array_views import (
    connections_of,
    control_of,
    counts_of,
    current_of,
    f32_at,
    group_of,
    i64_at,
    marks_of,
    populations_of,
    prefetch,
    received_of,
    touched_of,
)
from neuroasync.core.kernels.dense_rows import add_rows
from neuroasync.core.kernels.jit import kernel

__all__ = ["carries", "deliver", "mark_target", "window"]

_AHEAD: Final = 16
"""Slots whose targets are asked for at once: more would push each other out of the cache."""
_LINE: Final = 16
"""Neurons of one cache line."""


@kernel
def deliver(c, limit):
    """Add what the group brings to the current of its targets, and list who they are.

    Args:
        c: the context.
        limit: of ``control[WORK]``; beyond it, what is left is for the next call.

    Returns:
        Whether all of the group is delivered.
    """
    control, populations = control_of(c), populations_of(c)
    group, connections, counts = group_of(c), connections_of(c), counts_of(c)
    links = i64_at(c[lay.LINKS], 1)
    n, s, synops, work = control[lay.GROUP], control[lay.SLOT], 0, 0
    asked = s if c[lay.IS_FAR] else n
    while s < n:
        if s >= asked:
            asked = min(n, s + _AHEAD)
            _prefetch_rows(c, s, asked)
            _ask_for_windows(c, s, asked)
        owner, via, e = group[lay.OWNER, s], group[lay.VIA, s], s + 1
        if via < 0 and populations[owner, lay.APART]:
            most = min(n, s + populations[owner, lay.AT_ONCE])
            while e < most and group[lay.OWNER, e] == owner and group[lay.VIA, e] < 0:
                e += 1
        first = populations[owner, lay.START]
        for j in range(populations[owner, lay.OUT_START], populations[owner, lay.OUT_STOP]):
            k = links[j]
            if not carries(connections, k, via):
                continue
            p = connections[k, lay.TARGET]
            counts[lay.REACHES, p] = 1
            if connections[k, lay.KIND] == lay.DENSE and populations[p, lay.SYNC] == 0:
                counts[lay.TOUCHES, p] = -1
                synops += _dense(c, k, p, first, s, e)
                work += (populations[p, lay.STOP] - populations[p, lay.START]) * (e - s)
            else:
                for q in range(s, e):
                    source, count = group[lay.ORIGIN, q] - first, group[lay.COUNT, q]
                    targets = _scatter(c, k, p, source, count)
                    synops += targets * count
                    work += targets
        s = e
        if control[lay.WORK] + work > limit:
            break
    control[lay.SLOT] = s
    control[lay.SYNOPS] += synops
    control[lay.WORK] += work  # a row takes as long however often its spike came
    return s == n


@kernel
def _prefetch_rows(c, s, e):
    """Have the rows of sparse connections at hand soon that slots ``s`` to ``e`` go by."""
    group, populations, connections = group_of(c), populations_of(c), connections_of(c)
    links = i64_at(c[lay.LINKS], 1)
    for reads in range(2):
        for q in range(s, e):
            owner = group[lay.OWNER, q]
            for j in range(populations[owner, lay.OUT_START], populations[owner, lay.OUT_STOP]):
                k = links[j]
                if connections[k, lay.KIND] != lay.SPARSE:
                    continue
                source = group[lay.ORIGIN, q] - populations[owner, lay.START]
                place = connections[k, lay.INDPTR] + source
                if reads == 0:
                    prefetch(c[lay.LINKS] + 8 * place)
                else:
                    first = links[place]
                    prefetch(c[lay.LINKS] + 8 * (connections[k, lay.INDICES] + first))
                    prefetch(c[lay.LINKS] + 8 * (connections[k, lay.INDICES] + first + 8))
                    prefetch(c[lay.WEIGHTS] + 4 * (connections[k, lay.WEIGHT] + first))


@kernel
def _ask_for_windows(c, s, e):
    """Have the receptive fields at hand soon that slots ``s`` to ``e`` reach by convolutions."""
    group, populations, connections = group_of(c), populations_of(c), connections_of(c)
    links = i64_at(c[lay.LINKS], 1)
    for q in range(s, e):
        owner = group[lay.OWNER, q]
        source = group[lay.ORIGIN, q] - populations[owner, lay.START]
        for j in range(populations[owner, lay.OUT_START], populations[owner, lay.OUT_STOP]):
            row = connections[links[j]]
            if row[lay.KIND] != lay.CONV2D:
                continue
            p = row[lay.TARGET]
            _, _, first_y, last_y, first_x, last_x = window(row, source)
            for out in range(row[lay.CHANNELS_OUT]):
                for oy in range(first_y, last_y + 1):
                    line = (out * row[lay.HEIGHT_OUT] + oy) * row[lay.WIDTH_OUT]
                    for ox in range(first_x, last_x + 1, _LINE):
                        _ask_for(c, p, line + ox)
                    _ask_for(c, p, line + last_x)


@kernel
def _ask_for(c, p, target):
    """Have what a delivery and a firing need of a neuron at hand soon."""
    session = c[lay.SESSION]
    at = 4 * (populations_of(c)[p, lay.START] + target)
    prefetch(c[lay.CURRENT] + at)
    prefetch(session + c[lay.MARKS_AT] + at)
    prefetch(session + c[lay.V_AT] + at)
    prefetch(session + c[lay.MOMENTUM_AT] + at)
    block = populations_of(c)[p, lay.FIRST_BLOCK] + target // lay.BLOCK
    prefetch(session + c[lay.CLOCKS_AT] + 8 * block)


@kernel
def carries(connections, k, via):
    """Whether ``k`` takes part: it is the one the spike comes by, or any without delay."""
    return k == via if via >= 0 else connections[k, lay.DELAY] == 0


@kernel
def _dense(c, k, p, first, s, e):
    """Add the rows of slots ``s`` to ``e`` of a dense connection; return synaptic operations."""
    populations, group = populations_of(c), group_of(c)
    start, room = populations[p, lay.START], c[lay.GROUP_ROOM]
    size = populations[p, lay.STOP] - start
    rows = c[lay.WEIGHTS] + 4 * (connections_of(c)[k, lay.WEIGHT] - size * first)
    at = c[lay.GROUP_] + 8 * s
    add_rows(
        c[lay.CURRENT] + 4 * start, rows, size, at + 8 * room * lay.ORIGIN,
        at + 8 * room * lay.COUNT, e - s,
    )  # fmt: skip
    count = 0
    for q in range(s, e):
        count += group[lay.COUNT, q]
    return size * count


@kernel
def _scatter(c, k, p, source, count):
    """Deliver one spike event neuron by neuron; return how many targets it has."""
    kind = connections_of(c)[k, lay.KIND]
    if kind == lay.SPARSE:
        return _sparse(c, k, p, source, count)
    if kind == lay.CONV2D:
        return _conv2d(c, k, p, source, count)
    populations, current = populations_of(c), current_of(c)
    start, size = populations[p, lay.START], populations[p, lay.STOP] - populations[p, lay.START]
    row = f32_at(c[lay.WEIGHTS] + 4 * (connections_of(c)[k, lay.WEIGHT] + source * size), size)
    times = np.float32(count)
    for i in range(size):
        current[start + i] += row[i] * times
        mark_target(c, p, start + i, count)
    return size


@kernel
def _sparse(c, k, p, source, count):
    """Deliver over one row of a CSR; return how many targets it has."""
    row, current = connections_of(c)[k], current_of(c)
    start, times = populations_of(c)[p, lay.START], np.float32(count)
    indptr = i64_at(c[lay.LINKS] + 8 * (row[lay.INDPTR] + source), 2)
    first, n = indptr[0], indptr[1] - indptr[0]
    targets = i64_at(c[lay.LINKS] + 8 * (row[lay.INDICES] + first), n)
    weights = f32_at(c[lay.WEIGHTS] + 4 * (row[lay.WEIGHT] + first), n)
    if c[lay.IS_FAR]:
        for i in range(n):  # targets may be anywhere: ask for all of them first
            _ask_for(c, p, targets[i])
    for i in range(n):
        current[start + targets[i]] += weights[i] * times
        mark_target(c, p, start + targets[i], count)
    return n


@kernel
def window(row, source):
    """Padded (y, x) of a convolution's source, and the first and last output (y, x) it reaches."""
    place = source % (row[lay.HEIGHT_IN] * row[lay.WIDTH_IN])
    y = place // row[lay.WIDTH_IN] + (row[lay.PADDING] >> 20)
    x = place % row[lay.WIDTH_IN] + (row[lay.PADDING] & 0xFFFFF)
    stride_y, stride_x = row[lay.STRIDE] >> 20, row[lay.STRIDE] & 0xFFFFF
    first_y = max(0, (y - row[lay.KERNEL_Y] + stride_y) // stride_y)
    first_x = max(0, (x - row[lay.KERNEL_X] + stride_x) // stride_x)
    last_y = min(row[lay.HEIGHT_OUT] - 1, y // stride_y)
    last_x = min(row[lay.WIDTH_OUT] - 1, x // stride_x)
    return y, x, first_y, last_y, first_x, last_x


@kernel
def _conv2d(c, k, p, source, count):
    """Deliver to the receptive fields that hold the source; return how many they are."""
    row, current, times = connections_of(c)[k], current_of(c), np.float32(count)
    y, x, first_y, last_y, first_x, last_x = window(row, source)
    if last_y < first_y or last_x < first_x:
        return 0
    stride_y, stride_x = row[lay.STRIDE] >> 20, row[lay.STRIDE] & 0xFFFFF
    kernel_x = row[lay.KERNEL_X]
    plane_size = row[lay.KERNEL_Y] * kernel_x
    channel = source // (row[lay.HEIGHT_IN] * row[lay.WIDTH_IN])
    start = populations_of(c)[p, lay.START]
    for out in range(row[lay.CHANNELS_OUT]):
        plane = (out * row[lay.CHANNELS_IN] + channel) * plane_size
        weights = f32_at(c[lay.WEIGHTS] + 4 * (row[lay.WEIGHT] + plane), plane_size)
        for oy in range(first_y, last_y + 1):
            line = start + (out * row[lay.HEIGHT_OUT] + oy) * row[lay.WIDTH_OUT]
            taps = (y - oy * stride_y) * kernel_x
            for ox in range(first_x, last_x + 1):
                current[line + ox] += weights[taps + x - ox * stride_x] * times
                mark_target(c, p, line + ox, count)
    return row[lay.CHANNELS_OUT] * (last_y - first_y + 1) * (last_x - first_x + 1)


@kernel
def mark_target(c, p, neuron, count):
    """Note that something reaches a neuron of ``p`` in this step: so many spikes."""
    marks, control = marks_of(c), control_of(c)
    mark, now = np.int64(marks[neuron]), control[lay.NOW]
    if c[lay.RECEIVED_AT] >= 0:
        received = received_of(c)
        if mark < control[lay.PASS_MARK]:
            received[neuron] = 0
        received[neuron] += np.int32(count)
    if mark < now:
        marks[neuron] = np.int32(now | flags(mark, control))
        counts = counts_of(c)
        n = counts[lay.TOUCHES, p]
        if n >= 0:
            touched_of(c)[populations_of(c)[p, lay.START] + n] = neuron
            counts[lay.TOUCHES, p] = n + 1


@kernel
def flags(mark, control):
    """What of a mark's flags still holds."""
    if mark >= control[lay.PASS_MARK]:
        return mark & (lay.REFRACTORY_BIT | lay.LISTED_BIT)
    if mark >= control[lay.SAMPLE_MARK]:
        return mark & lay.LISTED_BIT
    return np.int64(0)
