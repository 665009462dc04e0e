"""A gateway closes connections whose messages would take too much of its memory."""

import asyncio

import pytest

from neuroasync.cluster.serving import receive_limits
from neuroasync.cluster.serving.receive_limits import ReceiveLimits
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


async def test_lost_proxy_ends_the_connection(caplog, no_leaks):
    app = Reader()
    connection = Connection(ReceiveLimits(app, 100))
    connection.start()
    connection.arrive(text("a"), RuntimeError("10.0.0.1"))
    app.may_read.set()
    await connection.task
    assert app.read == ["a", 1006]
    assert "10.0.0.1" in caplog.text
