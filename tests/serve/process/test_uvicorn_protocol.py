"""The fast path for websocket messages behaves like the library's protocol."""

import asyncio
import itertools
import struct
from typing import NamedTuple

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader
from websockets.utils import apply_mask

from neuroasync.serve.process.connection_limits import ConnectionLimits
from neuroasync.serve.process.connection_table import ConnectionTable
from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol
from tests.helpers.clock_loop import run

MAX_BYTES = 70_000
MASK = b"mask"
ERRORS = {1002, 1009}
REQUEST = (
    b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class ProtocolOutcome(NamedTuple):
    """What the app received and echoed, the close code, the pongs, and whether it closed."""

    received: list
    code: int
    echoed: list
    pongs: list
    is_closed: bool


class Transport:
    """A transport that keeps what is written and can be paused."""

    def __init__(self):
        self.written = bytearray()
        self.is_paused = self.is_closed = False

    def write(self, data):
        if not self.is_closed:
            self.written += data

    def pause_reading(self):
        assert not self.is_paused
        self.is_paused = True

    def resume_reading(self):
        assert self.is_paused
        self.is_paused = False

    def close(self):
        self.is_closed = True

    abort = close

    def is_closing(self):
        return self.is_closed

    def get_extra_info(self, name, default=None):
        return default


async def echo(scope, receive, send):
    """Accept, and send each message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        scope["received"].append(message)
        if message["type"] == "websocket.disconnect":
            return
        kind = "text" if message.get("text") is not None else "bytes"
        try:
            await send({"type": "websocket.send", kind: message[kind]})
        except (OSError, RuntimeError):  # a later message closed the connection
            scope["lost"].append(message)


def connected(app, protocol_class=WebsocketProtocol, **options):
    """Return a protocol that runs ``app`` and has received the request of a client."""
    config = Config(
        app, ws_max_size=MAX_BYTES, log_config=None, lifespan="off",
        **({"ws_ping_interval": None, "ws_per_message_deflate": False} | options),
    )  # fmt: skip
    config.load()
    config.loaded_app = app
    protocol, transport = protocol_class(config, ServerState(), {}), Transport()
    protocol.connection_made(transport)
    protocol.data_received(REQUEST)
    return protocol, transport


async def outcome(protocol_class, chunks, before_accept=False):
    """Run an echo app on these chunks of data and return the outcome."""
    received = []

    async def app(scope, receive, send):
        await echo(scope | {"received": received, "lost": []}, receive, send)

    protocol, transport = connected(app, protocol_class)
    if not before_accept:
        await _settle()
    for chunk in chunks:
        for _ in range(1000):
            if not transport.is_paused:
                break
            await asyncio.sleep(0)
        if transport.is_closed:
            break
        protocol.data_received(chunk)
    await _settle()
    is_closed = transport.is_closed
    protocol.connection_lost(None)
    await _settle()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks
    _, _, frames = bytes(transport.written).partition(b"\r\n\r\n")
    messages, pongs = parse_frames(frames)
    *received, code = [m.get("text", m.get("bytes", m.get("code"))) for m in received]
    return ProtocolOutcome(received, code, messages, pongs, is_closed)


async def _settle():
    """Let all tasks run until they wait."""
    for _ in range(300):
        await asyncio.sleep(0)


def parse_frames(data):
    """Return the messages and pongs of a server separately, as their relative order is free."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    messages, pongs = [], []
    while reader.buffer:
        parser = Frame.parse(reader.read_exact, mask=False)
        try:
            next(parser)
        except StopIteration as end:
            frame = end.value
        payload = bytes(frame.data)
        if frame.opcode is Opcode.PONG:
            pongs.append(payload)
        elif frame.opcode is not Opcode.CLOSE:
            messages.append(payload.decode() if frame.opcode is Opcode.TEXT else payload)
    return messages, pongs


def framed(opcode, payload, fin=True, mask=True, rsv1=False):
    """Return a frame, which may break the protocol."""
    n = len(payload)
    size = n if n < 126 else 126 if n < 2**16 else 127
    head = bytes([fin << 7 | rsv1 << 6 | opcode, mask << 7 | size])
    if size > 125:
        head += n.to_bytes(2 if size == 126 else 8, "big")
    return head + MASK + apply_mask(payload, MASK) if mask else head + payload


payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=10).map(str.encode),
    st.sampled_from([125, 126, 127, 65535, 65536, MAX_BYTES]).map(bytes),
)
ordinary = st.one_of(
    st.builds(framed, st.just(Opcode.BINARY), payloads),
    st.builds(framed, st.just(Opcode.TEXT), st.text(max_size=20).map(str.encode)),
)
fragments = st.lists(st.binary(max_size=9), min_size=2, max_size=4).map(
    lambda chunks: b"".join(
        framed(Opcode.BINARY if k == 0 else Opcode.CONT, chunk, fin=k == len(chunks) - 1)
        for k, chunk in enumerate(chunks)
    )
)
control = st.one_of(
    st.builds(framed, st.just(Opcode.PING), st.binary(max_size=9)),
    st.builds(framed, st.just(Opcode.PONG), st.binary(max_size=9)),
    st.sampled_from([1000, 1001, 4000]).map(
        lambda code: framed(Opcode.CLOSE, struct.pack("!H", code) + b"bye")
    ),
)
invalid = st.one_of(
    st.binary(min_size=1, max_size=30),
    st.builds(framed, st.just(Opcode.BINARY), payloads, mask=st.just(False)),
    st.builds(framed, st.just(Opcode.BINARY), payloads, rsv1=st.just(True)),
    # After a fragment of the maximum size, the library refuses even a ping as too large.
    st.builds(
        framed,
        st.sampled_from([Opcode.CONT, Opcode.BINARY]),
        payloads.filter(lambda payload: len(payload) < MAX_BYTES),
        fin=st.just(False),
    ),
    st.just(MAX_BYTES + 1).map(lambda n: framed(Opcode.BINARY, bytes(n))),
    st.just(b"\x89\xfe\x00\x7e" + bytes(4 + 126)),  # a ping that is too long
)
streams = st.lists(st.one_of(ordinary, ordinary, fragments, control, invalid), max_size=12)


@settings(deadline=None, max_examples=300)
@given(frames=streams, cuts=st.lists(st.integers(0, 2**20), max_size=8))
@example(frames=[framed(Opcode.BINARY, b"x")] * 200, cuts=[])
@example(frames=[framed(Opcode.BINARY, b"x" * 50)] * 99, cuts=list(range(0, 5000, 7)))
def test_any_stream_of_bytes_has_the_same_outcome_as_in_the_library(frames, cuts):
    data = b"".join(frames)
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks = [data[a:b] for a, b in itertools.pairwise(bounds)]

    async def both():
        fast = await outcome(WebsocketProtocol, chunks)
        assume(fast.code != 1007)  # after invalid UTF-8, the library continues to read
        library = await outcome(WebSocketsSansIOProtocol, chunks)
        assert fast.is_closed == library.is_closed
        # If an error arrives in one piece with earlier messages, the library discards them. If
        # there are two errors, it may report the second one.
        assert fast.code == library.code or {fast.code, library.code} <= ERRORS
        for a, b in ((fast.received, library.received), (fast.pongs, library.pongs)):
            assert a[: len(b)] == b
            assert fast.code in ERRORS or a == b
        for result in (fast, library):  # the close frame may overtake responses of the app
            assert result.echoed == result.received[: len(result.echoed)]
            assert result.is_closed or result.echoed == result.received

    asyncio.run(both())


class HoldingProtocol(WebsocketProtocol):
    """A protocol whose receiver holds each message that it is offered until another one comes."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.held = None
        self.set_receiver(self)

    def take(self, data):
        if self.held is not None:
            return False
        self.held = data
        return True

    def release(self):
        held, self.held = self.held, None
        if held is not None:
            self.deliver(held)


@settings(deadline=None, max_examples=200)
@given(frames=streams, cuts=st.lists(st.integers(0, 2**20), max_size=8))
def test_no_message_overtakes_one_that_the_receiver_holds(frames, cuts):
    data = b"".join(frames)
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks = [data[a:b] for a, b in itertools.pairwise(bounds)]

    async def both():
        holding = await outcome(HoldingProtocol, chunks)
        plain = await outcome(WebsocketProtocol, chunks)
        assert (holding.received, holding.code) == (plain.received, plain.code)

    asyncio.run(both())


async def test_invalid_utf_8_closes_the_connection_with_1007_and_logs_nothing(caplog):
    data = (
        framed(Opcode.BINARY, b"before") + framed(Opcode.TEXT, b"\x80") + framed(Opcode.PING, b"")
    )
    result = await outcome(WebsocketProtocol, [data])
    assert (result.received, result.code, result.pongs, result.is_closed) == (
        [b"before"],
        1007,
        [],
        True,
    )
    assert not caplog.records


async def test_messages_before_the_app_accepts_are_not_lost():
    frames = b"".join(framed(Opcode.BINARY, bytes([k])) for k in range(40))
    result = await outcome(WebsocketProtocol, [frames[:100], frames[100:]], before_accept=True)
    assert result.received == result.echoed == [bytes([k]) for k in range(40)]


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
        await _settle()
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
    await _settle()
    table = ConnectionTable(ConnectionLimits(send_timeout_s=0.5), lambda: 0.0)
    slot = table.admit(None, closed.append)
    protocol.take_slot(table, slot)
    protocol.pause_writing()
    before = len(transport.written)
    protocol.data_received(framed(Opcode.PING, b"p") * 50)
    assert transport.is_paused
    assert len(transport.written) - before == 3  # one pong
    protocol.resume_writing()
    await _settle()
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
    await _settle()
    protocol.data_received(data)
    assert transport.is_paused
    assert not transport.is_closed
    await _settle()
    assert transport.is_closed
    assert b"too many fragments" in transport.written
    protocol.connection_lost(None)


async def test_incomplete_message_counts_until_it_is_complete():
    protocol, _ = connected(echo_nothing)
    await _settle()
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


async def echo_nothing(scope, receive, send):
    """Accept, and read until the client leaves."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def test_reading_pauses_while_the_app_does_not_take_messages():
    accepted = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await accepted.wait()

    protocol, transport = connected(app)
    await _settle()
    sent = 0
    while not transport.is_paused:
        protocol.data_received(framed(Opcode.BINARY, bytes(30_000)))
        sent += 1
    assert sent == 3
    assert protocol.queue.qsize() == 3
    accepted.set()
    await _settle()


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
    await _settle()
    protocol.data_received(framed(Opcode.BINARY, b"x"))
    await _settle()
    waiting = protocol.queue.qsize()
    protocol.data_received(framed(Opcode.BINARY, b"x") * messages + framed(Opcode.CLOSE, CLOSE))
    await _settle()
    assert transport.is_closed
    assert protocol.queue.qsize() == waiting
    protocol.connection_lost(None)


@pytest.mark.parametrize("uses_library", [False, True])
async def test_close_frame_of_the_client_is_found_behind_messages_that_the_app_did_not_take(
    uses_library,
):
    protocol, transport = connected(close_soon, ws_per_message_deflate=uses_library)
    await _settle()
    protocol.data_received(framed(Opcode.BINARY, b"x") * 40 + framed(Opcode.CLOSE, CLOSE))
    await _settle()
    assert transport.is_closed
    protocol.connection_lost(None)


async def test_messages_after_a_close_frame_are_read_and_discarded():
    protocol, transport = connected(close_soon)
    await _settle()
    protocol.data_received(framed(Opcode.BINARY, b"x"))
    await _settle()
    waiting = protocol.queue.qsize()
    for _ in range(100):
        protocol.data_received(framed(Opcode.BINARY, bytes(30_000)))
        assert not transport.is_paused
    assert protocol.queue.qsize() == waiting
    protocol.connection_lost(None)
