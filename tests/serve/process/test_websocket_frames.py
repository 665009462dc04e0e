"""Frames of clients are found where the websocket library finds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from neuroasync.serve.process.websocket_frames import (
    BINARY,
    PING,
    TEXT,
    find_payload,
    make_frame,
    unmask,
)

SIZES = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65535, 65536, 70000]))


@given(SIZES, st.binary(max_size=5), st.binary(max_size=5))
def test_frame_of_the_library_is_found_between_other_data(size, before, after):
    content = bytes(k % 251 for k in range(size))
    frame = Frame(Opcode.BINARY, content).serialize(mask=True)
    data = before + frame + after
    payload, end = find_payload(data, len(before), 2**20)
    assert end == len(before) + len(frame)
    assert unmask(data, payload, end) == content


@given(SIZES, st.data())
def test_end_of_an_incomplete_frame_is_beyond_the_data(size, data):
    frame = Frame(Opcode.TEXT, bytes(size)).serialize(mask=True)
    available = data.draw(st.integers(0, len(frame) - 1))
    _, end = find_payload(frame[:available], 0, 2**20)
    assert available < end <= len(frame)


@pytest.mark.parametrize(
    "header",
    [
        bytes((BINARY, 5)),  # no mask
        bytes((BINARY | 0x40, 0x85)),  # a reserved bit
        bytes((0x83, 0x85)),  # an unknown kind
        bytes((PING, 0xFE, 0, 126)),  # a long control frame
        bytes((PING, 0xFF)) + bytes(8),
        bytes((BINARY, 0xFE)) + (1001).to_bytes(2, "big"),  # too large
        bytes((BINARY, 0xFF)) + (1001).to_bytes(8, "big"),
        bytes((BINARY, 0xFF)) + b"\xff" * 8,
    ],
)
def test_frame_against_the_protocol_is_refused(header):
    assert find_payload(header, 0, 1000) is None
    assert find_payload(header + bytes(2000), 0, 1000) is None


@pytest.mark.parametrize(("kind", "opcode"), [(TEXT, Opcode.TEXT), (BINARY, Opcode.BINARY)])
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frame_from_the_server_is_that_of_the_library(kind, opcode, size):
    assert make_frame(kind, bytes(size)) == Frame(opcode, bytes(size)).serialize(mask=False)
