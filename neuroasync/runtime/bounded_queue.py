"""The queue that everything awaits which waits for data; or, if the scheduler resumes it, an inbox.

In the queue, waiting and moving are apart on purpose. Whoever waits is empty-handed, so
cancellation cannot lose a spike; whoever moves does not suspend.
"""

import asyncio
from collections import deque
from typing import Final, Generic, Literal, TypeAlias, TypeVar, get_args

from neuroasync.errors import ClosedError, QueueFullError

__all__ = ["BoundedQueue", "WhenFull", "check_when_full"]

Item = TypeVar("Item")

WhenFull: TypeAlias = Literal["block", "drop-oldest", "drop-newest", "error"]
"""What becomes of an item for which there is no room: its sender waits, the oldest that is held
makes room, it is dropped, or its sender gets an error."""

_WAYS: Final = get_args(WhenFull)


class BoundedQueue(Generic[Item]):
    """A bounded first-in, first-out queue, for any number of producers and consumers of one loop.

    Every item that was sent is counted once: ``sent == accepted + dropped + refused``.

    Args:
        capacity: most items held, from 1.
        when_full: ``"block"``: :meth:`put` waits for room; ``"drop-oldest"``: the oldest item
            held makes room; ``"drop-newest"``: the item is dropped; ``"error"``: it is refused,
            with :class:`~neuroasync.QueueFullError`.

    Attributes:
        capacity: most items held.
        when_full: what becomes of an item for which there is no room.
        accepted: items that were taken, or are held.
        dropped: items that nobody will get.
        refused: items whose sender got an error.

    Raises:
        ValueError: an argument is none of these.
    """

    __slots__ = ("_closed", "_items", "_waiting", "accepted", "capacity", "dropped", "refused",
                 "when_full")  # fmt: skip

    def __init__(self, capacity: int = 1, when_full: WhenFull = "block") -> None:
        if type(capacity) is not int or capacity < 1:
            raise ValueError(f"capacity: {capacity!r:.80}, expected an integer from 1")
        self.capacity = capacity
        self.when_full = check_when_full(when_full)
        self.accepted = self.dropped = self.refused = 0
        self._items: deque[Item] = deque()
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Items held."""
        return len(self._items)

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more items."""
        return self._closed

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for an item, or for room."""
        return len(self._waiting) > 0

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

    def push(self, item: Item) -> Item | None:
        """Append ``item``, without waiting.

        Returns:
            The item that was dropped for want of room, ``item`` or the oldest; None if none was.

        Raises:
            QueueFullError: there is no room, and neither this item nor another may be dropped;
                await :meth:`writable` first.
            ClosedError: the queue is closed.
        """
        if self._closed:
            raise ClosedError("the queue is closed")
        oldest = None
        if len(self._items) >= self.capacity:
            if self.when_full == "drop-newest":
                self.dropped += 1
                return item
            if self.when_full != "drop-oldest":
                self.refused += 1
                raise QueueFullError(
                    f"the queue is full ({self.capacity}); await writable() first, or make it "
                    "with when_full='drop-oldest' or 'drop-newest'"
                )
            oldest = self._items.popleft()
            self.accepted -= 1
            self.dropped += 1
        self._items.append(item)
        self.accepted += 1
        self._wake()
        return oldest

    def first(self) -> Item:
        """The oldest item, which stays.

        Raises:
            ValueError: there is none; await :meth:`readable` first.
        """
        if not self._items:
            raise ValueError("the queue is empty; await readable() first")
        return self._items[0]

    def waiting(self) -> tuple[Item, ...]:
        """What waits to be read, the next first; all of it stays."""
        return tuple(self._items)

    def pop(self) -> Item:
        """Take the oldest item.

        Raises:
            ValueError: there is none; await :meth:`readable` first.
        """
        item = self.first()
        self._items.popleft()
        self._wake()
        return item

    async def get(self) -> Item:
        """Wait for an item and take it. Cancellation: safe; what was not returned is still here."""
        await self.readable()
        return self.pop()

    async def put(self, item: Item) -> Item | None:
        """Append ``item``; wait for room first if the queue is to block.

        Cancellation: safe; if it raises, nothing was put.

        Returns:
            As :meth:`push`.

        Raises:
            QueueFullError: there is no room, and ``when_full`` is ``"error"``.
            ClosedError: the queue is closed.
        """
        if self.when_full == "block":
            await self.writable()
        return self.push(item)

    def __aiter__(self) -> "BoundedQueue[Item]":
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


def check_when_full(when_full: WhenFull) -> WhenFull:
    """Return it, or raise ValueError unless it is one of the four ways."""
    if when_full not in _WAYS:
        raise ValueError(f"when_full: {when_full!r:.80}, expected one of {', '.join(_WAYS)}")
    return when_full
