"""One HTTP request to an ASGI app, without a web server: its body, its response, its end."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Exchange"]


async def _at_once() -> None:
    """Do not wait."""


class Exchange:
    """One HTTP request and its response.

    Args:
        path: path of the request, with its query.
        body: chunks of the body of a POST request; None for a GET request.
        headers: further headers.
        wait: awaited before each message in either direction, such as a pause of a slow client.
        leaves_after: number of messages after which the client leaves; None if it stays.

    Attributes:
        status: status of the response; 0 before it begins.
        content: body of the response so far.
        is_complete: whether the response has ended.
        has_left: whether the client has left.
    """

    def __init__(
        self,
        path: str,
        body: list[bytes] | None = None,
        headers: dict[str, str] | None = None,
        *,
        wait: Callable[[], Awaitable[None]] = _at_once,
        leaves_after: int | None = None,
    ) -> None:
        self._path, _, self._query = path.partition("?")
        self._method = "GET" if body is None else "POST"
        self._body = list(body or [b""])
        self._headers = {"host": "localhost", **(headers or {})}
        self._wait = wait
        self._messages_left = leaves_after
        self.status = 0
        self.content = b""
        self.is_complete = False
        self._is_answered = asyncio.Event()

    @property
    def has_left(self) -> bool:
        return self._messages_left == 0

    async def run(self, app: Any) -> None:
        """Let the app answer the request."""
        scope = {
            "type": "http", "http_version": "1.1", "method": self._method, "path": self._path,
            "root_path": "", "query_string": self._query.encode(), "scheme": "http",
            "headers": [(k.lower().encode(), v.encode()) for k, v in self._headers.items()],
            "client": ("test", 1), "server": ("localhost", 80), "extensions": {}, "app": app,
        }  # fmt: skip
        await app(scope, self._receive, self._send)

    def json(self) -> Any:
        """Return the body of the response."""
        return json.loads(self.content)

    async def _receive(self) -> dict[str, Any]:
        await self._wait()
        if self._body and not self._leave():
            chunk = self._body.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._body)}
        if not self.has_left:
            await self._is_answered.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self._wait()
        if self._leave():
            raise OSError("the client has left")
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.content += message.get("body", b"")
            self.is_complete = not message.get("more_body", False)
            if self.is_complete:
                self._is_answered.set()

    def _leave(self) -> bool:
        """Count a message; return whether the client has left."""
        if self._messages_left:
            self._messages_left -= 1
        return self.has_left
