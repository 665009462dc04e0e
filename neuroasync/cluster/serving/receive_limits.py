"""The limits of what websocket clients send, which Ray Serve's proxy does not apply.

The proxy passes messages on as fast as they arrive, so that a client never has to wait and
messages that the app has not read yet are in the memory of the gateway.
"""

import asyncio
import logging
from collections import deque
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with messages that are within the limits."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        inbox = _Inbox(send)
        self._inboxes.add(inbox)
        reading = asyncio.create_task(self._read(receive, inbox))
        try:
            await self._app(scope, inbox.receive, inbox.send)
        finally:
            self._inboxes.discard(inbox)
            reading.cancel()
            await asyncio.wait((reading,))

    async def _read(self, receive: Receive, inbox: "_Inbox") -> None:
        try:
            while not inbox.has_ended:
                await self._add(await receive(), inbox)
        except Exception:
            log.exception("the proxy of a connection was lost")
            inbox.put({"type": "websocket.disconnect", "code": _ABNORMAL}, 0)

    async def _add(self, message: Message, inbox: "_Inbox") -> None:
        size = _size(message)
        if size > self._max_message_bytes:
            reason = f"a message must have at most {self._max_message_bytes} bytes"
            await inbox.close(_TOO_BIG, reason)
            return
        inbox.put(message, size + _BYTES_PER_MESSAGE)
        # Without a connection above its equal share, the sum is within the limit.
        if inbox.unread_bytes * len(self._inboxes) <= _MAX_UNREAD_BYTES:
            return
        if sum(each.unread_bytes for each in self._inboxes) > _MAX_UNREAD_BYTES:
            largest = max(self._inboxes, key=lambda each: each.unread_bytes)
            await largest.close(_TRY_AGAIN_LATER, "too many messages wait; send more slowly")


class _Inbox:
    """The messages of a websocket that the app has not read.

    Attributes:
        unread_bytes: their size.
        has_ended: whether no message follows.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: deque[tuple[Message, int]] = deque()
        self._arrived = asyncio.Event()
        self._is_closed = False
        self.unread_bytes = 0
        self.has_ended = False

    def put(self, message: Message, size: int) -> None:
        """Add a message that has arrived."""
        if not self.has_ended:
            self._messages.append((message, size))
            self.unread_bytes += size
            self.has_ended = message["type"] == "websocket.disconnect"
            self._arrived.set()

    async def receive(self) -> Message:
        """Wait for a message and return it. The one about the end is returned again and again.

        Cancellation: safe; no message is taken.
        """
        await self._arrived.wait()
        if self.has_ended and len(self._messages) == 1:
            return self._messages[0][0]
        message, size = self._messages.popleft()
        self.unread_bytes -= size
        if not self._messages:
            self._arrived.clear()
        return message

    async def send(self, message: Message) -> None:
        """Send a message, unless the connection was closed here.

        Cancellation: that of the web server.
        """
        if not self._is_closed:
            await self._send(message)

    async def close(self, code: int, reason: str) -> None:
        """Forget the messages, and close the connection.

        Cancellation: that of the web server.
        """
        if not self.has_ended:
            self._messages.clear()
            self.unread_bytes = 0
            self.put({"type": "websocket.disconnect", "code": code}, 0)
            self._is_closed = True
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


def _size(message: Message) -> int:
    if message["type"] != "websocket.receive":
        return 0
    text: str | None = message.get("text")
    data: bytes = message["bytes"] if text is None else text.encode()
    return len(data)
