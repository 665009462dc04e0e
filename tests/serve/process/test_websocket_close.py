"""A close frame ends a websocket connection behind any messages, from either side."""

import struct

import pytest
from websockets.frames import Opcode

from tests.helpers.websocket_connections import connected, framed, settle


async def close_soon(scope, receive, send):
    """Accept, and close after one message."""
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.close", "code": 1008})


CLOSE = struct.pack(">H", 1008)
"""Content of the frame with which a client answers a close frame."""


@pytest.mark.parametrize("uses_library", [False, True])
@pytest.mark.parametrize("messages", [0, 1, 40, 400])
async def test_answer_to_a_close_frame_ends_the_connection_behind_any_messages(
    uses_library, messages
):
    protocol, transport = connected(close_soon, ws_per_message_deflate=uses_library)
    await settle()
    protocol.data_received(framed(Opcode.BINARY, b"x"))
    await settle()
    waiting = protocol.queue.qsize()
    protocol.data_received(framed(Opcode.BINARY, b"x") * messages + framed(Opcode.CLOSE, CLOSE))
    await settle()
    assert transport.is_closed
    assert protocol.queue.qsize() == waiting
    protocol.connection_lost(None)


@pytest.mark.parametrize("uses_library", [False, True])
async def test_close_frame_of_the_client_is_found_behind_messages_that_the_app_did_not_take(
    uses_library,
):
    protocol, transport = connected(close_soon, ws_per_message_deflate=uses_library)
    await settle()
    protocol.data_received(framed(Opcode.BINARY, b"x") * 40 + framed(Opcode.CLOSE, CLOSE))
    await settle()
    assert transport.is_closed
    protocol.connection_lost(None)


async def test_messages_after_a_close_frame_are_read_and_discarded():
    protocol, transport = connected(close_soon)
    await settle()
    protocol.data_received(framed(Opcode.BINARY, b"x"))
    await settle()
    waiting = protocol.queue.qsize()
    for _ in range(100):
        protocol.data_received(framed(Opcode.BINARY, bytes(30_000)))
        assert not transport.is_paused
    assert protocol.queue.qsize() == waiting
    protocol.connection_lost(None)
