"""The short way of websocket messages comes to the same as the library's."""

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

from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol
from tests.helpers.clock_loop import run

MOST = 70_000
MASK = b"mask"
ERRORS = {1002, 1009}
REQUEST = (
    b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Outcome(NamedTuple):
    """What the app saw, its last message's code, what it echoed; pongs; whether closed."""

    seen: list
    end: int
    echoed: list
    pongs: list
    is_closed: bool


class Transport:
    """Takes what is written, and may be paused."""

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
    """Accept, and send back what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        scope["seen"].append(message)
        if message["type"] == "websocket.disconnect":
            return
        kind = "text" if message.get("text") is not None else "bytes"
        try:
            await send({"type": "websocket.send", kind: message[kind]})
        except (OSError, RuntimeError):  # closed meanwhile, for a message after this one
            scope["lost"].append(message)


def connected(app, protocol_class=WebsocketProtocol, **options):
    """A protocol of ``app`` to which a client has sent its request."""
    config = Config(
        app, ws_max_size=MOST, ws_per_message_deflate=False, log_config=None, lifespan="off",
        **({"ws_ping_interval": None} | options),
    )  # fmt: skip
    config.load()
    config.loaded_app = app
    protocol, transport = protocol_class(config, ServerState(), {}), Transport()
    protocol.connection_made(transport)
    protocol.data_received(REQUEST)
    return protocol, transport


async def outcome(protocol_class, chunks, in_haste=False):
    """What the app sees, what the client gets, and whether the connection is closed."""
    seen = []

    async def app(scope, receive, send):
        await echo(scope | {"seen": seen, "lost": []}, receive, send)

    protocol, transport = connected(app, protocol_class)
    if not in_haste:
        await _rest()
    for chunk in chunks:
        for _ in range(1000):
            if not transport.is_paused:
                break
            await asyncio.sleep(0)
        if transport.is_closed:
            break
        protocol.data_received(chunk)
    await _rest()
    is_closed = transport.is_closed
    protocol.connection_lost(None)
    await _rest()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks
    _, _, frames = bytes(transport.written).partition(b"\r\n\r\n")
    messages, pongs = parsed(frames)
    *seen, end = [m.get("text", m.get("bytes", m.get("code"))) for m in seen]
    return Outcome(seen, end, messages, pongs, is_closed)


async def _rest():
    for _ in range(300):
        await asyncio.sleep(0)


def parsed(data):
    """A server's messages and pongs: their order among each other is free."""
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
    """A frame, right or wrong."""
    n = len(payload)
    size = n if n < 126 else 126 if n < 2**16 else 127
    head = bytes([fin << 7 | rsv1 << 6 | opcode, mask << 7 | size])
    if size > 125:
        head += n.to_bytes(2 if size == 126 else 8, "big")
    return head + MASK + apply_mask(payload, MASK) if mask else head + payload


payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=10).map(str.encode),
    st.sampled_from([125, 126, 127, 65535, 65536, MOST]).map(bytes),
)
usual = st.one_of(
    st.builds(framed, st.just(Opcode.BINARY), payloads),
    st.builds(framed, st.just(Opcode.TEXT), st.text(max_size=20).map(str.encode)),
)
fragments = st.lists(st.binary(max_size=9), min_size=2, max_size=4).map(
    lambda parts: b"".join(
        framed(Opcode.BINARY if k == 0 else Opcode.CONT, part, fin=k == len(parts) - 1)
        for k, part in enumerate(parts)
    )
)
control = st.one_of(
    st.builds(framed, st.just(Opcode.PING), st.binary(max_size=9)),
    st.builds(framed, st.just(Opcode.PONG), st.binary(max_size=9)),
    st.sampled_from([1000, 1001, 4000]).map(
        lambda code: framed(Opcode.CLOSE, struct.pack("!H", code) + b"bye")
    ),
)
wrong = st.one_of(
    st.binary(min_size=1, max_size=30),
    st.builds(framed, st.just(Opcode.BINARY), payloads, mask=st.just(False)),
    st.builds(framed, st.just(Opcode.BINARY), payloads, rsv1=st.just(True)),
    st.builds(framed, st.sampled_from([Opcode.CONT, Opcode.BINARY]), payloads, fin=st.just(False)),
    st.just(MOST + 1).map(lambda n: framed(Opcode.BINARY, bytes(n))),
    st.just(b"\x89\xfe\x00\x7e" + bytes(4 + 126)),  # a ping that is too long
)
streams = st.lists(st.one_of(usual, usual, fragments, control, wrong), max_size=12)


@settings(deadline=None, max_examples=300)
@given(frames=streams, cuts=st.lists(st.integers(0, 2**20), max_size=8))
@example(frames=[framed(Opcode.BINARY, b"x")] * 200, cuts=[])
@example(frames=[framed(Opcode.BINARY, b"x" * 50)] * 99, cuts=list(range(0, 5000, 7)))
def test_every_stream_of_bytes_comes_to_the_same(frames, cuts):
    data = b"".join(frames)
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks = [data[a:b] for a, b in itertools.pairwise(bounds)]

    async def both():
        ours = await outcome(WebsocketProtocol, chunks)
        assume(ours.end != 1007)  # after text that is none, the library goes on reading
        theirs = await outcome(WebSocketsSansIOProtocol, chunks)
        assert ours.is_closed == theirs.is_closed
        # Of what comes in one piece with an error, the library passes over what came before;
        # and of two errors it may tell the second.
        assert ours.end == theirs.end or {ours.end, theirs.end} <= ERRORS
        for ours_, theirs_ in ((ours.seen, theirs.seen), (ours.pongs, theirs.pongs)):
            assert ours_[: len(theirs_)] == theirs_
            assert ours.end in ERRORS or ours_ == theirs_
        for found in (ours, theirs):  # closing may overtake the app's answers
            assert found.echoed == found.seen[: len(found.echoed)]
            assert found.is_closed or found.echoed == found.seen

    asyncio.run(both())


async def test_text_that_is_none_closes_the_connection_with_1007_and_nothing_is_logged(caplog):
    data = (
        framed(Opcode.BINARY, b"before") + framed(Opcode.TEXT, b"\x80") + framed(Opcode.PING, b"")
    )
    found = await outcome(WebsocketProtocol, [data])
    assert (found.seen, found.end, found.pongs, found.is_closed) == ([b"before"], 1007, [], True)
    assert not caplog.records


async def test_what_comes_before_the_app_has_accepted_is_left_to_the_library():
    frames = b"".join(framed(Opcode.BINARY, bytes([k])) for k in range(40))
    found = await outcome(WebsocketProtocol, [frames[:100], frames[100:]], in_haste=True)
    assert found.seen == found.echoed == [bytes([k]) for k in range(40)]


@pytest.mark.parametrize(
    ("heard", "paused", "is_closed"),
    [(False, False, True), (True, False, False), (False, True, False)],
)
def test_a_client_is_given_up_only_if_it_could_have_been_heard(heard, paused, is_closed):
    """What answers a ping may wait behind what has not been read yet."""

    async def main():
        async def app(scope, receive, send):
            await receive()
            await send({"type": "websocket.accept"})
            if not paused:
                await receive()
            await asyncio.sleep(100)

        protocol, transport = connected(app, ws_ping_interval=20.0, ws_ping_timeout=20.0)
        await _rest()
        await asyncio.sleep(30)
        if heard:
            protocol.data_received(framed(Opcode.BINARY, b"x"))
        if paused:
            protocol.data_received(framed(Opcode.BINARY, b"x") * 20)
        await asyncio.sleep(40)
        assert transport.is_closed is is_closed
        protocol.connection_lost(None)
        await asyncio.sleep(100)

    run(main())


async def test_what_a_blocked_app_does_not_read_stays_out_of_memory():
    accepted = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await accepted.wait()

    protocol, transport = connected(app)
    await _rest()
    sent = 0
    while not transport.is_paused:
        protocol.data_received(framed(Opcode.BINARY, bytes(30_000)))
        sent += 1
    assert sent == 3
    assert protocol.queue.qsize() == 3
    accepted.set()
    await _rest()
