"""Packets of address events, as SPIF and AEStream send them over UDP.

A packet is a row of 32-bit words, little-endian as those programs send them on the usual machines.
An event is one word, or two:

    ======  ===========================================================
    bit 31  0: a timestamp follows in a word of its own; 1: there is none
    30-16   x
    15      polarity, 1: brighter
    14-0    y
    ======  ===========================================================

The timestamp is in µs and wraps around every 2**32 µs (71.6 minutes). All events of a packet have
one, or none has.

Source: README of spiffer, https://github.com/SpiNNakerManchester/spif (the word);
``dvs_to_udp.cpp`` of AEStream, https://github.com/aestream/aestream (the second word, byte order,
packets of 512 bytes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.errors import MessageError
from neuroasync.sources.pixel_grid import PixelGrid

__all__ = ["MAX_EXTENT", "Packet", "format_packets", "parse_packet"]

MAX_EXTENT: Final = 2**15
"""Most columns or rows that a word can name."""

_MAX_WORDS: Final = 128
"""Of a packet that is written: 512 bytes, which no network cuts up."""

_NO_STAMP: Final = 2**31


@dataclass(frozen=True, slots=True)
class Packet:
    """Events of a packet.

    Attributes:
        index: i64[events], input indices.
        stamps: u32[events], timestamps as they came, µs; None if there are none.
    """

    index: NDArray[np.int64]
    stamps: NDArray[np.uint32] | None


def parse_packet(data: bytes, plane: PixelGrid) -> Packet:
    """Read a packet; nothing in it is trusted.

    Raises:
        MessageError: it is empty or cut short, mixes events with and without timestamps, or has
            one of a pixel that the network does not have.
    """
    if not data or len(data) % 4:
        raise MessageError(f"packet: {len(data)} bytes, expected 4 or 8 for each event")
    words, stamps = np.frombuffer(data, "<u4"), None
    is_stamped = not words[0] & _NO_STAMP
    if is_stamped:
        if words.size % 2:
            raise MessageError(f"packet: {len(data)} bytes, expected 8 for each event")
        words, stamps = words[::2], words[1::2]
    if ((words ^ words[0]) & _NO_STAMP).any():
        raise MessageError("packet: events with and without timestamps, expected one kind")
    x, y = (words >> 16) & (MAX_EXTENT - 1), words & (MAX_EXTENT - 1)
    if x.max() >= plane.width or y.max() >= plane.height:
        at = int(np.argmax((x >= plane.width) | (y >= plane.height)))
        raise MessageError(
            f"packet: event {at} at x = {x[at]}, y = {y[at]}, expected below {plane.width} and "
            f"{plane.height}"
        )
    index = plane.index(x.astype(np.int64), y.astype(np.int64), (words >> 15) & 1)
    return Packet(index, stamps)


def format_packets(
    index: NDArray[np.int64], t_us: NDArray[np.int64] | None, plane: PixelGrid
) -> Iterator[tuple[bytes, int]]:
    """Write events, as many as it takes to each packet.

    Args:
        index: i64[events], input indices.
        t_us: i64[events], times of which the low 32 bits are written; None for no timestamps.
        plane: of the indices, at most :data:`MAX_EXTENT` wide and high.

    Yields:
        A packet, and the number of its events.
    """
    x, y, polarity = plane.pixels(index)
    words = ((x << 16) | (polarity << 15) | y).astype("<u4")
    if t_us is None:
        words |= np.uint32(_NO_STAMP)
    else:
        words = np.column_stack((words, (t_us & (2**32 - 1)).astype("<u4"))).ravel()
    per_event = 1 if t_us is None else 2
    for start in range(0, words.size, _MAX_WORDS):
        packet = words[start : start + _MAX_WORDS]
        yield packet.tobytes(), packet.size // per_event
