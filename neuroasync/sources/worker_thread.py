"""Run blocking functions and generators in a thread, beside the event loop."""

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

__all__ = ["ThreadedItems", "run_in_thread"]

Item = TypeVar("Item")


async def run_in_thread(work: Callable[[], Item]) -> Item:
    """Run ``work`` in a thread and return its result.

    Cancellation: the work is done nevertheless. ``asyncio.to_thread`` would drop it if all threads
    are busy.

    Raises:
        Exception: any error of ``work``.
    """
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, work))


class ThreadedItems(Generic[Item]):
    """The items of a blocking generator that runs in a thread.

    Cancellation: safe; the thread continues, and its result is the next item.

    Args:
        start: creates the generator; called in the thread.
    """

    def __init__(self, start: Callable[[], Generator[Item, None, None]]) -> None:
        self._start = start
        self._items: Generator[Item, None, None] | None = None
        self._lock = threading.Lock()
        self._is_over = False
        self._pending: asyncio.Future[Item | None] | None = None

    async def next(self) -> Item | None:
        """Return the next item, or None at the end.

        Cancellation: safe; the thread continues, and the next call returns its item.

        Raises:
            Exception: any error of the generator.
        """
        if self._pending is None:
            self._pending = asyncio.get_running_loop().run_in_executor(None, self._step)
        try:
            item = await asyncio.shield(self._pending)
        except Exception:  # After a CancelledError the item is still pending.
            self._pending = None
            raise
        self._pending = None
        return item

    async def close(self) -> None:
        """Close the generator after the thread has finished its current item.

        Cancellation: the generator is closed nevertheless.
        """
        await run_in_thread(self._end)

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
