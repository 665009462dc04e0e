"""A bounded FIFO queue for spikes, chunks and decisions.

Waiting and moving are separate operations on purpose. Waiting never holds an item and moving an
item never suspends, so cancellation cannot lose a spike.
"""

import asyncio
from collections import deque
from typing import Final, Generic, Literal, NoReturn, TypeAlias, TypeVar, get_args

from neuroasync.core.copies import cannot_copy
from neuroasync.core.model.checks import check_int
from neuroasync.errors import ClosedError, QueueFullError

__all__ = ["BoundedQueue", "WhenFull", "check_when_full"]

Item = TypeVar("Item")

WhenFull: TypeAlias = Literal["block", "drop-oldest", "drop-newest", "error"]
"""How a full queue treats a new item: its sender waits, the oldest item is dropped to make room,
the new item is dropped, or its sender gets an error."""

_POLICIES: Final = get_args(WhenFull)


class BoundedQueue(Generic[Item]):
    """A bounded FIFO queue, for any number of producers and consumers in one event loop.

    Every item that was sent is counted exactly once: ``sent == accepted + dropped + refused``.

    Args:
        capacity: maximum number of items in the queue, at least 1.
        when_full: how to treat a new item while the queue is full. ``"block"``: :meth:`put` waits
            for room. ``"drop-oldest"``: the oldest item is dropped to make room.
            ``"drop-newest"``: the new item is dropped. ``"error"``: the new item is refused with a
            :class:`~neuroasync.QueueFullError`.

    Attributes:
        capacity: maximum number of items in the queue.
        when_full: how a full queue treats a new item.
        accepted: number of items that are in the queue or were taken from it.
        dropped: number of items that were dropped.
        refused: number of items whose sender got an error.

    Raises:
        ValueError: an argument is invalid.
    """

    __slots__ = ("_closed", "_items", "_waiting", "accepted", "capacity", "dropped", "refused",
                 "when_full")  # fmt: skip

    def __init__(self, capacity: int = 1, when_full: WhenFull = "block") -> None:
        self.capacity = check_int("capacity", capacity, 1, 2**62, ValueError)
        self.when_full = check_when_full(when_full)
        self.accepted = self.dropped = self.refused = 0
        self._items: deque[Item] = deque()
        # In the order in which the tasks began to wait. They are woken in the same order.
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._closed = False

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied, because tasks of an event loop may wait for it."""
        raise cannot_copy(self, "create another, and pass on the items")

    def __len__(self) -> int:
        """Return the number of items in the queue."""
        return len(self._items)

    @property
    def is_closed(self) -> bool:
        """Whether the queue is closed for new items."""
        return self._closed

    @property
    def is_awaited(self) -> bool:
        """Whether a task is waiting for an item or for room."""
        return len(self._waiting) > 0

    @property
    def is_starved(self) -> bool:
        """Whether a task is waiting for an item of this open queue, which is empty."""
        return not self._items and not self._closed and len(self._waiting) > 0

    async def readable(self) -> None:
        """Wait until there is an item.

        Cancellation: safe; no item is held.

        Raises:
            ClosedError: the queue is closed and empty.
        """
        while not self._items:
            if self._closed:
                raise ClosedError("the queue is closed")
            await self._wait()

    async def writable(self) -> None:
        """Wait until there is room.

        Cancellation: safe; no item is held.

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
            The item that was dropped (``item`` or the oldest one), or None.

        Raises:
            QueueFullError: the queue is full, and ``when_full`` is ``"block"`` or ``"error"``;
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
                    f"the queue is full ({self.capacity}); await writable() first, or create it "
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
        """Return the oldest item without removing it.

        Raises:
            ValueError: the queue is empty; await :meth:`readable` first.
        """
        if not self._items:
            raise ValueError("the queue is empty; await readable() first")
        return self._items[0]

    def waiting(self) -> tuple[Item, ...]:
        """Return all items without removing them, the oldest first."""
        return tuple(self._items)

    def pop(self) -> Item:
        """Remove and return the oldest item.

        Raises:
            ValueError: the queue is empty; await :meth:`readable` first.
        """
        item = self.first()
        self._items.popleft()
        self._wake()
        return item

    async def get(self) -> Item:
        """Wait for an item, and remove and return it.

        Cancellation: safe; an item that was not returned is still in the queue.

        Raises:
            ClosedError: the queue is closed and empty.
        """
        await self.readable()
        return self.pop()

    async def put(self, item: Item) -> Item | None:
        """Append ``item``; with ``when_full="block"``, wait for room first.

        Cancellation: safe; the item was not added.

        Returns:
            The item that was dropped (``item`` or the oldest one), or None.

        Raises:
            QueueFullError: the queue is full, and ``when_full`` is ``"error"``.
            ClosedError: the queue is closed.
        """
        if self.when_full == "block":
            await self.writable()
        return self.push(item)

    def __aiter__(self) -> "BoundedQueue[Item]":
        """Return an iterator over the items until the queue is closed."""
        return self

    async def __anext__(self) -> Item:
        """Remove and return the next item. Cancellation: as for :meth:`get`."""
        try:
            return await self.get()
        except ClosedError:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Close the queue for new items; the items in it can still be taken."""
        self._closed = True
        self._wake()

    async def _wait(self) -> None:
        changed = asyncio.get_running_loop().create_future()
        self._waiting[changed] = None
        try:
            await changed
        finally:
            del self._waiting[changed]

    def _wake(self) -> None:
        # All waiting tasks are woken. Each checks its condition again, and may wait again.
        for changed in self._waiting:
            if not changed.done():
                changed.set_result(None)


def check_when_full(when_full: WhenFull) -> WhenFull:
    """Return ``when_full``; raise ValueError unless it is one of the four policies."""
    if when_full not in _POLICIES:
        names = ", ".join(map(repr, _POLICIES))
        raise ValueError(f"`when_full` must be one of {names}, got {when_full!r:.80}")
    return when_full
