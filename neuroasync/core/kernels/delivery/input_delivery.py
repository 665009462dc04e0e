"""Delivery of the input events of a pass.

Prioritised input is one group: the input events of the pass by ascending input index, each
multiplied by its count, then the spikes that are due, by (time fired, connection, neuron). With
queued input, the events join the pending spikes, and only the spikes that are due form the group.
Events with values deliver weight * value; those that share a slot, the sum of their values.

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
    input_values,
    pending_of,
    populations_of,
    settings_of,
)
from neuroasync.core.kernels.delivery.delayed_spikes import (
    append_due_spikes,
    begin_due_spikes,
    write_slot,
)
from neuroasync.core.kernels.delivery.event_values import add_value, with_value
from neuroasync.core.kernels.intrinsics import population_count, trailing_zeros
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    Group,
    Pending,
    Phase,
    Populations,
    ReadStage,
    Settings,
)

__all__ = ["begin_input", "queued_multiplicity", "read_input"]

_ONE = np.uint64(1)
_MAX_AT_ONCE: Final = 4096
"""Maximum number of events that may be grouped in one piece."""
_EVENTS_PER_CHECK: Final = 8192
_WORDS_PER_CHECK: Final = 128
"""64-bit words of input bits that are turned into slots between two checks of the work budget."""
_EVENT_COST: Final = 12
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
    control[Control.READ_FIRST] = control[Control.FIRST_EVENT] = first
    control[Control.READ_AT] = first
    control[Control.READ_STAGE] = ReadStage.EVENTS
    # Values are added to the slots like counts.
    control[Control.REPEATED] = 1 if c[Context.VALUE] else 0
    control[Control.PHASE] = Phase.READING


@kernel
def read_input(c, limit):
    """Read the input events of the pass into the group, or into the pending spikes if queued.

    Then append the spikes that are due to the group.

    Args:
        c: the context.
        limit: value of ``control[WORK]`` after which to return; the next call continues there.

    Returns:
        Whether all events and spikes have been read.
    """
    control = control_of(c)
    if control[Control.READ_STAGE] < ReadStage.DUE:
        queued = settings_of(c)[Settings.QUEUED]
        if not (_enqueue_input(c, limit) if queued else _group_input(c, limit)):
            return False
        begin_due_spikes(c)
    return append_due_spikes(c, limit)


@kernel
def _enqueue_input(c, limit):
    """Add the input events to the pending spikes, in (time, index) order; see `read_input`.

    No spike is pending when a pass begins.
    """
    control, pending, index = control_of(c), pending_of(c), input_index(c)
    inputs = c[Context.POPULATION_COUNT]
    start = populations_of(c)[inputs, Populations.START]
    first, last = control[Control.READ_FIRST], control[Control.CURSOR]
    while control[Control.READ_AT] < last:
        begin = control[Control.READ_AT]
        end = min(last, begin + _EVENTS_PER_CHECK)
        for k in range(begin, end):
            pending[Pending.KEY, k - first] = start + k - first
            pending[Pending.ORIGIN, k - first] = start + index[k]
            pending[Pending.ARRIVAL, k - first] = -1
            pending[Pending.OWNER, k - first] = inputs
        control[Control.READ_AT] = end
        control[Control.WORK] += _EVENT_COST * (end - begin)
        if end < last and control[Control.WORK] > limit:
            return False
    control[Control.PENDING] = last - first
    return True


@kernel
def queued_multiplicity(c, key):
    """Return the multiplicity of the pending input event with this key."""
    if c[Context.VALUE] == 0:
        return np.int64(1)
    event = control_of(c)[Control.FIRST_EVENT] + key - c[Context.NEURONS]
    return with_value(1, input_values(c)[event])


@kernel
def _group_input(c, limit):
    """Write the events to the group by ascending input index; see :func:`read_input`.

    Events of the same input share a slot. A few events among many inputs are sorted. All others are
    grouped with a bit for each input, unless they are few and in order.
    """
    control, bits = control_of(c), input_bits(c)
    first, last = control[Control.READ_FIRST], control[Control.CURSOR]
    if last - first <= _MAX_AT_ONCE and control[Control.READ_STAGE] == ReadStage.EVENTS:
        if _write_if_ascending(c, first, last):
            return True
        if 4 * (last - first) < bits.size:
            _group_by_sorting(c, first, last)
            return True
    return _group_by_bits(c, bits, first, last, limit)


@kernel
def _write_if_ascending(c, first, last):
    """Write a slot for each event if their input indices ascend; return whether they do."""
    group, index, n = group_of(c), input_index(c), last - first
    inputs, control, is_ascending = c[Context.POPULATION_COUNT], control_of(c), True
    for k in range(first + 1, last):
        is_ascending = is_ascending and index[k] > index[k - 1]
    if is_ascending:
        start = populations_of(c)[inputs, Populations.START]
        if c[Context.VALUE]:
            value = input_values(c)
            for k in range(n):
                count = with_value(1, value[first + k])
                write_slot(group, k, start + index[first + k], inputs, count, -1)
        else:
            for k in range(n):
                write_slot(group, k, start + index[first + k], inputs, 1, -1)
        control[Control.GROUP] = n
        control[Control.WORK] += _EVENT_COST * n
    return is_ascending


@kernel
def _group_by_sorting(c, first, last):
    """Write the events to the group by sorting a copy."""
    group, inputs, n = group_of(c), c[Context.POPULATION_COUNT], 0
    start = populations_of(c)[inputs, Populations.START]
    if c[Context.VALUE]:
        n = _group_values_by_sorting(c, first, last)
    else:
        for i in np.sort(input_index(c)[first:last]):
            if n and group[Group.ORIGIN, n - 1] == start + i:
                group[Group.MULTIPLICITY, n - 1] += 1
                continue
            write_slot(group, n, start + i, inputs, 1, -1)
            n += 1
    control_of(c)[Control.GROUP] = n
    control_of(c)[Control.WORK] += _EVENT_COST * (last - first)


@kernel
def _group_values_by_sorting(c, first, last):
    """Write events with values to the group by sorting a copy; return the number of slots."""
    group, value, inputs, slots = group_of(c), input_values(c), c[Context.POPULATION_COUNT], 0
    start, n = populations_of(c)[inputs, Populations.START], last - first
    # The numbers of the events keep those of one input in their order.
    for key in np.sort(input_index(c)[first:last] * n + np.arange(n)):
        origin, x = start + key // n, value[first + key % n]
        if slots and group[Group.ORIGIN, slots - 1] == origin:
            count = group[Group.MULTIPLICITY, slots - 1]
            group[Group.MULTIPLICITY, slots - 1] = add_value(count, x)
            continue
        write_slot(group, slots, origin, inputs, with_value(1, x), -1)
        slots += 1
    return slots


@kernel
def _group_by_bits(c, bits, first, last, limit):
    """Write the events to the group in pieces, without sorting; see :func:`read_input`.

    The first stage sets a bit for each input that has events. The second stage writes a slot for
    each bit. If an input has several events, it also notes for each word of bits how many slots
    precede it, and the third stage counts the events of each slot.
    """
    control = control_of(c)
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
        if is_over and stage == ReadStage.SLOTS and control[Control.REPEATED] == 0:
            return True
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
    """Set the bit of the input of each event from ``begin`` to ``end``; note repeated inputs."""
    index, repeated = input_index(c), np.uint64(0)
    for k in range(begin, end):
        i = np.uint64(index[k])
        bit = _ONE << (i & np.uint64(63))
        repeated |= bits[i >> np.uint64(6)] & bit
        bits[i >> np.uint64(6)] |= bit
    if repeated:
        control_of(c)[Control.REPEATED] = 1


@kernel
def _write_slots(c, bits, begin, end):
    """Write a slot for each bit of the words ``begin`` to ``end``; return how many.

    If no input has several events, the slots are complete, and the bits are cleared.
    """
    control, group, ranks = control_of(c), group_of(c), input_ranks(c)
    inputs, repeats = c[Context.POPULATION_COUNT], control[Control.REPEATED]
    start, at = populations_of(c)[inputs, Populations.START], control[Control.GROUP]
    for word in range(begin, end):
        left = bits[word]
        if repeats:
            ranks[word] = at
        else:
            bits[word] = 0
        while left:
            write_slot(group, at, start + 64 * word + trailing_zeros(left), inputs, 1 - repeats, -1)
            left &= left - _ONE
            at += 1
    slots = at - control[Control.GROUP]
    control[Control.GROUP] = at
    return slots


@kernel
def _count_events(c, bits, begin, end):
    """Add each event from ``begin`` to ``end`` to the multiplicity of its slot."""
    index, group, ranks = input_index(c), group_of(c), input_ranks(c)
    has_values, value = c[Context.VALUE] != 0, input_values(c)
    for k in range(begin, end):
        i = np.uint64(index[k])
        word = i >> np.uint64(6)
        below = bits[word] & ((_ONE << (i & np.uint64(63))) - _ONE)
        slot = ranks[word] + population_count(below)
        if has_values:
            group[Group.MULTIPLICITY, slot] = add_value(group[Group.MULTIPLICITY, slot], value[k])
        else:
            group[Group.MULTIPLICITY, slot] += 1
