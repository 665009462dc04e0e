"""An accepted websocket: receive messages, send responses, and notice that the client has left."""

import asyncio
from typing import Final, Protocol

from starlette.types import Message, Receive, Scope, Send

__all__ = ["RAW_CONNECTION_EXTENSION", "GoneError", "RawConnection", "Receiver", "Socket"]

RAW_CONNECTION_EXTENSION: Final = "neuroasync.raw_connection"
"""Key of a :class:`RawConnection` in the extensions of the ASGI scope. It is present if
``neuroasync serve`` runs the app, and absent under other web servers."""

_MAX_REASON_BYTES: Final = 123
"""The websocket protocol allows 125 bytes in a control frame, of which the close code takes two."""


class Receiver(Protocol):
    """Takes messages before the app receives them, and may hold one of them for a while."""

    def take(self, data: str | bytes) -> bool:
        """Take a message, or return False to leave it to the app.

        It is called only while the app waits for a message.
        """

    def release(self) -> None:
        """Let the app receive the message that is held, if there is one."""


class RawConnection(Protocol):
    """The connection below a websocket, with operations that ASGI does not offer."""

    def abort(self) -> None:
        """Close the connection without waiting for the client."""

    def write(self, data: str | bytes) -> None:
        """Send a message, which requires :attr:`can_write`."""

    def deliver(self, data: str | bytes) -> None:
        """Let the app receive a message that the receiver had taken."""

    def has_left(self) -> bool:
        """Return whether the client has closed the connection, even if data is still unread."""

    @property
    def can_write(self) -> bool:
        """Whether a message can be sent without a wait, and without the websocket library."""

    def set_receiver(self, receiver: Receiver | None) -> None:
        """Offer messages to a receiver first, or no longer.

        The receiver releases a message that it holds before the app receives any other.
        """


class GoneError(Exception):
    """The client has left, or its connection was aborted."""


class Socket:
    """An accepted websocket.

    It speaks ASGI directly, because another layer would cost time for each message.

    Args:
        scope: Scope of the ASGI connection.
        receive: Receive function of the ASGI connection.
        send: Send function of the ASGI connection.
        send_timeout_s: How long a response waits for the client to read, in seconds of the event
            loop's clock.

    Attributes:
        is_slow: Whether the connection was aborted because the client did not read.
        is_blocked: Whether a response waits for the client to read.
    """

    __slots__ = ("_is_closed", "_raw_connection", "_receive", "_send", "_send_timeout_s",
                 "is_blocked", "is_slow")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, send_timeout_s: float) -> None:
        self._receive = receive
        self._send = send
        self._send_timeout_s = send_timeout_s
        extensions = scope.get("extensions") or {}
        self._raw_connection: RawConnection | None = extensions.get(RAW_CONNECTION_EXTENSION)
        self._is_closed = False
        self.is_slow = self.is_blocked = False

    async def receive(self) -> str | bytes:
        """Wait for a message and return it.

        Cancellation: safe. No message is taken.

        Raises:
            GoneError: The connection is closed.
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
        """Send a message. Wait until the client has read enough of the earlier ones.

        Cancellation: safe. The message was sent completely or not at all.

        Raises:
            GoneError: The client has left, or it did not read for ``send_timeout_s`` and the
                connection was aborted.
        """
        raw = self._raw_connection
        # Most messages are sent here, without another coroutine and without a timeout.
        if raw is not None and not self._is_closed and raw.can_write:
            raw.write(data)
            return
        kind = "text" if isinstance(data, str) else "bytes"
        await self._send_message({"type": "websocket.send", kind: data})

    @property
    def can_write(self) -> bool:
        """Whether :meth:`write` can be called."""
        raw = self._raw_connection
        return raw is not None and not self._is_closed and raw.can_write

    def write(self, data: str | bytes) -> None:
        """Send a message without a wait, which requires :attr:`can_write`."""
        if self._raw_connection is not None:
            self._raw_connection.write(data)

    def deliver(self, data: str | bytes) -> None:
        """Let :meth:`receive` return a message that the receiver had taken."""
        if self._raw_connection is not None:
            self._raw_connection.deliver(data)

    def set_receiver(self, receiver: Receiver | None) -> None:
        """Offer messages to a receiver first, if the web server supports it."""
        if self._raw_connection is not None:
            self._raw_connection.set_receiver(receiver)

    async def close(self, code: int, reason: str) -> None:
        """Close the connection with a code and a reason.

        Cancellation: safe. The close frame was sent completely or not at all.

        Raises:
            GoneError: See :meth:`send`.
        """
        # Truncating may split a character, which is then left out.
        short = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
        await self._send_message({"type": "websocket.close", "code": code, "reason": short})
        self._is_closed = True

    def has_left(self) -> bool:
        """Return whether the client has left, as far as the web server tells without reading."""
        return self._raw_connection is not None and self._raw_connection.has_left()

    def abort(self) -> None:
        """Close the connection without waiting for the client, if the web server supports it."""
        self.is_slow = self.is_blocked
        self._is_closed = True
        if self._raw_connection is not None:
            self._raw_connection.abort()

    async def _send_message(self, message: Message) -> None:
        if self._is_closed:
            raise GoneError
        try:
            self.is_blocked = True
            async with asyncio.timeout(self._send_timeout_s):
                await self._send(message)
            self.is_blocked = False
        except TimeoutError:
            self.abort()
            raise GoneError from None
        except (OSError, RuntimeError):  # uvicorn raises RuntimeError once it has closed
            self._is_closed = True
            raise GoneError from None
