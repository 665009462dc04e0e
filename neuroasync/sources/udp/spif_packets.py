"""Packets of address events as SPIF and AEStream send them over UDP.

A packet is a sequence of 32-bit little-endian words. An event takes one word, or two:

    ======  ===========================================================
    bit 31  0: a timestamp follows as a separate word; 1: no timestamp
    30-16   x
    15      polarity, 1: increasing brightness
    14-0    y
    ======  ===========================================================

Timestamps are in µs and wrap around every 2**32 µs (71.6 minutes). Either all events of a packet
have a timestamp, or none has.

Source: README of spiffer, https://github.com/SpiNNakerManchester/spif (format of the word);
``dvs_to_udp.cpp`` of AEStream, https://github.com/aestream/aestream (the second word, byte order,
packets of 512 bytes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.pixel_grid import PixelGrid
from neuroasync.errors import MessageError

__all__ = ["MAX_EXTENT", "Packet", "format_packets", "parse_packet"]

MAX_EXTENT: Final = 2**15
"""Maximum number of columns or rows that a word can address."""

_MAX_WORDS: Final = 128
"""Words of a packet that is written: 512 bytes, which networks do not fragment."""

_NO_STAMP: Final = 2**31


@dataclass(frozen=True, slots=True)
class Packet:
    """The events of a packet.

    Attributes:
        x, y: integer[events], pixels of the sensor.
        polarity: integer[events], 1: increasing brightness.
        stamps: u32[events], timestamps of the device, µs; None without timestamps.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    polarity: NDArray[Any]
    stamps: NDArray[np.uint32] | None


def parse_packet(data: bytes) -> Packet:
    """Parse an untrusted packet.

    Raises:
        MessageError: the packet is empty or truncated, or mixes events with and without timestamps.
    """
    if not data or len(data) % 4:
        raise MessageError(f"packet must have 4 or 8 bytes per event, got {len(data)} bytes")
    words, stamps = np.frombuffer(data, "<u4"), None
    is_stamped = not words[0] & _NO_STAMP
    if is_stamped:
        if words.size % 2:
            raise MessageError(f"packet must have 8 bytes per event, got {len(data)} bytes")
        words, stamps = words[::2], words[1::2]
    if ((words ^ words[0]) & _NO_STAMP).any():
        raise MessageError("packet must not mix events with and without timestamps")
    x, y = (words >> 16) & (MAX_EXTENT - 1), words & (MAX_EXTENT - 1)
    return Packet(x, y, (words >> 15) & 1, stamps)


def format_packets(
    index: NDArray[np.int64], t_us: NDArray[np.int64] | None, grid: PixelGrid
) -> Iterator[tuple[bytes, int]]:
    """Format events as packets, each as full as possible.

    Args:
        index: i64[events], input indices.
        t_us: i64[events], times, of which the low 32 bits are written; None for no timestamps.
        grid: grid of the indices, at most :data:`MAX_EXTENT` wide and high.

    Yields:
        Each packet with its number of events.
    """
    x, y, polarity = grid.pixels(index)
    words = ((x << 16) | (polarity << 15) | y).astype("<u4")
    if t_us is None:
        words |= np.uint32(_NO_STAMP)
    else:
        words = np.column_stack((words, (t_us & (2**32 - 1)).astype("<u4"))).ravel()
    per_event = 1 if t_us is None else 2
    for start in range(0, words.size, _MAX_WORDS):
        packet = words[start : start + _MAX_WORDS]
        yield packet.tobytes(), packet.size // per_event
