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

    def put_nowait(self, item: Any) -> None:
        """Put a message into the queue, behind the one that the receiver holds."""
        if self.receiver is not None:
            self.receiver.release()  # puts its message into this queue
        super().put_nowait(item)
