"""An accepted websocket: receive messages, send responses, and notice that the client has left."""

import asyncio
import time
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol, TypeAlias

from starlette.types import Message, Receive, Scope, Send

__all__ = [
    "ARRIVED_S",
    "RAW_CONNECTION_EXTENSION",
    "GoneError",
    "Offer",
    "RawConnection",
    "Receiver",
    "Socket",
]

RAW_CONNECTION_EXTENSION: Final = "neuroasync.raw_connection"
"""Key of a :class:`RawConnection` in the extensions of the ASGI scope. It is present if
``neuroasync serve`` runs the app, and absent under other web servers."""

ARRIVED_S: Final = "neuroasync.arrived_s"
"""Key of an ASGI message that a receiver had put off: when it arrived, by ``perf_counter``, s."""

_MAX_REASON_BYTES: Final = 123
"""The websocket protocol allows 125 bytes in a control frame, of which the close code takes two."""


class Offer(Enum):
    """What a receiver does with a message that it is offered."""

    ANSWERED = "it has answered the message"
    DECLINED = "the app gets the message"
    PUT_OFF = "it will call RawConnection.offer_again"


Receiver: TypeAlias = Callable[[str | bytes], Offer]
"""A function that is offered a message."""


class RawConnection(Protocol):
    """The connection below a websocket, with operations that ASGI does not offer."""

    def abort(self) -> None:
        """Close the connection without waiting for the client."""

    def send_nowait(self, data: str | bytes) -> bool:
        """Send a message if that is simple and needs no wait; return whether it was sent."""

    def has_left(self) -> bool:
        """Return whether the client has closed the connection, even if data is still unread."""

    def offer_again(self) -> None:
        """Offer again the message that the receiver has put off, if it still waits."""

    @property
    def has_put_off(self) -> bool:
        """Whether a message waits for :meth:`offer_again`."""

    @property
    def can_send_nowait(self) -> bool:
        """Whether :meth:`send_nowait` would send a message."""

    def set_receiver(self, receiver: Receiver | None) -> None:
        """Offer each message that arrives while the app waits for one to a function.

        A message that it answers does not reach the app. One that it puts off reaches the app if
        anything else arrives before :meth:`offer_again`.
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
        arrived_s: When the latest message arrived, by ``time.perf_counter``, s.
    """

    __slots__ = ("_is_closed", "_raw_connection", "_receive", "_send", "_send_timeout_s",
                 "arrived_s", "is_blocked", "is_slow")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, send_timeout_s: float) -> None:
        self._receive = receive
        self._send = send
        self._send_timeout_s = send_timeout_s
        extensions = scope.get("extensions") or {}
        self._raw_connection: RawConnection | None = extensions.get(RAW_CONNECTION_EXTENSION)
        self._is_closed = False
        self.is_slow = self.is_blocked = False
        self.arrived_s = 0.0

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
        # Latency counts from here, so that delays by the server itself are not hidden.
        self.arrived_s = message.get(ARRIVED_S) or time.perf_counter()
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
        if raw is not None and not self._is_closed and raw.send_nowait(data):
            return
        kind = "text" if isinstance(data, str) else "bytes"
        await self._send_message({"type": "websocket.send", kind: data})

    @property
    def can_send_nowait(self) -> bool:
        """Whether :meth:`send_nowait` can be called."""
        raw = self._raw_connection
        return raw is not None and not self._is_closed and raw.can_send_nowait

    def send_nowait(self, data: str | bytes) -> None:
        """Send a message, which requires :attr:`can_send_nowait`."""
        if self._raw_connection is not None:
            self._raw_connection.send_nowait(data)

    def set_receiver(self, receiver: Receiver | None) -> None:
        """Offer messages to a function while :meth:`receive` waits, if the web server can."""
        if self._raw_connection is not None:
            self._raw_connection.set_receiver(receiver)

    def offer_again(self) -> None:
        """Offer again the message that the receiver has put off, if it still waits."""
        if self._raw_connection is not None:
            self._raw_connection.offer_again()

    @property
    def has_put_off(self) -> bool:
        """Whether a message waits for :meth:`offer_again`."""
        return self._raw_connection is not None and self._raw_connection.has_put_off

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
