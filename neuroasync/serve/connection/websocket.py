"""A websocket as the rest of the server sees it: messages in, answers out, gone or not."""

import asyncio
from typing import Final, Protocol

from starlette.types import Message, Receive, Scope, Send

__all__ = ["LINE_EXTENSION", "GoneError", "RawConnection", "Socket"]

LINE_EXTENSION: Final = "neuroasync.line"
"""Of the ASGI scope: a :class:`RawConnection`, where the server of this package runs the app."""


class RawConnection(Protocol):
    """What is below a websocket, of which ASGI knows nothing."""

    def cut(self) -> None:
        """End the connection, without waiting for anything."""

    def is_full(self) -> bool:
        """Whether an answer would have to wait for the client to read."""


class GoneError(Exception):
    """The client has gone, or was cut off."""


class Socket:
    """An accepted websocket. It speaks ASGI itself: another layer would cost at every message.

    Args:
        scope, receive, send: of ASGI.
        send_timeout_s: how long an answer waits for the client to read, by the loop's clock.

    Attributes:
        is_slow: the client was cut off because it did not read.
        is_blocked: an answer waits for the client to read.
    """

    __slots__ = ("_is_closed", "_line", "_receive", "_send", "_send_timeout_s",
                 "is_blocked", "is_slow")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, send_timeout_s: float) -> None:
        self._receive = receive
        self._send = send
        self._send_timeout_s = send_timeout_s
        self._line: RawConnection | None = (scope.get("extensions") or {}).get(LINE_EXTENSION)
        self._is_closed = False
        self.is_slow = self.is_blocked = False

    async def receive(self) -> str | bytes:
        """Wait for a message. Cancellation: safe; nothing is taken.

        Raises:
            GoneError: there will be none.
        """
        if self._is_closed:
            raise GoneError
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._is_closed = True
            raise GoneError
        text: str | None = message.get("text")
        if text is not None:
            return text
        data: bytes = message["bytes"]
        return data

    async def send(self, data: str | bytes) -> None:
        """Send a message; wait while the client does not read those before.

        Cancellation: safe; the message was sent, or nothing of it.

        Raises:
            GoneError: the client has gone; or it did not read for too long, and is cut off.
        """
        kind = "text" if isinstance(data, str) else "bytes"
        await self._sent({"type": "websocket.send", kind: data})

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye. Cancellation: safe.

        Raises:
            GoneError: as of :meth:`send`.
        """
        # The protocol has 123 bytes for a reason.
        short = reason.encode()[:123].decode(errors="ignore")
        await self._sent({"type": "websocket.close", "code": code, "reason": short})
        self._is_closed = True

    def cut(self) -> None:
        """End the connection without waiting for the client, where the server can."""
        self.is_slow = self.is_blocked
        self._is_closed = True
        if self._line is not None:
            self._line.cut()

    async def _sent(self, message: Message) -> None:
        if self._is_closed:
            raise GoneError
        try:
            if self._line is not None and not self._line.is_full():
                await self._send(message)
            else:
                self.is_blocked = True
                async with asyncio.timeout(self._send_timeout_s):
                    await self._send(message)
                self.is_blocked = False
        except TimeoutError:
            self.cut()
            raise GoneError from None
        except (OSError, RuntimeError):  # the latter by uvicorn itself, after it has closed
            self._is_closed = True
            raise GoneError from None
