"""Reading binary messages with events, in MessagePack, without a Python object for each number.

Only valid messages of the usual form are read here: a map with ``t_us`` and ``index``, or with
neither, and perhaps ``end``. All others are left to a general decoder, which reads every form and
reports what is invalid.

Every position is compared with the end of the message before a byte is read, and the length of an
array with the room for its numbers before one is written.
"""

from typing import Final

import numpy as np

from neuroasync import limits
from neuroasync.core.kernels.jit import inlined, kernel

__all__ = ["read_events"]

_T_US: Final = int.from_bytes(b"\xa4t_us", "big")
_INDEX: Final = int.from_bytes(b"\xa5index", "big")
_END: Final = int.from_bytes(b"\xa3end", "big")

_MAX_TIME_US: Final = limits.MAX_TIME_US
_MAX_INDEX: Final = limits.MAX_INPUTS - 1

_OTHER: Final = -1
"""Returned instead of a position, a length or a number of events if the message is not usual."""


@kernel
def read_events(data, numbers):
    """Read a message with events, if it is valid and has the usual form.

    Args:
        data: u8[bytes], the message, in a read-only array.
        numbers: i64[2 * capacity], written: the times of all events, then their indices.

    Returns:
        The number of events; the highest index, -1 if there is no event; and whether ``end`` is
        true. The number of events is -1 if the message must be read in another way, or if
        ``numbers`` has not enough room. The contents of ``numbers`` are then undefined.
    """
    size = len(data)
    if size == 0 or data[0] & 0xF0 != 0x80:  # a map of at most 15 pairs
        return _OTHER, -1, False
    # Inlined kernels are compiled twice if they are called with a literal and with an integer.
    at, events, max_index = np.int64(1), np.int64(_OTHER), np.int64(-1)
    has_times, has_indices, has_end, is_end = False, False, False, False
    for _ in range(data[0] & 0x0F):
        key, at = _read_key(data, at)
        if key == _END and not has_end and at < size and data[at] & 0xFE == 0xC2:
            has_end, is_end = True, data[at] == 0xC3
            at += 1
        elif (key == _T_US and not has_times) or (key == _INDEX and not has_indices):
            n, at = _read_array_length(data, at)
            # An `in` would make a process that loads this kernel import a part of numba's compiler.
            is_other_length = events != _OTHER and events != n
            if n == _OTHER or n > numbers.size // 2 or is_other_length:
                return _OTHER, -1, False
            events = n
            if key == _T_US:
                has_times, start, limit = True, np.int64(0), _MAX_TIME_US
            else:
                has_indices, start, limit = True, n, _MAX_INDEX
            at, highest = _read_numbers(data, at, numbers, start, n, limit, key == _T_US)
            if at == _OTHER:
                return _OTHER, -1, False
            if key == _INDEX:
                max_index = highest
        else:
            return _OTHER, -1, False
    if has_times != has_indices or at != size:
        return _OTHER, -1, False
    return max(events, np.int64(0)), max_index, is_end


@inlined
def _read_key(data, at):
    """Return a text of 3 to 5 bytes and the next position; 0 if there is no such text.

    The text is a big-endian integer, with the byte that holds its length first.
    """
    if at >= len(data) or data[at] < 0xA3 or data[at] > 0xA5:
        return 0, at
    stop = at + 1 + (data[at] & 0x1F)
    if stop > len(data):
        return 0, at
    return _integer(data, at, stop), stop


@inlined
def _read_array_length(data, at):
    """Return the length of an array and the position of its items; -1 if there is no array."""
    size = len(data)
    if at < size and data[at] & 0xF0 == 0x90:
        return np.int64(data[at] & 0x0F), at + 1
    if at + 3 <= size and data[at] == 0xDC:
        return _integer(data, at + 1, at + 3), at + 3
    if at + 5 <= size and data[at] == 0xDD:
        return _integer(data, at + 1, at + 5), at + 5
    return np.int64(_OTHER), at


@inlined
def _read_numbers(data, at, numbers, start, n, limit, must_ascend):
    """Write ``n`` integers from 0 to ``limit`` to ``numbers[start:]``.

    Returns the position behind them, -1 if something else was found, and the highest one.
    """
    size, highest = len(data), np.int64(-1)
    for k in range(start, start + n):
        if at >= size:
            return _OTHER, highest
        value = np.int64(data[at])
        at += 1
        if value >= 0x80:  # not a fixint: unsigned or signed, of 1, 2, 4 or 8 bytes
            stop = at + (1 << (value & 3))
            if value < 0xCC or value > 0xD3 or stop > size:
                return _OTHER, highest
            if value >= 0xD0 and data[at] >= 0x80:  # negative
                return _OTHER, highest
            value, at = _integer(data, at, stop), stop
        # An integer of 2**63 or more has wrapped to a negative one.
        if value < 0 or value > limit or (must_ascend and value < highest):
            return _OTHER, highest
        highest = max(highest, value)
        numbers[k] = value
    return at, highest


@inlined
def _integer(data, start, stop):
    """Return the big-endian integer of at most 8 bytes that all lie in the message."""
    value = np.int64(0)
    for k in range(start, stop):
        value = value << 8 | data[k]
    return value
