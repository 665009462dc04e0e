"""Delivery of the input events of a pass.

Prioritised input is one group: the input events of the pass by ascending input index, each
multiplied by its count, then the spikes that are due, by (time fired, connection, neuron). With
queued input, the events join the pending spikes, and only the spikes that are due form the group.

A pass may have a million events. They are read in chunks, and :func:`read_input` returns between
two chunks when the work budget is spent, so that a dense pass does not block the event loop.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    group_of,
    input_bits,
    input_index,
    input_ranks,
    pending_of,
    populations_of,
    settings_of,
)
from neuroasync.core.kernels.delivery.delayed_spikes import append_due_spikes, write_slot
from neuroasync.core.kernels.intrinsics import population_count, trailing_zeros
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    Group,
    Pending,
    Populations,
    ReadStage,
    Settings,
)
from neuroasync.core.kernels.pending_spikes import log_group

__all__ = ["begin_input", "complete_input_group", "read_input"]

_ONE = np.uint64(1)
_FEW: Final = 4096
"""Maximum number of events that are grouped in one piece."""
_EVENTS_PER_CHECK: Final = 8192
_WORDS_PER_CHECK: Final = 128
"""64-bit words of input bits that are turned into slots between two checks of the work budget."""
_EVENT_COST: Final = 4
"""Cost of reading an event once or of writing a slot, in synaptic operations (measured)."""


@kernel
def begin_input(c, first):
    """Open step 0 of a pass, whose input events are ``first`` up to ``control[CURSOR]``."""
    control = control_of(c)
    control[Control.STEP] = 0
    control[Control.LAST_OWNER] = -1
    control[Control.GROUP_NUMBER] += 1
    control[Control.INPUT_EVENTS] += control[Control.CURSOR] - first
    control[Control.GROUP] = 0
    control[Control.READ_FIRST] = first
    control[Control.READ_AT] = first
    control[Control.READ_STAGE] = ReadStage.EVENTS


@kernel
def read_input(c, limit):
    """Read the input events of the pass into the group, or into the pending spikes if queued.

    Args:
        c: the context.
        limit: value of ``control[WORK]`` after which to return; the next call continues there.

    Returns:
        Whether all events have been read.
    """
    control = control_of(c)
    if settings_of(c)[Settings.QUEUED]:
        return _enqueue_input(c, limit)
    first, last = control[Control.READ_FIRST], control[Control.CURSOR]
    if last - first > _FEW:
        return _group_many(c, first, last, limit)
    control[Control.GROUP] = _group_few(c, first, last)
    control[Control.WORK] += _EVENT_COST * (last - first)
    return True


@kernel
def complete_input_group(c):
    """Append the spikes that are due to the group of input events, and log the group."""
    control = control_of(c)
    control[Control.GROUP] = append_due_spikes(c, control[Control.GROUP])
    log_group(c)


@kernel
def _enqueue_input(c, limit):
    """Add the input events to the pending spikes, in (time, index) order; see `read_input`."""
    control, pending, index = control_of(c), pending_of(c), input_index(c)
    inputs = c[Context.POPULATION_COUNT]
    start = populations_of(c)[inputs, Populations.START]
    first, last = control[Control.READ_FIRST], control[Control.CURSOR]
    while control[Control.READ_AT] < last:
        begin = control[Control.READ_AT]
        end = min(last, begin + _EVENTS_PER_CHECK)
        at = control[Control.HEAD] + control[Control.PENDING]
        for k in range(begin, end):
            pending[Pending.KEY, at + k - begin] = start + k - first
            pending[Pending.ORIGIN, at + k - begin] = start + index[k]
            pending[Pending.ARRIVAL, at + k - begin] = -1
            pending[Pending.OWNER, at + k - begin] = inputs
        control[Control.PENDING] += end - begin
        control[Control.READ_AT] = end
        control[Control.WORK] += _EVENT_COST * (end - begin)
        if end < last and control[Control.WORK] > limit:
            return False
    return True


@kernel
def _group_few(c, first, last):
    """Write a few events to the group by ascending input index; return the number of slots.

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
                write_slot(group, at, start + 64 * word + trailing_zeros(left), inputs, 1, -1)
                left &= left - _ONE
                at += 1
        return at
    for k in range(n):
        write_slot(group, k, start + index[first + k], inputs, 1, -1)
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
        write_slot(group, n, start + i, inputs, 1, -1)
        n += 1
    return n


@kernel
def _group_many(c, first, last, limit):
    """Write many events to the group in chunks, without sorting; see :func:`read_input`.

    The first stage sets a bit for each input that has events. The second stage writes a slot for
    each bit and notes for each word of bits how many slots precede it. The third stage counts the
    events of each slot.
    """
    control, bits = control_of(c), input_bits(c)
    while True:
        stage = control[Control.READ_STAGE]
        begin = control[Control.READ_AT]
        if stage == ReadStage.SLOTS:
            end = min(bits.size, begin + _WORDS_PER_CHECK)
            slots = _write_slots(c, bits, begin, end)
            control[Control.WORK] += _EVENT_COST * slots + end - begin
            is_over = end == bits.size
        else:
            end = min(last, begin + _EVENTS_PER_CHECK)
            if stage == ReadStage.EVENTS:
                _set_bits(c, bits, begin, end)
            else:
                _count_events(c, bits, begin, end)
            control[Control.WORK] += _EVENT_COST * (end - begin)
            is_over = end == last
        control[Control.READ_AT] = end
        if is_over and stage == ReadStage.COUNTS:
            bits[:] = 0
            return True
        if is_over:
            control[Control.READ_STAGE] = stage + 1
            control[Control.READ_AT] = 0 if stage == ReadStage.EVENTS else first
        if control[Control.WORK] > limit:
            return False


@kernel
def _set_bits(c, bits, begin, end):
    """Set the bit of the input of each event from ``begin`` to ``end``."""
    index = input_index(c)
    for k in range(begin, end):
        i = np.uint64(index[k])
        bits[i >> np.uint64(6)] |= _ONE << (i & np.uint64(63))


@kernel
def _write_slots(c, bits, begin, end):
    """Write an empty slot for each bit of the words ``begin`` to ``end``; return how many."""
    control, group, ranks = control_of(c), group_of(c), input_ranks(c)
    inputs = c[Context.POPULATION_COUNT]
    start, at = populations_of(c)[inputs, Populations.START], control[Control.GROUP]
    for word in range(begin, end):
        ranks[word] = at
        left = bits[word]
        while left:
            write_slot(group, at, start + 64 * word + trailing_zeros(left), inputs, 0, -1)
            left &= left - _ONE
            at += 1
    slots = at - control[Control.GROUP]
    control[Control.GROUP] = at
    return slots


@kernel
def _count_events(c, bits, begin, end):
    """Add each event from ``begin`` to ``end`` to the multiplicity of its slot."""
    index, group, ranks = input_index(c), group_of(c), input_ranks(c)
    for k in range(begin, end):
        i = np.uint64(index[k])
        word = i >> np.uint64(6)
        below = bits[word] & ((_ONE << (i & np.uint64(63))) - _ONE)
        group[Group.MULTIPLICITY, ranks[word] + population_count(below)] += 1
