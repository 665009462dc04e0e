"""A client of the app without sockets: what it sends and gets passes through queues in memory."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.applications import Starlette

from neuroasync import SpikeTrain
from neuroasync.messages import EventMessage, format_events


class RefusedError(Exception):
    """The websocket was denied, with this status."""


class Websocket:
    """One websocket of an app that runs in a task of its own.

    ``stall()`` makes it a client that does not read: sends of the app wait.
    """

    def __init__(self) -> None:
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reads = asyncio.Event()
        self._reads.set()
        self._gone = False
        self.was_cut = False
        self.task: asyncio.Task[None]

    async def _receive(self) -> dict[str, Any]:
        return await self._to_app.get()

    async def _send(self, message: dict[str, Any]) -> None:
        await self._reads.wait()
        if self._gone:
            raise OSError("the client has gone")
        self._from_app.put_nowait(message)

    def cut(self) -> None:
        """The server cuts the connection."""
        self.was_cut = True
        self.vanish()

    def is_full(self) -> bool:
        return not self._reads.is_set()

    def vanish(self) -> None:
        """The client goes without a word."""
        self._gone = True
        self._reads.set()
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def stall(self) -> None:
        self._reads.clear()

    def read_on(self) -> None:
        self._reads.set()

    @property
    def unread_by_app(self) -> int:
        return self._to_app.qsize()

    def send(self, data: str | bytes) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", kind: data})

    def send_sample(self, events: SpikeTrain, *, end: bool = True, binary: bool = False) -> None:
        self.send(format_events(EventMessage(events, end), binary=binary))

    async def receive(self) -> dict[str, Any]:
        """The next answer, or {"close": code, "reason": ...}."""
        async with asyncio.timeout(20):
            message = await self._from_app.get()
        if message["type"] == "websocket.close":
            return {"close": message["code"], "reason": message["reason"]}
        if message.get("text") is not None:
            return json.loads(message["text"])
        return msgspec.msgpack.decode(message["bytes"]) | {"binary": True}

    def received(self) -> list[dict[str, Any]]:
        """Messages of the app that nobody has taken."""
        return [self._from_app.get_nowait() for _ in range(self._from_app.qsize())]


@contextlib.asynccontextmanager
async def connect(
    app: Starlette,
    query: str = "",
    headers: dict[str, str] | None = None,
    path: str = "/stream",
    cuttable: bool = True,
) -> AsyncIterator[Websocket]:
    """A websocket; the client goes at the end of the block, and the app's task must end, too."""
    socket = Websocket()
    scope = {
        "type": "websocket",
        "path": path,
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": ("test", 1),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}}
        | ({"neuroasync.line": socket} if cuttable else {}),
        "app": app,
    }
    socket._to_app.put_nowait({"type": "websocket.connect"})
    socket.task = asyncio.create_task(app(scope, socket._receive, socket._send))
    try:
        first = await socket._from_app.get()
        if first["type"] == "websocket.http.response.start":
            raise RefusedError(first["status"])
        assert first["type"] == "websocket.accept"
        yield socket
    finally:
        socket.vanish()
        async with asyncio.timeout(20):
            await socket.task


async def until(condition: Any, ticks: int = 20_000) -> None:
    """Let the loop run until ``condition()`` is true."""
    for _ in range(ticks):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come")
