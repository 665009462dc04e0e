"""The whole messages of a websocket, on their way to the receiver or to the app."""

import asyncio
import time
from typing import Any, Final, cast

from neuroasync.serve.connection.websocket import ARRIVED_S, Offer, Receiver

__all__ = ["MessageIntake"]

_MAX_MESSAGES_AHEAD: Final = 16
_MAX_BYTES_AHEAD: Final = 2**16
"""Limits for messages that are parsed before the app asks for them. Further data stays unparsed."""


class MessageIntake:
    """Offers messages to the receiver while the app waits for one, and queues them otherwise.

    Args:
        queue: The queue of ASGI messages for the app.

    Attributes:
        receiver: See :class:`~neuroasync.serve.connection.websocket.RawConnection`.
        has_put_off: Whether a message waits for :meth:`offer_again`.
    """

    __slots__ = ("_bytes_ahead", "_is_awaited", "_put_off", "_queue", "receiver")

    def __init__(self, queue: asyncio.Queue[Any]) -> None:
        self._queue = queue
        self._bytes_ahead = 0
        self._is_awaited = False
        self._put_off: tuple[str | bytes, float] | None = None  # and when it arrived
        self.receiver: Receiver | None = None

    @property
    def has_put_off(self) -> bool:
        """Whether a message waits for :meth:`offer_again`."""
        return self._put_off is not None

    @property
    def is_full(self) -> bool:
        """Whether the app is so far behind that no more should be parsed."""
        return self._queue.qsize() >= _MAX_MESSAGES_AHEAD or self._bytes_ahead >= _MAX_BYTES_AHEAD

    def forget_bytes(self) -> None:
        """Stop counting the messages so far, because the app has taken all."""
        self._bytes_ahead = 0

    async def next(self) -> Any:
        """Wait for the next ASGI message for the app. Cancellation: safe."""
        self._is_awaited = True
        try:
            return await self._queue.get()
        finally:
            self._is_awaited = False

    def take(self, message: str | bytes) -> None:
        """Offer a message to the receiver if the app waits for one; otherwise queue it."""
        if self._put_off is not None:
            self.queue_put_off()
        self._offer(message, None)

    def offer_again(self) -> None:
        """Offer again the message that the receiver has put off, if it still waits."""
        put_off, self._put_off = self._put_off, None
        if put_off is not None:
            self._offer(*put_off)

    def queue_put_off(self) -> None:
        """Queue a message that the receiver has put off, before what comes after it."""
        put_off, self._put_off = self._put_off, None
        if put_off is not None:
            self._put(*put_off)

    def _offer(self, message: str | bytes, arrived_s: float | None) -> None:
        """Offer a message; ``arrived_s`` says when it arrived, unless it does so now."""
        offer = Offer.DECLINED
        if self.receiver is not None and self._is_awaited and self._queue.empty():
            offer = self.receiver(message)
        if offer is Offer.PUT_OFF:
            self._put_off = message, time.perf_counter() if arrived_s is None else arrived_s
        elif offer is Offer.DECLINED:
            self._put(message, arrived_s)

    def _put(self, message: str | bytes, arrived_s: float | None) -> None:
        self._bytes_ahead += len(message)
        field = "text" if isinstance(message, str) else "bytes"
        queued: dict[str, Any] = {"type": "websocket.receive", field: message}
        if arrived_s is not None:
            queued[ARRIVED_S] = arrived_s
        self._queue.put_nowait(cast(Any, queued))
