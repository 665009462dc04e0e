"""Clients of the server app without sockets: messages pass through queues in memory."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
from starlette.applications import Starlette

from neuroasync import Decision, SpikeTrain
from neuroasync.messages import EventMessage, format_events
from neuroasync.serve.connection.websocket import Receiver
from neuroasync.serve.process.message_queue import MessageQueue


class RefusedError(Exception):
    """The server denied the websocket with this status."""


class Websocket:
    """A websocket of an app that runs in its own task.

    After ``stop_reading()``, sends of the app wait until ``resume_reading()``.
    """

    def __init__(self) -> None:
        self._to_app = MessageQueue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._is_reading = asyncio.Event()
        self._is_reading.set()
        self._has_left = False
        self.was_aborted = False
        self._is_awaited = False
        self.task: asyncio.Task[None]

    async def _receive(self) -> dict[str, Any]:
        self._is_awaited = True
        try:
            return await self._to_app.get()
        finally:
            self._is_awaited = False

    async def _send(self, message: dict[str, Any]) -> None:
        await self._is_reading.wait()
        if self._has_left:
            raise OSError("the client has left")
        self._from_app.put_nowait(message)

    def abort(self) -> None:
        """Called by the server, as ``RawConnection.abort``."""
        self.was_aborted = True
        self.disconnect()

    @property
    def can_write(self) -> bool:
        """Read by the server, as ``RawConnection.can_write``."""
        return not self._has_left and self._is_reading.is_set()

    def write(self, data: str | bytes) -> None:
        """Called by the server, as ``RawConnection.write``."""
        assert self.can_write
        kind = "text" if isinstance(data, str) else "bytes"
        self._from_app.put_nowait({"type": "websocket.send", kind: data})

    def set_receiver(self, receiver: Receiver | None) -> None:
        """Called by the server, as ``RawConnection.set_receiver``."""
        self._to_app.receiver = receiver

    def deliver(self, data: str | bytes) -> None:
        """Called by the server, as ``RawConnection.deliver``."""
        kind = "text" if isinstance(data, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", kind: data})

    def has_left(self) -> bool:
        """Called by the server, as ``RawConnection.has_left``."""
        return self._has_left

    def disconnect(self) -> None:
        """Leave without a close frame."""
        self._has_left = True
        self._is_reading.set()
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def vanish(self) -> None:
        """Leave so that the app only notices if it asks, because it reads nothing."""
        self._has_left = True

    def stop_reading(self) -> None:
        self._is_reading.clear()

    def resume_reading(self) -> None:
        self._is_reading.set()

    @property
    def unread_by_app(self) -> int:
        return self._to_app.qsize()

    def send(self, data: str | bytes) -> None:
        receiver = self._to_app.receiver if self._is_awaited and self._to_app.empty() else None
        if receiver is None or not (self.can_write and receiver.take(data)):
            self.deliver(data)

    def put(self, message: dict[str, Any]) -> None:
        """Send a message that the web server does not offer to the receiver."""
        self._to_app.put_nowait(message)

    def send_sample(self, events: SpikeTrain, *, end: bool = True, binary: bool = False) -> None:
        self.send(format_events(EventMessage(events, end), binary=binary))

    async def receive(self) -> dict[str, Any]:
        """Return the next response, or {"close": code, "reason": ...}."""
        async with asyncio.timeout(20):
            return parse_response(await self._from_app.get())

    async def receive_by_sample(self, n: int) -> dict[int, dict[str, Any]]:
        """Return the next ``n`` responses by the numbers of their samples."""
        responses = [await self.receive() for _ in range(n)]
        return {response["sample"]: response for response in responses}


def parse_response(message: dict[str, Any]) -> dict[str, Any]:
    """Return the response in a message of the app, or {"close": code, "reason": ...}."""
    if message["type"] == "websocket.close":
        return {"close": message["code"], "reason": message["reason"]}
    if message.get("text") is not None:
        return json.loads(message["text"])
    return msgspec.msgpack.decode(message["bytes"]) | {"binary": True}


def websocket_scope(
    app: Starlette,
    socket: Websocket,
    query: str = "",
    headers: dict[str, str] | None = None,
    path: str = "/stream",
    can_abort: bool = True,
) -> dict[str, Any]:
    """Return the scope of a websocket, as a web server passes it to the app."""
    return {
        "type": "websocket",
        "path": path,
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": ("test", 1),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}}
        | ({"neuroasync.raw_connection": socket} if can_abort else {}),
        "app": app,
    }


@contextlib.asynccontextmanager
async def connect(
    app: Starlette,
    query: str = "",
    headers: dict[str, str] | None = None,
    path: str = "/stream",
    can_abort: bool = True,
) -> AsyncIterator[Websocket]:
    """Open a websocket. At the end, the client disconnects, and the app's task must end.

    Without ``can_abort``, the app runs as under a web server without the extension for aborting.
    """
    socket = Websocket()
    scope = websocket_scope(app, socket, query, headers, path, can_abort)
    socket._to_app.put_nowait({"type": "websocket.connect"})
    socket.task = asyncio.create_task(app(scope, socket._receive, socket._send))
    try:
        first = await socket._from_app.get()
        if first["type"] == "websocket.http.response.start":
            raise RefusedError(first["status"])
        assert first["type"] == "websocket.accept"
        yield socket
    finally:
        socket.disconnect()
        async with asyncio.timeout(20):
            await socket.task


def http_client(app: Starlette) -> httpx.AsyncClient:
    """Return an HTTP client of the app."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def settle() -> None:
    """Let the reader and the worker of a connection reach their waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def wait_until(condition: Callable[[], bool], ticks: int = 20_000) -> None:
    """Run the event loop until ``condition()`` is true."""
    for _ in range(ticks):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition did not become true")


async def block_and_queue(
    app: Starlette, socket: Websocket, trains: list[SpikeTrain], n: int
) -> None:
    """Block the worker by the response to a first sample, then send ``n`` more samples."""
    socket.stop_reading()
    socket.send_sample(trains[0])
    await wait_until(lambda: app.state.counts.sum("decisions") == 1)
    for k in range(1, n + 1):
        socket.send_sample(trains[k])


def split(train: SpikeTrain, at: tuple[int, ...]) -> list[SpikeTrain]:
    """Split a sample into chunks at these positions."""
    bounds = [0, *at, len(train)]
    return [SpikeTrain(train.t_us[a:b], train.index[a:b]) for a, b in itertools.pairwise(bounds)]


def assert_matches(response: dict[str, Any], decision: Decision) -> None:
    """Check that a response is the final one and reports this decision."""
    assert response["label"] == decision.label
    assert response["votes"] == decision.votes.tolist()
    assert response["spikes"] == decision.total_spikes
    assert response["rounds"] == decision.rounds
    assert response["final"] is True
    assert response["latency_ms"] >= 0
