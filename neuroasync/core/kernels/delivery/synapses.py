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
    connections_of,
    control_of,
    counts_of,
    current_of,
    f32_at,
    group_of,
    i64_at,
    last_group_of,
    populations_of,
    received_of,
    settings_of,
    touched_of,
)
from neuroasync.core.kernels.delivery.dense_rows import add_rows, add_scaled_rows
from neuroasync.core.kernels.delivery.event_values import count_of, factor_of, total_of
from neuroasync.core.kernels.intrinsics import prefetch
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    BLOCK,
    REFRACTORY_BIT,
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

__all__ = ["deliver", "mark_target", "receptive_field", "takes_part"]

_AHEAD: Final = 16
"""Slots whose targets are prefetched together. More would evict each other from the cache."""
_TARGET_COST: Final = 4
"""Cost of delivering a spike to one target, in synaptic operations of a dense connection."""
_LINE: Final = 16
"""Neurons whose f32 or i32 values fill one cache line."""


@kernel
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
    links = i64_at(c[Context.LINKS], 1)
    n, s, synops, work = control[Control.GROUP], control[Control.SLOT], 0, 0
    has_turns = settings_of(c)[Settings.POLICY] == PolicyCode.LAYER_SYNC
    reached = StepCounts.WAITING if has_turns else StepCounts.REACHED
    prefetched = s if c[Context.PREFETCHES] else n
    while s < n:
        if s >= prefetched:
            prefetched = min(n, s + _AHEAD)
            _prefetch_rows(c, s, prefetched)
            _prefetch_receptive_fields(c, s, prefetched)
        owner, via, e = group[Group.OWNER, s], group[Group.CONNECTION, s], s + 1
        # If no two connections of a population share a target, its consecutive slots can be
        # delivered one connection at a time: each target still sums in slot order.
        if via < 0 and populations[owner, Populations.DISJOINT_TARGETS]:
            max_end = min(n, s + populations[owner, Populations.SPIKES_PER_CHECK])
            while e < max_end and group[Group.OWNER, e] == owner and group[Group.CONNECTION, e] < 0:
                e += 1
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
                synops += _dense(c, k, p, first, s, e)
                work += (populations[p, Populations.STOP] - populations[p, Populations.START]) * (
                    e - s
                )
            else:
                for q in range(s, e):
                    source, count = group[Group.ORIGIN, q] - first, group[Group.MULTIPLICITY, q]
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


@kernel
def _prefetch_rows(c, s, e):
    """Prefetch the rows of sparse connections for slots ``s`` to ``e``.

    The first round prefetches the row pointers, the second reads them and prefetches the rows.
    """
    group, populations, connections = group_of(c), populations_of(c), connections_of(c)
    links = i64_at(c[Context.LINKS], 1)
    for round_ in range(2):
        for q in range(s, e):
            owner = group[Group.OWNER, q]
            for j in range(
                populations[owner, Populations.OUT_START], populations[owner, Populations.OUT_STOP]
            ):
                k = links[j]
                if connections[k, Connections.KIND] != ConnectionKind.SPARSE:
                    continue
                source = group[Group.ORIGIN, q] - populations[owner, Populations.START]
                place = connections[k, Connections.INDPTR] + source
                if round_ == 0:
                    prefetch(c[Context.LINKS] + 8 * place)
                else:
                    first = links[place]
                    prefetch(c[Context.LINKS] + 8 * (connections[k, Connections.INDICES] + first))
                    prefetch(
                        c[Context.LINKS] + 8 * (connections[k, Connections.INDICES] + first + 8)
                    )
                    prefetch(c[Context.WEIGHTS] + 4 * (connections[k, Connections.WEIGHT] + first))


@kernel
def _prefetch_receptive_fields(c, s, e):
    """Prefetch the neurons that slots ``s`` to ``e`` reach over convolutions."""
    group, populations, connections = group_of(c), populations_of(c), connections_of(c)
    links = i64_at(c[Context.LINKS], 1)
    for q in range(s, e):
        owner = group[Group.OWNER, q]
        source = group[Group.ORIGIN, q] - populations[owner, Populations.START]
        for j in range(
            populations[owner, Populations.OUT_START], populations[owner, Populations.OUT_STOP]
        ):
            row = connections[links[j]]
            if row[Connections.KIND] != ConnectionKind.CONV2D:
                continue
            p = row[Connections.TARGET]
            _, _, first_y, last_y, first_x, last_x = receptive_field(row, source)
            for out in range(row[Connections.CHANNELS_OUT]):
                for oy in range(first_y, last_y + 1):
                    line = (out * row[Connections.HEIGHT_OUT] + oy) * row[Connections.WIDTH_OUT]
                    for ox in range(first_x, last_x + 1, _LINE):
                        _prefetch_neuron(c, p, line + ox)
                    _prefetch_neuron(c, p, line + last_x)


@kernel
def _prefetch_neuron(c, p, target):
    """Prefetch all state of a neuron that its delivery and integration will read."""
    session = c[Context.SESSION]
    at = 4 * (populations_of(c)[p, Populations.START] + target)
    prefetch(c[Context.CURRENT] + at)
    prefetch(session + c[Context.LAST_GROUP_AT] + at)
    prefetch(session + c[Context.V_AT] + at)
    prefetch(session + c[Context.MOMENTUM_AT] + at)
    block = populations_of(c)[p, Populations.FIRST_BLOCK] + target // BLOCK
    prefetch(session + c[Context.CLOCKS_AT] + 8 * block)


@kernel
def takes_part(connections, k, via):
    """Return whether a spike event is delivered over connection ``k``.

    Args:
        connections: i64[C, 18].
        k: a connection that leaves the spike's population.
        via: the connection by which a delayed spike arrives; -1 for all without delay.
    """
    return k == via if via >= 0 else connections[k, Connections.DELAY] == 0


@kernel
def _dense(c, k, p, first, s, e):
    """Deliver slots ``s`` to ``e`` over a dense connection; return the synaptic operations."""
    populations, group = populations_of(c), group_of(c)
    start, room = populations[p, Populations.START], c[Context.GROUP_CAPACITY]
    size = populations[p, Populations.STOP] - start
    # Origins are network-wide, so the address is shifted to where the row of neuron 0 would be.
    rows = c[Context.WEIGHTS] + 4 * (connections_of(c)[k, Connections.WEIGHT] - size * first)
    at, sums = c[Context.GROUP] + 8 * s, c[Context.CURRENT] + 4 * start
    origins, counts = at + 8 * room * Group.ORIGIN, at + 8 * room * Group.MULTIPLICITY
    count, has_factors = total_of(group[Group.MULTIPLICITY], s, e)
    if has_factors:
        add_scaled_rows(sums, rows, size, origins, counts, e - s)
    else:
        add_rows(sums, rows, size, origins, counts, e - s)
    return size * count


@kernel
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


@kernel
def _sparse(c, k, p, source, count):
    """Deliver one spike event over a sparse connection; return the number of targets."""
    row, current = connections_of(c)[k], current_of(c)
    start, times = populations_of(c)[p, Populations.START], factor_of(count)
    count = count_of(count)
    indptr = i64_at(c[Context.LINKS] + 8 * (row[Connections.INDPTR] + source), 2)
    first, n = indptr[0], indptr[1] - indptr[0]
    targets = i64_at(c[Context.LINKS] + 8 * (row[Connections.INDICES] + first), n)
    weights = f32_at(c[Context.WEIGHTS] + 4 * (row[Connections.WEIGHT] + first), n)
    if c[Context.PREFETCHES]:
        for i in range(n):  # targets are scattered over memory
            _prefetch_neuron(c, p, targets[i])
    for i in range(n):
        current[start + targets[i]] += weights[i] * times
        mark_target(c, p, start + targets[i], count)
    return n


@kernel
def receptive_field(row, source):
    """Return the outputs of a convolution whose receptive fields contain a source neuron.

    Args:
        row: i64[18], the connection.
        source: flattened index of the source neuron.

    Returns:
        y and x of the source with padding, then first y, last y, first x and last x of the
        outputs. The ranges are empty if no output has the source in its receptive field.
    """
    place = source % (row[Connections.HEIGHT_IN] * row[Connections.WIDTH_IN])
    y = place // row[Connections.WIDTH_IN] + (row[Connections.PADDING] >> 20)
    x = place % row[Connections.WIDTH_IN] + (row[Connections.PADDING] & 0xFFFFF)
    stride_y, stride_x = row[Connections.STRIDE] >> 20, row[Connections.STRIDE] & 0xFFFFF
    first_y = max(0, (y - row[Connections.KERNEL_Y] + stride_y) // stride_y)
    first_x = max(0, (x - row[Connections.KERNEL_X] + stride_x) // stride_x)
    last_y = min(row[Connections.HEIGHT_OUT] - 1, y // stride_y)
    last_x = min(row[Connections.WIDTH_OUT] - 1, x // stride_x)
    return y, x, first_y, last_y, first_x, last_x


@kernel
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


@kernel
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


@kernel
def valid_flags(mark, control):
    """Return the flags of an entry of ``last_group`` that still hold."""
    if mark >= control[Control.PASS_MARK]:
        return mark & (REFRACTORY_BIT | SUPRATHRESHOLD_BIT)
    if mark >= control[Control.SAMPLE_MARK]:
        return mark & SUPRATHRESHOLD_BIT
    return np.int64(0)
