"""The messages of a websocket for the app, in the order in which they came."""

import asyncio
from typing import Any

from neuroasync.serve.connection.websocket import Receiver

__all__ = ["MessageQueue"]


class MessageQueue(asyncio.Queue[Any]):
    """A queue that no message enters before the one that the receiver holds.

    The websocket library and uvicorn put messages into the queue in many places, among them the
    message that the client has left.

    Attributes:
        receiver: The receiver of the connection, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.receiver: Receiver | None = None
        self._is_awaited = False

    async def get(self) -> Any:
        """Wait for the next message and return it. Cancellation: safe; no message is taken."""
        self._is_awaited = True
        try:
            return await super().get()
        finally:
            self._is_awaited = False

    def offer(self, data: str | bytes) -> bool:
        """Offer a message to the receiver, if the app waits; return whether it was taken."""
        receiver = self.receiver
        if receiver is None or not self._is_awaited or not self.empty():
            return False
        return receiver.take(data)

    def put_message(self, data: str | bytes) -> None:
        """Put a message into the queue, in the form in which an app receives it."""
        field = "text" if isinstance(data, str) else "bytes"
        self.put_nowait({"type": "websocket.receive", field: data})

    def put_nowait(self, item: Any) -> None:
        """Put a message into the queue, behind the one that the receiver holds."""
        if self.receiver is not None:
            self.receiver.release()  # puts its message into this queue
        super().put_nowait(item)
