"""Packets of Faery: parsing and rejection."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import MessageError
from neuroasync.sources.udp.faery_packets import parse_t32_packet, parse_t64_packet


def test_an_event_of_13_bytes_is_parsed():
    found = parse_t64_packet(struct.pack("<QHHB", 2**32 + 7, 65535, 300, 1))
    assert (found.x.tolist(), found.y.tolist(), found.polarity.tolist()) == ([65535], [300], [1])
    assert found.stamps.tolist() == [7]


def test_an_event_of_8_bytes_is_parsed():
    found = parse_t32_packet(struct.pack("<IHH", 2**32 - 1, 640, 479 << 1 | 1))
    assert (found.x.tolist(), found.y.tolist(), found.polarity.tolist()) == ([640], [479], [1])
    assert found.stamps.tolist() == [2**32 - 1]


@pytest.mark.parametrize(
    ("parse", "data", "message"),
    [
        (parse_t64_packet, b"", r"^packet must have 13 bytes per event, got 0 bytes$"),
        (parse_t64_packet, b"x" * 14, r"^packet must have 13 bytes per event, got 14 bytes$"),
        (parse_t32_packet, b"x" * 7, r"^packet must have 8 bytes per event, got 7 bytes$"),
        (
            parse_t64_packet,
            b"\1" * 13 + b"\2" * 13,
            r"^packet: event 1 must have polarity 0 or 1, got 2$",
        ),
    ],
)
def test_malformed_packets_are_rejected(parse, data, message):
    with pytest.raises(MessageError, match=message):
        parse(data)


@given(st.binary(max_size=80), st.sampled_from([parse_t64_packet, parse_t32_packet]))
def test_any_bytes_are_either_parsed_or_rejected(data, parse):
    try:
        found = parse(data)
    except MessageError:
        return
    assert (
        found.x.size
        == found.y.size
        == found.stamps.size
        == len(data) // (13 if parse is parse_t64_packet else 8)
    )
    assert set(found.polarity.tolist()) <= {0, 1}
