"""HTTP connections end when their client is too slow, sends too much or reads nothing."""

import asyncio
import json
import re

import pytest
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


def test_silent_connection_is_closed_without_a_response():
    async def main():
        server = Server(echo, request_timeout_s=20)
        transport = server.connect()
        await server.after(19)
        assert not transport.is_closed
        await server.after(2)
        assert transport.is_closed
        assert not transport.written

    in_loop(main)


@pytest.mark.parametrize(
    "first",
    [b"GET /", b"GET / HTTP/1.1\r\nX: ", POST % 999,
     CHUNKED + b"3e7\r\n",
     HANDSHAKE[:-2]],
    ids=["line", "head", "body", "chunk", "handshake"],
)  # fmt: skip
def test_slow_request_gets_status_408_however_often_its_client_sends_a_byte(first):
    async def main():
        server = Server(echo, request_timeout_s=20)
        transport = server.connect(first)
        for _ in range(19):
            await server.after(1)
            transport.protocol.data_received(b"x")
        assert not transport.is_closed
        await server.after(2)
        assert (statuses(transport), transport.is_closed) == ([408], True)
        assert b"x-content-type-options: nosniff" in transport.written.lower()
        assert server.reasons == ["timeout"]

    in_loop(main)


def test_time_for_a_head_begins_with_its_first_byte_and_ends_with_the_head():
    async def main():
        server = Server(echo, request_timeout_s=5, keep_alive_s=30)
        transport = server.connect(GET % b"a")
        await server.after(28)
        transport.protocol.data_received(b"GET /b")
        await server.after(3)
        transport.protocol.data_received((GET % b"b")[6:])
        await server.after(10)
        assert statuses(transport) == [200, 200]
        assert not transport.is_closed
        await server.after(25)
        assert transport.is_closed
        assert statuses(transport) == [200, 200]

    in_loop(main)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /" + b"a" * 9000, 414),
        (HANDSHAKE.replace(b"GET /", b"GET /" + b"a" * 9000), 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 120 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"a" * 900 + b"\r\n") * 30 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n", 400),
        (CHUNKED + b"zz\r\n", 400),
        (HANDSHAKE.replace(b"Version: 13", b"Version: 8"), 426),
        (HANDSHAKE.replace(b"AAAA==", b"A"), 400),
        (HANDSHAKE.replace(b"GET", b"POST"), 400),
        (HANDSHAKE.replace(b"Host: x", b"Host: x\r\nContent-Length: 5") + b"abcde", 400),
    ],
)  # fmt: skip
def test_wrong_or_large_request_is_refused_at_once_in_json(head, status):
    async def main():
        server = Server(echo)
        transport = server.connect(head)
        await server.after(1)
        assert (statuses(transport), transport.is_closed) == ([status], True)
        head_text, _, body = bytes(transport.written).partition(b"\r\n\r\n")
        assert b"X-Content-Type-Options: nosniff" in head_text
        assert list(json.loads(body)) == ["error"]

    in_loop(main)


def test_endless_headers_and_bodies_are_cut_off():
    async def main():
        server = Server(echo)
        for first, more in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: " + b"a" * 100 + b"\r\n"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"a" * 1000),
            (CHUNKED + b"0\r\nX: ", b"a" * 1000),
            (CHUNKED, b"1\r\na\r\n" * 99),
        ):  # fmt: skip
            transport, sent = server.connect(first), 0
            while not transport.is_closed and sent < 2**24:
                transport.protocol.data_received(more)
                sent += len(more)
            assert sent < 5 * 2**20
            assert statuses(transport)[0] in (413, 431)

    in_loop(main)


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (b"GET http://other.example:80/a?b HTTP/1.1\r\nHost: x\r\n\r\n", b"0 /a other.example:80"),
        (b"GET http://[::1]:80/ HTTP/1.1\r\nHost: x\r\n\r\n", b"0 / "),
        (b"GET /a HTTP/1.0\r\n\r\n", b"0 /a "),
        (b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"0 /a x"),
        (CHUNKED + b"3;a=b\r\nabc\r\n0\r\nT: v\r\n\r\n",
         b"3 / x"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"0 * x"),
    ],
)  # fmt: skip
def test_unusual_but_valid_requests_are_answered(request_bytes, body):
    async def main():
        server = Server(echo)
        transport = server.connect(request_bytes)
        await server.after(1)
        assert statuses(transport) == [200]
        assert body in transport.written

    in_loop(main)


def test_pipelined_requests_are_answered_in_order_up_to_a_limit():
    async def main():
        server = Server(echo)
        transport = server.connect(b"".join(GET % b"%d" % k for k in range(5)))
        await server.after(1)
        assert re.findall(rb"0 /(\d)", bytes(transport.written)) == [b"%d" % k for k in range(5)]
        flood = server.connect(b"".join(GET % b"%d" % k for k in range(500)))
        assert flood.is_closed

    in_loop(main)


def test_client_that_does_not_read_is_cut_off_and_one_that_reads_is_not():
    async def main():
        server = Server(echo, send_timeout_s=10)
        slow, mute = server.connect(), server.connect()
        for transport in (slow, mute):
            transport.is_client_reading = False
            transport.protocol.data_received(GET % b"large")
        await server.after(8)
        slow.read_all()
        await server.after(8)
        assert (slow.is_closed, mute.is_aborted) == (False, True)
        slow.protocol.data_received(GET % b"a")
        await server.after(1)
        assert statuses(slow) == [200, 200]

    in_loop(main)


def test_requests_of_a_client_that_was_cut_off_are_answered_no_further():
    async def main():
        server = Server(echo, send_timeout_s=10)
        mute = server.connect()
        mute.is_client_reading = False
        mute.protocol.data_received(GET % b"large" + GET % b"a" + GET % b"b")
        await server.after(11)
        assert mute.is_aborted
        mute.protocol.connection_lost(None)
        await server.after(1)
        assert statuses(mute) == [200]
        assert not mute.was_written_late

    in_loop(main)


def test_body_after_the_response_is_discarded_for_a_short_time():
    async def main():
        server = Server(echo)
        head = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        patient, endless = server.connect(head), server.connect(head)
        await server.after(1)
        patient.protocol.data_received(b"123456789" + GET % b"next")
        await server.after(3)
        assert statuses(patient) == [200, 200]
        assert (patient.is_closed, endless.is_aborted) == (False, True)

    in_loop(main)


def test_unfinished_bodies_share_a_limit_and_the_oldest_ends():
    async def main():
        server = Server(echo, max_unfinished_bytes=100_000)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
        first = server.connect(head + bytes(50_000))
        second = server.connect(head + bytes(50_000))
        assert (statuses(first), first.is_closed) == ([503], True)
        second.protocol.data_received(bytes(10_000))
        await server.after(1)
        assert statuses(second) == [200]

    in_loop(main)


def test_full_table_closes_silent_connections_before_it_refuses_new_ones():
    async def main():
        server = Server(echo, max_connections=20)
        silent = [server.connect() for _ in range(20)]
        health = server.connect(GET % b"health")
        await server.after(1)
        assert statuses(health) == [200]
        assert [t.is_aborted for t in silent] == [True] + [False] * 19
        sockets = [server.connect(HANDSHAKE) for _ in range(30)]
        await server.after(1)
        assert sum(statuses(t) == [101] for t in sockets) == 18
        assert all(statuses(t) in ([101], [503]) for t in sockets)
        assert statuses(server.connect(GET % b"health")) == []

    in_loop(main)


def test_websocket_keeps_its_slot_until_it_ends():
    async def main():
        server = Server(echo, max_connections=2, request_timeout_s=5)
        transport = server.connect(HANDSHAKE)
        await server.after(60)
        assert statuses(transport) == [101]
        assert (transport.is_closed, len(server.table)) == (False, 1)
        transport.protocol.connection_lost(None)
        assert len(server.table) == 0

    in_loop(main)


def test_ending_server_closes_incomplete_requests_and_answers_complete_ones():
    async def main():
        server = Server(echo)
        body = server.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        silent, complete = server.connect(), server.connect(GET % b"")
        for transport in (body, silent, complete):
            transport.protocol.stop_receiving()
        await server.after(1)
        assert [statuses(t) for t in (body, silent, complete)] == [[503], [], [200]]
        assert (body.is_closed, silent.is_closed) == (True, True)

    in_loop(main)
