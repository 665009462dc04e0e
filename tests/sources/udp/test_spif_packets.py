"""Packets of address events: parsing, formatting and rejection."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import MessageError
from neuroasync.sources import PixelGrid
from neuroasync.sources.udp.spif_packets import format_packets, parse_packet

PLANE = PixelGrid(2, 3, 5)
NO_STAMP = 1 << 31


def word(x, y, polarity=0, flag=0):
    """Return a SPIF event word."""
    return flag | x << 16 | polarity << 15 | y


def packed(*words):
    """Return a packet of 32-bit words."""
    return struct.pack(f"<{len(words)}I", *words)


def pixels(packet):
    """Return the events of a packet as (x, y, polarity)."""
    columns = packet.x.tolist(), packet.y.tolist(), packet.polarity.tolist()
    return list(zip(*columns, strict=True))


def test_events_of_spiffer_and_aestream_are_parsed():
    found = parse_packet(b"\x02\x80\x04\x00" + b"\x15\xcd\x5b\x07")
    assert pixels(found) == [(4, 2, 1)]
    assert found.stamps.tolist() == [123456789]


def test_events_may_come_without_timestamps():
    found = parse_packet(packed(word(1, 0, 0, NO_STAMP), word(32767, 32767, 1, NO_STAMP)))
    assert pixels(found) == [(1, 0, 0), (32767, 32767, 1)]
    assert found.stamps is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"^packet must have 4 or 8 bytes per event, got 0 bytes$"),
        (b"\0" * 7, r"^packet must have 4 or 8 bytes per event, got 7 bytes$"),
        (packed(word(1, 1)), r"^packet must have 8 bytes per event, got 4 bytes$"),
        (packed(word(1, 1), 5, word(1, 1)), r"^packet must have 8 bytes per event, got 12 bytes$"),
        (
            packed(word(1, 1), 5, word(1, 1, 0, NO_STAMP), 5),
            r"^packet must not mix events with and without timestamps$",
        ),
        (
            packed(word(1, 1, 0, NO_STAMP), word(1, 1)),
            r"^packet must not mix events with and without timestamps$",
        ),
    ],
)
def test_malformed_packets_are_rejected(data, message):
    with pytest.raises(MessageError, match=message):
        parse_packet(data)


@given(st.binary(max_size=64))
def test_any_bytes_are_either_parsed_or_rejected(data):
    try:
        found = parse_packet(data)
    except MessageError:
        return
    assert max(found.x.max(), found.y.max()) < 2**15
    assert set(found.polarity.tolist()) <= {0, 1}
    assert found.x.size * (4 if found.stamps is None else 8) == len(data)


@given(st.integers(1, 2), st.integers(1, 40), st.integers(1, 40), st.booleans(), st.data())
def test_a_written_packet_is_read_unchanged(channels, height, width, stamped, data):
    plane = PixelGrid(channels, height, width)
    index = np.array(data.draw(st.lists(st.integers(0, plane.size - 1), max_size=300)), np.int64)
    t_us = np.arange(2**32 - 20, 2**32 - 20 + index.size) if stamped else None
    found = [(parse_packet(d), n) for d, n in format_packets(index, t_us, plane)]
    assert [p.x.size for p, _ in found] == [n for _, n in found]
    read = [plane.index(p.x, p.y, p.polarity).tolist() for p, _ in found]
    assert [i for part in read for i in part] == index.tolist()
    if stamped:
        stamps = [s for p, _ in found for s in p.stamps.tolist()]
        assert stamps == (t_us % 2**32).tolist()


def test_packets_have_at_most_512_bytes():
    index = np.zeros(130, np.int64)
    assert [n for _, n in format_packets(index, None, PLANE)] == [128, 2]
    assert [n for _, n in format_packets(index, np.arange(130), PLANE)] == [64, 64, 2]
