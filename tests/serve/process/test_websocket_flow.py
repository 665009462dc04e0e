"""A websocket connection pauses reading, and closes if its client is too slow or too greedy."""

import asyncio

import pytest
from websockets.frames import Opcode

from neuroasync.serve.process.connection_limits import ConnectionLimits
from neuroasync.serve.process.connection_table import ConnectionTable
from tests.helpers.clock_loop import run
from tests.helpers.websocket_connections import connected, echo_nothing, framed, settle


@pytest.mark.parametrize(
    ("sends_data", "is_paused", "is_closed"),
    [(False, False, True), (True, False, False), (False, True, False)],
)
def test_missing_pong_closes_only_a_silent_connection_that_is_being_read(
    sends_data, is_paused, is_closed
):
    """A pong may be queued behind data that was not read yet."""

    async def main():
        async def app(scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})
            if not is_paused:
                await receive()
            await asyncio.sleep(100)

        protocol, transport = connected(app, ws_ping_interval=20.0, ws_ping_timeout=20.0)
        await settle()
        await asyncio.sleep(30)
        if sends_data:
            protocol.data_received(framed(Opcode.BINARY, b"x"))
        if is_paused:
            protocol.data_received(framed(Opcode.BINARY, b"x") * 20)
        await asyncio.sleep(40)
        assert transport.is_closed is is_closed
        protocol.connection_lost(None)
        await asyncio.sleep(100)

    run(main())


async def test_pongs_that_are_not_read_pause_reading_and_time_out():
    closed = []
    protocol, transport = connected(echo_nothing)
    await settle()
    table = ConnectionTable(ConnectionLimits(send_timeout_s=0.5), lambda: 0.0)
    slot = table.admit(None, closed.append)
    protocol.take_slot(table, slot)
    protocol.pause_writing()
    before = len(transport.written)
    protocol.data_received(framed(Opcode.PING, b"p") * 50)
    assert transport.is_paused
    assert len(transport.written) - before == 3  # one pong
    protocol.resume_writing()
    await settle()
    assert not transport.is_paused
    assert len(transport.written) - before == 50 * 3
    protocol.pause_writing()
    protocol.data_received(framed(Opcode.PING, b"p"))
    assert transport.is_paused
    slot.close("timeout")
    assert transport.is_closed
    protocol.connection_lost(None)


@pytest.mark.parametrize("uses_library", [False, True])
async def test_message_with_too_many_fragments_is_refused_after_several_turns(uses_library):
    data = framed(Opcode.TEXT, b"", fin=False) + framed(Opcode.CONT, b"", fin=False) * 3000
    protocol, transport = connected(echo_nothing, ws_per_message_deflate=uses_library)
    await settle()
    protocol.data_received(data)
    assert transport.is_paused
    assert not transport.is_closed
    await settle()
    assert transport.is_closed
    assert b"too many fragments" in transport.written
    protocol.connection_lost(None)


async def test_incomplete_message_counts_until_it_is_complete():
    protocol, _ = connected(echo_nothing)
    await settle()
    table = ConnectionTable(ConnectionLimits(), lambda: 0.0)
    slot = table.admit(None, lambda reason: None)
    protocol.take_slot(table, slot)
    message = framed(Opcode.BINARY, bytes(50_000))
    protocol.data_received(message[:30_000])
    assert slot.held == 30_000
    protocol.data_received(message[30_000:])
    assert slot.held == 0
    protocol.connection_lost(None)
    assert len(table) == 0


async def test_reading_pauses_while_the_app_does_not_take_messages():
    accepted = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await accepted.wait()

    protocol, transport = connected(app)
    await settle()
    sent = 0
    while not transport.is_paused:
        protocol.data_received(framed(Opcode.BINARY, bytes(30_000)))
        sent += 1
    assert sent == 3
    assert protocol.queue.qsize() == 3
    accepted.set()
    await settle()
