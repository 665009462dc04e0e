"""Delivery of a group of spike events to the synaptic input of its targets.

For each slot of the group in turn, and for each connection of its neuron in declared order,

    current[target] += weight * multiplicity        (float32; or * value, see :mod:`.event_values`)

Sums are always taken in this order, so that every engine obtains the same bits. A spike event
without a delay uses all connections that have none; a delayed one uses the connection on which it
was in flight.

Source: the forward step of Koopman et al., arXiv 2408.05098. That paper does not define the order
of the sums.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.array_views import (
    chosen_of,
    connections_of,
    control_of,
    counts_of,
    current_of,
    f32_at,
    group_of,
    i32_at,
    last_group_of,
    populations_of,
    received_of,
    settings_of,
    touched_of,
)
from neuroasync.core.kernels.delivery.dense_rows import add_rows
from neuroasync.core.kernels.delivery.event_values import count_of, factor_of
from neuroasync.core.kernels.delivery.owners import owner_of
from neuroasync.core.kernels.delivery.prefetching import (
    MAX_PREFETCHED,
    TARGETS_AHEAD,
    places_of,
    prefetch_for_delivery,
    prefetch_for_integration,
    prefetch_receptive_fields,
    prefetch_rows,
    prefetch_targets,
)
from neuroasync.core.kernels.delivery.receptive_fields import receptive_field
from neuroasync.core.kernels.jit import inlined, inlined_uncounted, uncounted
from neuroasync.core.kernels.layout import (
    FULL,
    MIXED,
    REFRACTORY_BIT,
    SLOTS_AHEAD,
    SUPRATHRESHOLD_BIT,
    ConnectionKind,
    Connections,
    Context,
    Control,
    Group,
    PolicyCode,
    Populations,
    Settings,
    StepCounts,
)

__all__ = ["deliver", "mark_target", "takes_part"]

_MAX_SORTED: Final = 64
"""Maximum number of slots that are put in the order of their populations."""
_TARGET_COST: Final = 4
"""Cost of delivering a spike to one target, in synaptic operations of a dense connection."""


@uncounted
def deliver(c, limit):
    """Add the group's weights to the current of its targets, and list the targets.

    This function stays in one piece because its loop state would otherwise pass through memory.

    Args:
        c: the context.
        limit: value of ``control[WORK]`` after which to return; the next call continues there.

    Returns:
        Whether the whole group is delivered.
    """
    control, populations = control_of(c), populations_of(c)
    group, connections, counts = group_of(c), connections_of(c), counts_of(c)
    links = i32_at(c[Context.LINKS], 1)
    n, s, synops, work = control[Control.GROUP], control[Control.SLOT], 0, 0
    common, origins = control[Control.GROUP_OWNER], group[Group.ORIGIN]
    if common == MIXED and c[Context.IS_SEPARABLE] and 1 < n <= _MAX_SORTED:
        origins = _by_owner(c, n)
    has_turns = settings_of(c)[Settings.POLICY] == PolicyCode.LAYER_SYNC
    reached = StepCounts.WAITING if has_turns else StepCounts.REACHED
    ahead = c[Context.PREFETCHES]
    prefetched = s if ahead else n
    # Rows that were not prefetched when their neurons fired, or too long ago.
    prefetches_rows = has_turns or common == FULL or common == c[Context.POPULATION_COUNT]
    prefetches_rows |= control[Control.PENDING] > MAX_PREFETCHED or ahead < SLOTS_AHEAD
    while s < n:
        if s >= prefetched:
            prefetched = min(n, s + ahead)
            if prefetches_rows:
                prefetch_rows(c, origins, s, prefetched)
            prefetch_targets(c, origins, s, prefetched)
            prefetch_receptive_fields(c, origins, s, prefetched)
        owner, via, e = common, -1, s + 1
        if common == FULL:
            owner, via = group[Group.OWNER, s], group[Group.CONNECTION, s]
        elif common == MIXED:
            owner = owner_of(c, origins[s])
        # If no two connections of a population share a target, its consecutive slots can be
        # delivered one connection at a time: each target still sums in slot order.
        if via < 0 and populations[owner, Populations.DISJOINT_TARGETS]:
            max_end = min(n, s + populations[owner, Populations.SPIKES_PER_CHECK])
            e = max_end if common >= 0 else _end_of_run(c, origins, e, max_end, owner)
        first = populations[owner, Populations.START]
        for j in range(
            populations[owner, Populations.OUT_START], populations[owner, Populations.OUT_STOP]
        ):
            k = links[j]
            if not takes_part(connections, k, via):
                continue
            p = connections[k, Connections.TARGET]
            counts[reached, p] = 1
            if (
                connections[k, Connections.KIND] == ConnectionKind.DENSE
                and populations[p, Populations.SYNC_THRESHOLD] == 0
            ):
                counts[StepCounts.TOUCHED, p] = -1
                synops += _dense(c, k, p, first, origins, s, e)
                work += (populations[p, Populations.STOP] - populations[p, Populations.START]) * (
                    e - s
                )
            else:
                for q in range(s, e):
                    source, count = origins[q] - first, 1
                    if common == FULL:
                        count = group[Group.MULTIPLICITY, q]
                    targets = _scatter(c, k, p, source, count)
                    synops += targets * count_of(count)
                    work += _TARGET_COST * targets
        s = e
        if control[Control.WORK] + work > limit:
            break
    control[Control.SLOT] = s
    control[Control.SYNOPS] += synops
    control[Control.WORK] += work  # the multiplicity of a spike costs no time
    return s == n


@inlined
def _by_owner(c, n):
    """Return the origins of the group by population, those of one population in slot order.

    If each population receives from one other population only, each target still sums in slot
    order.
    """
    ordered, origins, populations = chosen_of(c), group_of(c)[Group.ORIGIN], populations_of(c)
    at = np.uint64(0)
    for p in range(c[Context.POPULATION_COUNT]):
        start = populations[p, Populations.START]
        size = np.uint64(populations[p, Populations.STOP] - start)
        for s in range(n):
            ordered[at] = origins[s]
            at += np.uint64(np.uint64(origins[s] - start) < size)
    return ordered


@inlined_uncounted
def _end_of_run(c, origins, e, max_end, owner):
    """Return the first slot from ``e`` to ``max_end`` that another population or delay begins."""
    row, group = populations_of(c)[owner], group_of(c)
    start, stop = row[Populations.START], row[Populations.STOP]
    is_full = control_of(c)[Control.GROUP_OWNER] == FULL
    while e < max_end and start <= origins[e] < stop:
        if is_full and group[Group.CONNECTION, e] >= 0:
            break
        e += 1
    return e


@inlined_uncounted
def takes_part(connections, k, via):
    """Return whether a spike event is delivered over connection ``k``.

    Args:
        connections: i64[C, 18].
        k: a connection that leaves the spike's population.
        via: the connection by which a delayed spike arrives; -1 for all without delay.
    """
    return k == via if via >= 0 else connections[k, Connections.DELAY] == 0


@inlined_uncounted
def _dense(c, k, p, first, origins, s, e):
    """Deliver slots ``s`` to ``e`` over a dense connection; return the synaptic operations."""
    populations, group = populations_of(c), group_of(c)
    start, room = populations[p, Populations.START], c[Context.GROUP_CAPACITY]
    size = populations[p, Populations.STOP] - start
    # Origins are network-wide, so the address is shifted to where the row of neuron 0 would be.
    rows = c[Context.WEIGHTS] + 4 * (connections_of(c)[k, Connections.WEIGHT] - size * first)
    sums, places = c[Context.CURRENT] + 4 * start, origins.ctypes.data + 8 * s
    if control_of(c)[Control.GROUP_OWNER] != FULL:
        add_rows(sums, rows, size, places, 0, e - s)
        return size * (e - s)
    add_rows(
        sums, rows, size, places, c[Context.GROUP] + 8 * (s + room * Group.MULTIPLICITY), e - s
    )
    count = 0
    for q in range(s, e):
        count += count_of(group[Group.MULTIPLICITY, q])
    return size * count


@uncounted
def _scatter(c, k, p, source, count):
    """Deliver one spike event target by target; return the number of targets.

    ``count`` is its multiplicity, which may have a factor of its own.
    """
    kind = connections_of(c)[k, Connections.KIND]
    if kind == ConnectionKind.SPARSE:
        return _sparse(c, k, p, source, count)
    if kind == ConnectionKind.CONV2D:
        return _conv2d(c, k, p, source, count)
    populations, current = populations_of(c), current_of(c)
    start, size = (
        populations[p, Populations.START],
        populations[p, Populations.STOP] - populations[p, Populations.START],
    )
    row = f32_at(
        c[Context.WEIGHTS] + 4 * (connections_of(c)[k, Connections.WEIGHT] + source * size), size
    )
    times, count = factor_of(count), count_of(count)
    for i in range(size):
        current[start + i] += row[i] * times
        mark_target(c, p, start + i, count)
    return size


@uncounted
def _sparse(c, k, p, source, count):
    """Deliver one spike event over a sparse connection; return the number of targets."""
    row, current = connections_of(c)[k], current_of(c)
    start, times = populations_of(c)[p, Populations.START], factor_of(count)
    count = count_of(count)
    indptr = i32_at(c[Context.LINKS] + 4 * (row[Connections.INDPTR] + source), 2)
    first, n = np.int64(indptr[0]), np.int64(indptr[1] - indptr[0])
    targets = i32_at(c[Context.LINKS] + 4 * (row[Connections.INDICES] + first), n)
    weights = f32_at(c[Context.WEIGHTS] + 4 * (row[Connections.WEIGHT] + first), n)
    is_far, places = c[Context.PREFETCHES] != 0, places_of(c, p)
    if is_far:  # the integration begins later, so this memory has time to arrive
        for i in range(n):
            prefetch_for_integration(places, np.int64(targets[np.uint64(i)]))
    for i in range(n):
        if is_far and i + TARGETS_AHEAD < n:
            prefetch_for_delivery(places, np.int64(targets[np.uint64(i + TARGETS_AHEAD)]))
        current[start + targets[i]] += weights[i] * times
        mark_target(c, p, start + targets[i], count)
    return n


@uncounted
def _conv2d(c, k, p, source, count):
    """Deliver one spike event over a convolution; return the number of targets."""
    row, current, times = connections_of(c)[k], current_of(c), factor_of(count)
    count = count_of(count)
    y, x, first_y, last_y, first_x, last_x = receptive_field(row, source)
    if last_y < first_y or last_x < first_x:
        return 0
    stride_y, stride_x = row[Connections.STRIDE] >> 20, row[Connections.STRIDE] & 0xFFFFF
    kernel_x = row[Connections.KERNEL_X]
    plane_size = row[Connections.KERNEL_Y] * kernel_x
    channel = source // (row[Connections.HEIGHT_IN] * row[Connections.WIDTH_IN])
    start = populations_of(c)[p, Populations.START]
    for out in range(row[Connections.CHANNELS_OUT]):
        plane = (out * row[Connections.CHANNELS_IN] + channel) * plane_size
        weights = f32_at(c[Context.WEIGHTS] + 4 * (row[Connections.WEIGHT] + plane), plane_size)
        for oy in range(first_y, last_y + 1):
            line = start + (out * row[Connections.HEIGHT_OUT] + oy) * row[Connections.WIDTH_OUT]
            taps = (y - oy * stride_y) * kernel_x
            for ox in range(first_x, last_x + 1):
                current[line + ox] += weights[taps + x - ox * stride_x] * times
                mark_target(c, p, line + ox, count)
    return row[Connections.CHANNELS_OUT] * (last_y - first_y + 1) * (last_x - first_x + 1)


@uncounted
def mark_target(c, p, neuron, count):
    """Mark a neuron of ``p`` as reached by the current group.

    Args:
        c: the context.
        p: its population.
        neuron: network-wide index.
        count: spikes that reach it with this call; they count towards a sync threshold.
    """
    last_group, control = last_group_of(c), control_of(c)
    mark, now = np.int64(last_group[neuron]), control[Control.GROUP_MARK]
    if c[Context.RECEIVED_AT] >= 0:
        received = received_of(c)
        if mark < control[Control.PASS_MARK]:
            received[neuron] = 0
        received[neuron] += np.int32(count)
    if mark < now:
        last_group[neuron] = np.int32(now | valid_flags(mark, control))
        counts = counts_of(c)
        n = counts[StepCounts.TOUCHED, p]
        if n >= 0:
            touched_of(c)[populations_of(c)[p, Populations.START] + n] = neuron
            counts[StepCounts.TOUCHED, p] = n + 1


@uncounted
def valid_flags(mark, control):
    """Return the flags of an entry of ``last_group`` that still hold."""
    if mark >= control[Control.PASS_MARK]:
        return mark & (REFRACTORY_BIT | SUPRATHRESHOLD_BIT)
    if mark >= control[Control.SAMPLE_MARK]:
        return mark & SUPRATHRESHOLD_BIT
    return np.int64(0)
