"""A client of a real websocket server on the loopback interface."""

import asyncio
import re
from contextlib import asynccontextmanager

import msgpack
import pytest
from websockets.asyncio.server import serve

import neuroasync as na
from neuroasync.messages import EventMessage, format_events
from neuroasync.sources import SourceCounts, WebsocketSource
from tests.helpers.event_streams import all_of, chunk


@asynccontextmanager
async def server(*messages, then_close=None):
    """Send the messages to each client; then close with a code, or wait for the client to close."""

    async def handler(connection):
        for message in messages:
            await connection.send(message)
        if then_close is not None:
            await connection.close(then_close)
        else:
            await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()[:2]
        yield f"ws://{host}:{port}"


def message(*pairs, end=False, binary=False):
    """Return a message with (time, index) pairs as events."""
    return format_events(EventMessage(chunk(*pairs), end), binary=binary)


async def test_json_and_msgpack_messages_become_chunks_until_the_end(no_leaks):
    sent = [message((0, 1), (5, 2)), message((5, 3), end=True, binary=True), message((9, 9))]
    async with server(*sent) as uri, WebsocketSource(uri, 10) as source:
        assert [p async for p in source] == [chunk((0, 1), (5, 2)), chunk((5, 3))]
        assert source.counts == SourceCounts(accepted=3)


async def test_a_server_that_closes_ends_the_stream(no_leaks):
    async with server(message((0, 1)), then_close=1000) as uri, WebsocketSource(uri, 10) as source:
        assert await all_of(source) == [(0, 1)]
        assert await all_of(source) == []


async def test_malformed_messages_are_counted_and_skipped(no_leaks):
    sent = [
        "{",
        '{"t_us": [1], "index": [1, 2]}',
        b"\xc1",
        msgpack.packb({"t_us": ["1"], "index": [1]}),
        message((7, 1)),
        message((7, 10)),
        message((6, 1)),
        "[]",
        message((7, 9), end=True),
    ]
    async with server(*sent) as uri, WebsocketSource(uri, 10) as source:
        assert await all_of(source) == [(7, 1), (7, 9)]
        assert source.counts == SourceCounts(accepted=2, malformed=7)


async def test_a_lost_connection_is_named_in_the_error(no_leaks):
    async with server(message((0, 1)), then_close=1011) as uri, WebsocketSource(uri, 10) as source:
        assert await anext(source) == chunk((0, 1))
        with pytest.raises(na.SourceError, match=rf"^{uri}: .*1011.*; the connection was lost$"):
            await anext(source)


async def test_a_message_above_the_limit_ends_the_connection(no_leaks):
    sent = message(*((0, 1) for _ in range(1000)))
    async with server(sent) as uri, WebsocketSource(uri, 10, max_bytes=1000) as source:
        with pytest.raises(na.SourceError, match=r"1009 \(message too big\).*was lost$"):
            await anext(source)


async def test_an_address_without_a_server_raises_source_error(no_leaks):
    async with server() as uri:
        pass
    with pytest.raises(na.SourceError, match=rf"^{uri}: .*; cannot connect$"):
        await anext(WebsocketSource(uri, 10))


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/", "ws://", "127.0.0.1", "", "ws://127.0.0.1:99999", "ws://[::1:8000/",
        "ws://a..b/", "ws://" + "a" * 70 + ".de/", "ws://a\0b/", "ws://127.0.0.1:x/",
    ],
)  # fmt: skip
async def test_an_invalid_websocket_address_is_rejected(uri):
    text = re.escape(repr(uri))
    with pytest.raises(na.SourceError, match=rf"^{text} is not a websocket address \(.*; it must"):
        await anext(WebsocketSource(uri, 10))


def test_an_address_that_is_no_text_is_rejected():
    with pytest.raises(ValueError, match=r"^`uri` must be text such as 'ws://localhost:9000', got"):
        WebsocketSource(9000, 10)


async def test_a_server_without_websockets_raises_source_error(no_leaks):
    async def answer(reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(na.SourceError, match=r"HTTP 404; cannot connect$"):
            await anext(WebsocketSource(f"ws://127.0.0.1:{port}", 10))


@pytest.mark.parametrize("ticks", [0, 1, 2, 5])
async def test_a_cancelled_reader_loses_no_event(ticks, no_leaks):
    sent = [message((k, k), end=k == 2) for k in range(3)]
    async with server(*sent) as uri, WebsocketSource(uri, 10) as source:
        reader = asyncio.create_task(all_of(source))
        for _ in range(ticks):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        assert source.counts.accepted + len(await all_of(source)) == 3


async def test_a_slow_reader_makes_the_server_wait(no_leaks, monkeypatch):
    monkeypatch.setattr("neuroasync.sources.websocket._CLOSE_TIMEOUT_S", 0.05)
    sent, is_full = 0, asyncio.Event()

    async def handler(connection):
        nonlocal sent
        big = message(*((0, 1) for _ in range(10_000)))
        while True:
            try:
                async with asyncio.timeout(0.05):
                    await connection.send(big)
            except TimeoutError:
                is_full.set()
                return
            sent += 1

    async with serve(handler, "127.0.0.1", 0, compression=None) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with WebsocketSource(f"ws://127.0.0.1:{port}", 10) as source:
            await is_full.wait()
            assert sent < 1000
            assert source.counts == SourceCounts()


@pytest.mark.parametrize("inputs", [0, -1, 1.5, True, 2**24 + 1])
def test_a_number_of_inputs_out_of_range_is_rejected(inputs):
    with pytest.raises(ValueError, match=r"^`inputs` must be an integer from 1 to 16777216, got "):
        WebsocketSource("ws://127.0.0.1", inputs)
