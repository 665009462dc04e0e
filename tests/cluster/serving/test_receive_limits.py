"""A gateway closes connections whose messages would take too much of its memory."""

import asyncio

import pytest

from neuroasync.cluster.serving import receive_limits
from neuroasync.cluster.serving.receive_limits import ReceiveLimits
from neuroasync.serve.connection.websocket import GoneError, Socket
from tests.helpers.asgi_client import wait_until

END = {"type": "websocket.disconnect", "code": 1000}


def text(content):
    return {"type": "websocket.receive", "text": content}


class Connection:
    """A connection of a proxy that passes on messages as fast as they arrive."""

    def __init__(self, app):
        self._app = app
        self._arriving = asyncio.Queue()
        self.sent = []
        self.has_left = self.is_sending = False
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.task = None

    def start(self):
        scope = {"type": "websocket", "connection": self}
        self.task = asyncio.create_task(self._app(scope, self._receive, self._send))

    def arrive(self, *messages):
        for message in messages:
            self._arriving.put_nowait(message)

    async def _receive(self):
        message = await self._arriving.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def _send(self, message):
        if self.has_left:
            raise RuntimeError("10.0.0.1")
        self.is_sending = True
        await self.may_send.wait()
        self.sent.append(message)

    @property
    def unread(self):
        return self._arriving.qsize()


class Reader:
    """An app that reads and answers messages once it is allowed to."""

    def __init__(self):
        self.may_read = asyncio.Event()
        self.read = []

    async def __call__(self, scope, receive, send):
        await self.may_read.wait()
        while (message := await receive())["type"] == "websocket.receive":
            self.read.append(message.get("text"))
            await send({"type": "websocket.send", "text": message.get("text")})
        assert await receive() == message
        self.read.append(message["code"])


async def test_messages_pass_in_their_order(no_leaks):
    app = Reader()
    connection = Connection(ReceiveLimits(app, 100))
    connection.start()
    app.may_read.set()
    for content in ("a", "b", "c"):
        connection.arrive(text(content))
        await wait_until(lambda: len(connection.sent) == len(app.read) and not connection.unread)
    connection.arrive(END)
    await connection.task
    assert app.read == ["a", "b", "c", 1000]
    assert [message["text"] for message in connection.sent] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "message", [text("x" * 101), text("ä" * 51), {"type": "websocket.receive", "bytes": b"x" * 101}]
)
async def test_message_that_is_too_large_closes_its_connection_before_it_is_read(message, no_leaks):
    app = Reader()
    connection = Connection(ReceiveLimits(app, 100))
    connection.start()
    connection.arrive(text("x" * 100), message)
    await wait_until(lambda: connection.sent)
    (close,) = connection.sent
    assert (close["type"], close["code"]) == ("websocket.close", 1009)
    assert close["reason"] == "a message must have at most 100 bytes"
    app.may_read.set()
    await connection.task
    assert app.read == [1009]


async def test_connection_with_most_unread_messages_is_closed(monkeypatch, no_leaks):
    monkeypatch.setattr(receive_limits, "_MAX_UNREAD_BYTES", 10_000)
    app = Reader()
    limited = ReceiveLimits(app, 1000)
    slow, flooding = Connection(limited), Connection(limited)
    for connection in (slow, flooding):
        connection.start()
    slow.arrive(*[text(f"slow{k}") for k in range(4)])
    await wait_until(lambda: not slow.unread)
    flooding.arrive(*[text("flooding") for _ in range(100)])
    await wait_until(lambda: flooding.sent)
    assert flooding.sent[0]["code"] == 1013
    assert flooding.unread > 80  # and nothing more is read from it
    app.may_read.set()
    await flooding.task
    assert len(flooding.sent) == 1
    slow.arrive(END)
    await slow.task
    assert app.read.count(1013) == 1
    assert [message["text"] for message in slow.sent] == [f"slow{k}" for k in range(4)]


async def test_limit_holds_for_connections_that_join_one_after_the_other(monkeypatch, no_leaks):
    monkeypatch.setattr(receive_limits, "_MAX_UNREAD_BYTES", 60_000)
    app = Reader()
    limited = ReceiveLimits(app, 1000)
    connections = []
    for number in range(1, 21):
        connection = Connection(limited)
        connection.start()
        connections.append(connection)
        share = 60_000 // number // (100 + 512)
        connection.arrive(*[text("x" * 100) for _ in range(share)])
        await wait_until(lambda: not connections[-1].unread or connections[-1].sent)
    assert [connection for connection in connections if connection.sent]
    app.may_read.set()
    for connection in connections:
        connection.arrive(END)
        await connection.task
    assert app.read.count("x" * 100) * 612 <= 60_000
    # Nothing is counted any more, so that a client may send as much as the limit allows.
    app.may_read.clear()
    last = Connection(limited)
    last.start()
    last.arrive(*[text("x" * 100) for _ in range(98)])
    await wait_until(lambda: not last.unread)
    assert not last.sent
    app.may_read.set()
    last.arrive(END)
    await last.task


async def test_client_that_has_left_keeps_no_memory_that_others_need(monkeypatch, no_leaks):
    monkeypatch.setattr(receive_limits, "_MAX_UNREAD_BYTES", 10_000)
    app = Reader()
    limited = ReceiveLimits(app, 1000)
    left, staying = Connection(limited), Connection(limited)
    for connection in (left, staying):
        connection.start()
    left.arrive(*[text("left") for _ in range(12)], END)
    await wait_until(lambda: not left.unread)
    staying.arrive(*[text("staying") for _ in range(10)])
    await wait_until(lambda: not staying.unread)
    app.may_read.set()
    await left.task
    staying.arrive(END)
    await staying.task
    assert not left.sent
    assert len(staying.sent) == 10


async def test_lost_connection_that_is_closed_does_not_end_another_one(
    monkeypatch, caplog, no_leaks
):
    monkeypatch.setattr(receive_limits, "_MAX_UNREAD_BYTES", 10_000)
    app = Reader()
    limited = ReceiveLimits(app, 1000)
    flooding, slow = Connection(limited), Connection(limited)
    for connection in (flooding, slow):
        connection.start()
    flooding.arrive(*[text("flooding") for _ in range(19)])
    await wait_until(lambda: not flooding.unread)
    flooding.has_left = True
    slow.arrive(*[text(f"slow{k}") for k in range(4)])
    await wait_until(lambda: not slow.unread)
    app.may_read.set()
    await flooding.task
    slow.arrive(END)
    await slow.task
    assert sorted(app.read, key=str) == [1000, 1013, "slow0", "slow1", "slow2", "slow3"]
    assert len(slow.sent) == 4
    assert "10.0.0.1" in caplog.text


async def test_closing_another_connection_survives_the_end_of_the_one_that_caused_it(
    monkeypatch, no_leaks
):
    monkeypatch.setattr(receive_limits, "_MAX_UNREAD_BYTES", 10_000)
    app = Reader()
    limited = ReceiveLimits(app, 1000)
    flooding, ending = Connection(limited), Connection(limited)
    flooding.start()
    flooding.arrive(*[text("flooding") for _ in range(19)])
    await wait_until(lambda: not flooding.unread)
    flooding.may_send.clear()
    ending.start()
    ending.arrive(text("a"), text("b"))
    await wait_until(lambda: flooding.is_sending)
    ending.task.cancel()
    await asyncio.wait((ending.task,))
    flooding.may_send.set()
    await wait_until(lambda: flooding.sent)
    assert flooding.sent[0]["code"] == 1013
    app.may_read.set()
    await flooding.task


async def test_app_is_told_that_an_answer_does_not_reach_a_closed_connection(no_leaks):
    has_begun, may_answer = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        socket = Socket(scope, receive, send, 60)
        assert await socket.receive() == "a"
        has_begun.set()
        await may_answer.wait()
        with pytest.raises(GoneError):
            await socket.send("answer")

    connection = Connection(ReceiveLimits(app, 100))
    connection.start()
    connection.arrive(text("a"))
    await has_begun.wait()
    connection.arrive(text("x" * 101))
    await wait_until(lambda: connection.sent)
    may_answer.set()
    await connection.task
    assert [message["code"] for message in connection.sent] == [1009]


async def test_lost_proxy_ends_the_connection(caplog, no_leaks):
    app = Reader()
    connection = Connection(ReceiveLimits(app, 100))
    connection.start()
    connection.arrive(text("a"), RuntimeError("10.0.0.1"))
    app.may_read.set()
    await connection.task
    assert app.read == ["a", 1006]
    assert "10.0.0.1" in caplog.text
