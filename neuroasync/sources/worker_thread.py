"""Let a thread do what would block the event loop."""

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

__all__ = ["ThreadedItems"]

Item = TypeVar("Item")


class ThreadedItems(Generic[Item]):
    """The items of a blocking generator, each made in a thread while the event loop goes on.

    Cancellation: safe; the thread goes on, and what it makes is the next item.

    Args:
        start: makes the generator, in the thread, too.
    """

    def __init__(self, start: Callable[[], Generator[Item, None, None]]) -> None:
        self._start = start
        self._items: Generator[Item, None, None] | None = None
        self._lock = threading.Lock()
        self._is_over = False
        self._pending: asyncio.Future[Item | None] | None = None

    async def next(self) -> Item | None:
        """The next item; None if there is none left. What the generator raises comes out here."""
        if self._pending is None:
            self._pending = asyncio.get_running_loop().run_in_executor(None, self._step)
        try:
            item = await asyncio.shield(self._pending)
        except Exception:  # not CancelledError: then the item is still to come
            self._pending = None
            raise
        self._pending = None
        return item

    async def close(self) -> None:
        """End the generator, once the thread is through with its item.

        Cancellation: it is ended all the same.
        """
        await asyncio.get_running_loop().run_in_executor(None, self._end)

    def _step(self) -> Item | None:
        with self._lock:
            if self._is_over:
                return None
            if self._items is None:
                self._items = self._start()
            return next(self._items, None)

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            if self._items is not None:
                self._items.close()
