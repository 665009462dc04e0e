"""The limits of what websocket clients send, which Ray Serve's proxy does not apply.

The proxy passes messages on as fast as they arrive, so that a client never has to wait and
messages that the app has not read yet are in the memory of the gateway.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ReceiveLimits"]

log: Final = logging.getLogger("neuroasync.serve")

_MAX_UNREAD_BYTES: Final = 2**28
"""Maximum size of the messages of all clients that the app has not read, 256 MB."""

_BYTES_PER_MESSAGE: Final = 512
"""Memory that a message takes besides its content."""

_ABNORMAL: Final = 1006
_TOO_BIG: Final = 1009
_TRY_AGAIN_LATER: Final = 1013


class ReceiveLimits:
    """A middleware that closes websockets whose clients send too much.

    A message that is too large closes its connection. If all messages that the app has not read are
    too large together, the connection with most of them is closed.

    Args:
        app: the app that gets the other messages.
        max_message_bytes: maximum size of a message.
    """

    def __init__(self, app: ASGIApp, max_message_bytes: int) -> None:
        self._app = app
        self._max_message_bytes = max_message_bytes
        self._inboxes: set[_Inbox] = set()
        self._unread_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with messages that are within the limits."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        inbox = _Inbox(send, self._count)
        self._inboxes.add(inbox)
        reading = asyncio.create_task(self._read(receive, inbox))
        try:
            await self._app(scope, inbox.receive, inbox.send)
        finally:
            self._inboxes.discard(inbox)
            inbox.end()
            reading.cancel()
            await asyncio.wait((reading,))
            if inbox.closing is not None:
                await inbox.closing

    def _count(self, size: int) -> None:
        self._unread_bytes += size

    async def _read(self, receive: Receive, inbox: "_Inbox") -> None:
        try:
            while not inbox.has_ended:
                self._add(await receive(), inbox)
        except Exception:
            log.exception("the proxy of a connection was lost")
            inbox.put({"type": "websocket.disconnect", "code": _ABNORMAL}, 0)

    def _add(self, message: Message, inbox: "_Inbox") -> None:
        size = _size(message)
        if size > self._max_message_bytes:
            reason = f"a message must have at most {self._max_message_bytes} bytes"
            inbox.close(_TOO_BIG, reason)
            return
        inbox.put(message, size)
        if self._unread_bytes > _MAX_UNREAD_BYTES:
            # This is enough, because the largest inbox takes at least as much as this message.
            largest = max(self._inboxes, key=lambda each: each.unread_bytes)
            largest.close(_TRY_AGAIN_LATER, "too many messages wait; send more slowly")


class _Inbox:
    """The messages of a websocket that the app has not read.

    Args:
        send: send function of the connection.
        count: function that is called with each change of ``unread_bytes``.

    Attributes:
        unread_bytes: memory that the messages take.
        has_ended: whether no message follows.
        closing: the task that sends a close frame, or None if the connection was not closed here.
    """

    def __init__(self, send: Send, count: Callable[[int], None]) -> None:
        self._send = send
        self._count = count
        self._messages: deque[tuple[Message, int]] = deque()
        self._arrived = asyncio.Event()
        self.unread_bytes = 0
        self.has_ended = False
        self.closing: asyncio.Task[None] | None = None

    def put(self, message: Message, size: int) -> None:
        """Add a message that has arrived, with the size of its content."""
        if not self.has_ended:
            self.has_ended = message["type"] == "websocket.disconnect"
            taken = 0 if self.has_ended else size + _BYTES_PER_MESSAGE
            self._messages.append((message, taken))
            self._change(taken)
            self._arrived.set()

    async def receive(self) -> Message:
        """Wait for a message and return it. The one about the end is returned again and again.

        Cancellation: safe; no message is taken.
        """
        await self._arrived.wait()
        if self.has_ended and len(self._messages) == 1:
            return self._messages[0][0]
        message, taken = self._messages.popleft()
        self._change(-taken)
        if not self._messages:
            self._arrived.clear()
        return message

    async def send(self, message: Message) -> None:
        """Send a message.

        Cancellation: that of the web server.

        Raises:
            OSError: the connection was closed here.
        """
        if self.closing is not None:
            raise OSError("the connection was closed, because its client sent too much")
        await self._send(message)

    def close(self, code: int, reason: str) -> None:
        """Forget the messages, and close the connection unless its client has left."""
        self._forget()
        if not self.has_ended:
            self.put({"type": "websocket.disconnect", "code": code}, 0)
            # The caller may be another connection, which must not wait or fail for this one.
            self.closing = asyncio.create_task(self._send_close(code, reason))

    def end(self) -> None:
        """Forget the messages, and take no others."""
        self._forget()
        self.has_ended = True

    async def _send_close(self, code: int, reason: str) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception:
            log.exception("a connection whose client sent too much was lost")

    def _forget(self) -> None:
        """Forget the messages, except the one about the end."""
        while self.unread_bytes:
            self._change(-self._messages.popleft()[1])

    def _change(self, size: int) -> None:
        self.unread_bytes += size
        self._count(size)


def _size(message: Message) -> int:
    if message["type"] != "websocket.receive":
        return 0
    text: str | None = message.get("text")
    data: bytes = message["bytes"] if text is None else text.encode()
    return len(data)
