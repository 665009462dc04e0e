"""The bounded queue that a population awaits: wait for data and for room, then move.

Waiting and moving are apart on purpose. Whoever waits is empty-handed, so cancellation cannot
lose a spike; whoever moves does not suspend.
"""

import asyncio
import types
from collections import deque
from collections.abc import Generator
from typing import Generic, TypeVar

from neuroasync.errors import ClosedError

__all__ = ["SpikeQueue"]

Item = TypeVar("Item")


class SpikeQueue(Generic[Item]):
    """A bounded first-in, first-out queue with one producer and one consumer.

    Args:
        capacity: most items held, from 1.
        driven: its coroutines are resumed by the scheduler, which knows when there is something
            to do, and not by the event loop. A round trip then costs 0.5 µs instead of 8.
    """

    def __init__(self, capacity: int = 1, *, driven: bool = False) -> None:
        self.capacity = capacity
        self._driven = driven
        self._items: deque[Item] = deque()
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Items held."""
        return len(self._items)

    async def readable(self) -> None:
        """Wait until there is an item.

        Cancellation: safe; nothing is held.

        Raises:
            ClosedError: the queue is closed, and empty.
        """
        while not self._items:
            if self._closed:
                raise ClosedError("the queue is closed")
            await self._wait()

    async def writable(self) -> None:
        """Wait until there is room.

        Cancellation: safe; nothing is held.

        Raises:
            ClosedError: the queue is closed.
        """
        while self._closed or len(self._items) >= self.capacity:
            if self._closed:
                raise ClosedError("the queue is closed")
            await self._wait()

    def push(self, item: Item) -> None:
        """Append ``item``.

        Raises:
            ValueError: there is no room; await :meth:`writable` first.
            ClosedError: the queue is closed.
        """
        if self._closed:
            raise ClosedError("the queue is closed")
        if len(self._items) >= self.capacity:
            raise ValueError(f"the queue is full ({self.capacity}); await writable() first")
        self._items.append(item)
        self._wake()

    def pop(self) -> Item:
        """Take the oldest item.

        Raises:
            ValueError: there is none; await :meth:`readable` first.
        """
        if not self._items:
            raise ValueError("the queue is empty; await readable() first")
        item = self._items.popleft()
        self._wake()
        return item

    async def get(self) -> Item:
        """Wait for an item and take it. Cancellation: safe; what was not returned is still here."""
        await self.readable()
        return self.pop()

    async def put(self, item: Item) -> None:
        """Wait for room and append ``item``. Cancellation: safe; if it raises, nothing was put."""
        await self.writable()
        self.push(item)

    def __aiter__(self) -> "SpikeQueue[Item]":
        """Items until the queue is closed."""
        return self

    async def __anext__(self) -> Item:
        """The next item. Cancellation: as for :meth:`get`."""
        try:
            return await self.get()
        except ClosedError:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Refuse what comes; what is held can still be taken."""
        self._closed = True
        self._wake()

    async def _wait(self) -> None:
        if self._driven:
            await _resumed_by_scheduler()
            return
        changed = asyncio.get_running_loop().create_future()
        self._waiting.add(changed)
        try:
            await changed
        finally:
            self._waiting.discard(changed)

    def _wake(self) -> None:
        for changed in self._waiting:
            if not changed.done():
                changed.set_result(None)


@types.coroutine
def _resumed_by_scheduler() -> Generator[None, None, None]:
    yield
