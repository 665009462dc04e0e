"""HTTP connections of one table, whose clients are transports without a socket."""

import asyncio
import re

from uvicorn import Config
from uvicorn.server import ServerState

from neuroasync.serve.process.connection_limits import ConnectionLimits
from neuroasync.serve.process.connection_table import ConnectionTable
from neuroasync.serve.process.http_protocol import HttpProtocol
from neuroasync.serve.process.uvicorn_protocol import WebsocketProtocol
from tests.helpers.clock_loop import run

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Transport:
    """A transport whose client reads, or does not."""

    def __init__(self, protocol, address):
        self.protocol, self.address = protocol, address
        self.written = bytearray()
        self.unread = 0
        self.is_client_reading = True
        self.is_closed = self.is_aborted = self.was_written_late = False
        self._high = 2**16

    def set_write_buffer_limits(self, high=2**16):
        self._high = high

    def get_write_buffer_size(self):
        return self.unread

    def write(self, data):
        if self.is_closed:
            self.was_written_late |= self.is_aborted  # uvloop raises an error
            return
        self.written += data
        if not self.is_client_reading:
            self.unread += len(data)
            if self.unread > self._high:
                self.protocol.pause_writing()

    def read_all(self):
        """Let the client read."""
        self.is_client_reading = True
        self.unread = 0
        self.protocol.resume_writing()

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    def set_protocol(self, protocol):
        self.protocol = protocol

    def get_protocol(self):
        return self.protocol

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_closed = self.is_aborted = True

    def is_closing(self):
        return self.is_closed

    def get_extra_info(self, name, default=None):
        return (self.address, 1) if name == "peername" else default


class Server:
    """The HTTP connections of one table."""

    def __init__(self, app, **limits):
        loop = asyncio.get_running_loop()
        self.reasons = []
        self.table = ConnectionTable(ConnectionLimits(**limits), loop.time, self.reasons.append)
        self._config = Config(
            app, ws=WebsocketProtocol, log_config=None, lifespan="off", ws_ping_interval=None,
            timeout_keep_alive=30,
        )  # fmt: skip
        self._config.load()
        self._config.loaded_app = app
        self._state = ServerState()

    def connect(self, data=b"", address="127.0.0.1"):
        """Return the transport of a new connection that has received some data."""
        protocol = HttpProtocol(
            self.table, config=self._config, server_state=self._state, app_state={}
        )
        transport = Transport(protocol, address)
        protocol.connection_made(transport)
        if data:
            protocol.data_received(data)
        return transport

    async def after(self, seconds):
        """Let time pass. The table looks at its connections every second."""
        for _ in range(int(seconds)):
            await asyncio.sleep(1)
            self.table.close_overdue()
        await asyncio.sleep(0.01)


async def echo(scope, receive, send):
    """Answer with the size of the body; ``/early`` answers before it reads the body."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    size = 0
    while scope["path"] != "/early":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    host = dict(scope["headers"]).get(b"host", b"")
    body = b"%d %s %s" % (size, scope["path"].encode(), host)
    if scope["path"] == "/large":
        body = bytes(100_000)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def statuses(transport):
    """Return the HTTP statuses of all responses."""
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d+)", bytes(transport.written))]


def in_loop(main):
    """Run a coroutine function on a loop with a virtual clock."""
    return run(main())
