"""A websocket as the rest of the server sees it: messages in, answers out, gone or not."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

__all__ = ["CUT_EXTENSION", "GoneError", "Socket"]

CUT_EXTENSION = "neuroasync.cut"
"""Of the ASGI scope: what cuts the connection, where the server of this package runs the app."""


class GoneError(Exception):
    """The client has gone, or was cut off."""


class Socket:
    """An accepted websocket.

    Args:
        websocket: accepted.
        send_timeout_s: how long an answer waits for the client to read, by the loop's clock.

    Attributes:
        is_slow: the client was cut off because it did not read.
    """

    __slots__ = ("_cut", "_receive", "_send", "_send_timeout_s", "_websocket", "is_slow")

    def __init__(self, websocket: WebSocket, send_timeout_s: float) -> None:
        self._websocket = websocket
        self._receive = websocket.receive
        self._send = websocket.send
        self._send_timeout_s = send_timeout_s
        extension: dict[str, Any] = websocket.scope.get("extensions") or {}
        self._cut: Callable[[], None] | None = extension.get(CUT_EXTENSION)
        self.is_slow = False

    @property
    def remote(self) -> str:
        """Address of the client."""
        client = self._websocket.client
        return "" if client is None else f"{client.host}:{client.port}"

    async def receive(self) -> str | bytes:
        """Wait for a message. Cancellation: safe; nothing is taken.

        Raises:
            GoneError: there will be none.
        """
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            raise GoneError
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise GoneError
        text: str | None = message.get("text")
        if text is not None:
            return text
        data: bytes = message["bytes"]
        return data

    async def send(self, data: str | bytes) -> None:
        """Send a message; wait while the client does not read those before.

        Cancellation: safe; the message may have been sent.

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

    async def _sent(self, message: dict[str, Any]) -> None:
        if self.is_slow or self._websocket.application_state is not WebSocketState.CONNECTED:
            raise GoneError
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await self._send(message)
        except TimeoutError:
            self.is_slow = True
            if self._cut is not None:
                self._cut()
            raise GoneError from None
        except (WebSocketDisconnect, OSError):
            raise GoneError from None
