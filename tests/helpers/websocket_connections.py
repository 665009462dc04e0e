"""Websocket connections of an app, whose clients are transports without a socket."""

import asyncio
from typing import NamedTuple

from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader
from websockets.utils import apply_mask

from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol

MAX_BYTES = 70_000
MASK = b"mask"
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
        await settle()
    for chunk in chunks:
        for _ in range(1000):
            if not transport.is_paused:
                break
            await asyncio.sleep(0)
        if transport.is_closed:
            break
        protocol.data_received(chunk)
    await settle()
    is_closed = transport.is_closed
    protocol.connection_lost(None)
    await settle()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks
    _, _, frames = bytes(transport.written).partition(b"\r\n\r\n")
    messages, pongs = parse_frames(frames)
    *received, code = [m.get("text", m.get("bytes", m.get("code"))) for m in received]
    return ProtocolOutcome(received, code, messages, pongs, is_closed)


async def settle():
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


async def echo_nothing(scope, receive, send):
    """Accept, and read until the client leaves."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
