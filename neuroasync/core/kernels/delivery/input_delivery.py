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
    settings_of,
)
from neuroasync.core.kernels.delivery.delayed_spikes import (
    append_due_spikes,
    begin_due_spikes,
)
from neuroasync.core.kernels.delivery.event_values import add_value, with_value
from neuroasync.core.kernels.delivery.slots import write_slot
from neuroasync.core.kernels.intrinsics import population_count, trailing_zeros
from neuroasync.core.kernels.jit import kernel, uncounted
from neuroasync.core.kernels.layout import (
    FULL,
    Context,
    Control,
    Group,
    Pending,
    Phase,
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
_SLOTS_AT_ONCE: Final = 8
"""Slots that are written without a branch."""
_EVENT_COST: Final = 12
"""Cost of reading an event once or of writing a slot, in synaptic operations (measured)."""


@uncounted
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
    has_values = c[Context.VALUE] != 0
    # Values are added to the slots like counts.
    control[Control.REPEATED] = 1 if has_values else 0
    queued, in_flight = settings_of(c)[Settings.QUEUED], control[Control.IN_FLIGHT]
    is_full = has_values or queued != 0 or in_flight > 0
    control[Control.GROUP_OWNER] = FULL if is_full else c[Context.POPULATION_COUNT]
    control[Control.PHASE] = Phase.READING


@uncounted
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


@uncounted
def _enqueue_input(c, limit):
    """Add the input events to the pending spikes, in (time, index) order; see `read_input`.

    No spike is pending when a pass begins.
    """
    control, pending, index = control_of(c), pending_of(c), input_index(c)
    start = c[Context.NEURONS]
    first, last = control[Control.READ_FIRST], control[Control.CURSOR]
    while control[Control.READ_AT] < last:
        begin = control[Control.READ_AT]
        end = min(last, begin + _EVENTS_PER_CHECK)
        for k in range(begin, end):
            pending[Pending.KEY, k - first] = start + k - first
            pending[Pending.QUEUED, k - first] = start + index[k]
            pending[Pending.ARRIVAL, k - first] = -1
        control[Control.READ_AT] = end
        control[Control.WORK] += _EVENT_COST * (end - begin)
        if end < last and control[Control.WORK] > limit:
            return False
    control[Control.PENDING] = last - first
    return True


@kernel
def queued_multiplicity(c, key):
    """Return the multiplicity of the pending input event with this key."""
    return _multiplicity(c, control_of(c)[Control.FIRST_EVENT] + key - c[Context.NEURONS])


@kernel
def _multiplicity(c, event):
    """Return the multiplicity of a slot for one input event."""
    if c[Context.VALUE] == 0:
        return np.int64(1)
    return with_value(1, input_values(c)[event])


@uncounted
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


@uncounted
def _write_if_ascending(c, first, last):
    """Write a slot for each event if their input indices ascend; return whether they do."""
    index, control, is_ascending = input_index(c)[first:last], control_of(c), True
    for k in range(1, index.size):
        is_ascending &= index[k] > index[k - 1]
    if is_ascending:
        if control[Control.GROUP_OWNER] == FULL:
            for k in range(index.size):
                _write_slot(c, k, index[k], _multiplicity(c, first + k))
        else:
            origins = group_of(c)[Group.ORIGIN]
            for k in range(index.size):
                origins[k] = c[Context.NEURONS] + index[k]
        control[Control.GROUP] = last - first
        control[Control.WORK] += _EVENT_COST * (last - first)
    return is_ascending


@uncounted
def _write_slot(c, at, i, count):
    """Write a slot of the group for ``count`` events of input ``i``."""
    group, origin = group_of(c), c[Context.NEURONS] + i
    if control_of(c)[Control.GROUP_OWNER] == FULL:
        write_slot(group, at, origin, c[Context.POPULATION_COUNT], count, -1)
    else:
        group[Group.ORIGIN, at] = origin


@kernel
def _group_by_sorting(c, first, last):
    """Write the events to the group by sorting a copy."""
    group, n = group_of(c), 0
    control_of(c)[Control.GROUP_OWNER] = FULL
    if c[Context.VALUE]:
        n = _group_values_by_sorting(c, first, last)
    else:
        for i in np.sort(input_index(c)[first:last]):
            if n and group[Group.ORIGIN, n - 1] == c[Context.NEURONS] + i:
                group[Group.MULTIPLICITY, n - 1] += 1
                continue
            _write_slot(c, n, i, 1)
            n += 1
    control_of(c)[Control.GROUP] = n
    control_of(c)[Control.WORK] += _EVENT_COST * (last - first)


@kernel
def _group_values_by_sorting(c, first, last):
    """Write events with values to the group by sorting a copy; return the number of slots."""
    group, value, slots, n = group_of(c), input_values(c), 0, last - first
    # The numbers of the events keep those of one input in their order.
    for key in np.sort(input_index(c)[first:last] * n + np.arange(n)):
        i, x = key // n, value[first + key % n]
        if slots and group[Group.ORIGIN, slots - 1] == c[Context.NEURONS] + i:
            count = group[Group.MULTIPLICITY, slots - 1]
            group[Group.MULTIPLICITY, slots - 1] = add_value(count, x)
            continue
        _write_slot(c, slots, i, with_value(1, x))
        slots += 1
    return slots


@uncounted
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


@uncounted
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
        control_of(c)[Control.GROUP_OWNER] = FULL


@uncounted
def _write_slots(c, bits, begin, end):
    """Write a slot for each bit of the words ``begin`` to ``end``; return how many.

    If no input has several events, the slots are complete, and the bits are cleared.
    """
    control, ranks, repeats = control_of(c), input_ranks(c), control_of(c)[Control.REPEATED]
    at, origins, start = control[Control.GROUP], group_of(c)[Group.ORIGIN], c[Context.NEURONS]
    is_full = control[Control.GROUP_OWNER] == FULL
    for word in range(begin, end):
        left = bits[word]
        if repeats:
            ranks[word] = at
        else:
            bits[word] = 0
        while left and is_full:
            _write_slot(c, at, 64 * word + trailing_zeros(left), 1 - repeats)
            left &= left - _ONE
            at += 1
        while left:
            # A branch for each bit would be mispredicted once in a word. Slots that are written
            # in vain are overwritten, or lie in the next column, which a plain group leaves alone.
            bits_left = population_count(left)
            for k in range(_SLOTS_AT_ONCE):
                origins[np.uint64(at + k)] = start + 64 * word + trailing_zeros(left)
                left &= left - _ONE
            at += min(bits_left, _SLOTS_AT_ONCE)
    slots = at - control[Control.GROUP]
    control[Control.GROUP] = at
    return slots


@uncounted
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
