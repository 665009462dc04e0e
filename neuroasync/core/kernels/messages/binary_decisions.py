"""Writing binary messages with a decision, in MessagePack, without a Python object for each number.

Only final decisions of an output that votes are written here. All others are left to a general
encoder, whose bytes these are.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.jit import inlined, kernel
from neuroasync.core.kernels.layout import Control, Votes
from neuroasync.core.kernels.voting import leader

__all__ = ["max_size", "write_decision"]

_SAMPLE: Final = b"\x88\xa6sample"  # a map of 8 pairs, and the first key
_LABEL: Final = b"\xa5label"
_CLASS_NAME: Final = b"\xaaclass_name"
_VOTES: Final = b"\xa5votes"
_SPIKES: Final = b"\xa6spikes"
_ROUNDS: Final = b"\xa6rounds"
_LATENCY_MS: Final = b"\xaalatency_ms"
_FINAL: Final = b"\xa5final\xc3"  # the last key, and true

_NIL: Final = 0xC0
_FLOAT64: Final = 0xCB
_UINT8: Final = 0xCC
_ARRAY16: Final = 0xDC

_KEYS: Final = (_SAMPLE, _LABEL, _CLASS_NAME, _VOTES, _SPIKES, _ROUNDS, _LATENCY_MS, _FINAL)
_MAX_NUMBER: Final = 9
"""Maximum size of a number, or of the length of an array, in bytes."""


def max_size(classes: int, name_bytes: int) -> int:
    """Return the maximum size of a message in bytes.

    Args:
        classes: number of classes.
        name_bytes: size of the names of all classes.
    """
    numbers = classes + 6  # sample, label, length of the votes, spikes, rounds, latency
    return sum(map(len, _KEYS)) + max(name_bytes, 1) + _MAX_NUMBER * numbers


@kernel
def write_decision(head, votes_at, classes, names, name_ends, sample, latency_ms, message):
    """Write a message with a final decision of an output that votes.

    Args:
        head: i64[..], the head of the session's memory.
        votes_at: position of the table of votes in it.
        classes: number of classes.
        names: u8[..], the names of all classes, each as a text of MessagePack.
        name_ends: i64[classes], where the name of each class ends; i64[0] if there are no names.
        sample: number of the sample.
        latency_ms: latency, ms.
        message: u8[:func:`max_size`], written.

    Returns:
        The size of the message in bytes.
    """
    votes = head[votes_at : votes_at + len(Votes) * classes].reshape((len(Votes), classes))
    label = leader(votes)
    at = _write_integer(message, _write_bytes(message, 0, _SAMPLE), sample)
    at = _write_bytes(message, at, _LABEL)
    at = _write_byte(message, at, _NIL) if label < 0 else _write_integer(message, at, label)
    at = _write_bytes(message, at, _CLASS_NAME)
    if label < 0 or name_ends.size == 0:
        at = _write_byte(message, at, _NIL)
    else:
        start = name_ends[label - 1] if label else 0
        at = _write_bytes(message, at, names[start : name_ends[label]])
    at = _write_array_length(message, _write_bytes(message, at, _VOTES), classes)
    for c in range(classes):
        at = _write_integer(message, at, votes[Votes.COUNT, c])
    at = _write_integer(message, _write_bytes(message, at, _SPIKES), head[Control.SPIKES])
    at = _write_integer(message, _write_bytes(message, at, _ROUNDS), head[Control.ROUNDS])
    at = _write_byte(message, _write_bytes(message, at, _LATENCY_MS), _FLOAT64)
    at = _write_big_endian(message, at, np.float64(latency_ms).view(np.int64), 8)
    return _write_bytes(message, at, _FINAL)


@inlined
def _write_byte(message, at, value):
    message[at] = value
    return at + 1


@inlined
def _write_bytes(message, at, values):
    for k in range(len(values)):
        message[at + k] = values[k]
    return at + len(values)


@inlined
def _write_big_endian(message, at, value, size):
    for k in range(size):
        message[at + k] = (value >> (8 * (size - 1 - k))) & 0xFF
    return at + size


@inlined
def _write_integer(message, at, value):
    """Write a non-negative integer in the shortest form."""
    if value < 0x80:
        message[at] = value
        return at + 1
    log_size = (value >= 1 << 8) + (value >= 1 << 16) + (value >= 1 << 32)
    message[at] = _UINT8 + log_size
    return _write_big_endian(message, at + 1, value, 1 << log_size)


@inlined
def _write_array_length(message, at, n):
    if n < 16:
        message[at] = 0x90 | n
        return at + 1
    log_size = 1 + (n >= 1 << 16)
    message[at] = _ARRAY16 + log_size - 1
    return _write_big_endian(message, at + 1, n, 1 << log_size)
