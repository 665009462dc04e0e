"""Read a stream in a task of its own, so that a slow reader does not hold it up."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, Self, TypeVar

from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.errors import ClosedError, QueueFullError
from neuroasync.runtime.bounded_queue import BoundedQueue, WhenFull
from neuroasync.runtime.streams.stream import ChunkIterator
from neuroasync.sources.counts import SourceCounts

__all__ = ["Buffered", "buffered", "buffered_items", "closed_after"]

Item = TypeVar("Item")


class Buffered(Generic[Item]):
    """Items of a stream that a task reads ahead. Made by :func:`buffered`.

    Cancellation: safe; nothing is taken.

    Attributes:
        counts: what became of the events so far.
    """

    def __init__(self, queue: BoundedQueue[Item], size: Callable[[Item], int]) -> None:
        self.counts = SourceCounts()
        self._queue = queue
        self._size = size
        self._error: Exception | None = None

    def __aiter__(self) -> Self:
        """Items until the stream ends."""
        return self

    async def __anext__(self) -> Item:
        """The next item, or what ended the stream."""
        try:
            item = await self._queue.get()
        except ClosedError:
            self.raise_error()
            raise StopAsyncIteration from None
        self.counts.accepted += self._size(item)
        return item

    async def read(self, source: AsyncIterable[Item]) -> None:
        """Take items from ``source`` until it ends, or fails: the reader gets to know."""
        counts, size = self.counts, self._size
        try:
            async for item in source:
                try:
                    lost = await self._queue.put(item)
                except QueueFullError:
                    counts.refused += size(item)
                    raise
                except asyncio.CancelledError:
                    counts.dropped += size(item)
                    raise
                counts.dropped += 0 if lost is None else size(lost)
        except Exception as error:
            self._error = error
        finally:
            self._queue.close()

    def raise_error(self) -> None:
        """Raise what the stream ended with, once."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def drop_rest(self) -> None:
        """What nobody has taken is dropped."""
        while len(self._queue):
            self.counts.dropped += self._size(self._queue.pop())


@asynccontextmanager
async def buffered(
    source: AsyncIterable[Events], capacity: int = 64, when_full: WhenFull = "block"
) -> AsyncIterator[Buffered[SpikeTrain]]:
    """Read ``source``, any async iterable of parts, in a task of its own while the block lasts.

    Iterate over what it yields. Up to ``capacity`` parts wait for the reader; then ``when_full``
    says what happens: the source waits, too (``"block"``), or the oldest or newest part is
    dropped, or, with ``"error"``, reading ends with QueueFullError. ``counts`` tells.

    What the source raises, the reader gets after the parts that came before it; at the end of the
    block if it did not read so far. No task is left behind. An async generator is closed with the
    block; any other source by who made it.

    Raises:
        ValueError: ``capacity`` or ``when_full`` is not valid.
    """
    async with (
        closed_after(source),
        buffered_items(ChunkIterator(source), capacity, when_full, len) as parts,
    ):
        yield parts


@asynccontextmanager
async def closed_after(source: object) -> AsyncGenerator[None, None]:
    """Close ``source`` at the end if it is an async generator: nobody else may know it."""
    try:
        yield
    finally:
        if inspect.isasyncgen(source):
            await source.aclose()


@asynccontextmanager
async def buffered_items(
    source: AsyncIterable[Item], capacity: int, when_full: WhenFull, size: Callable[[Item], int]
) -> AsyncGenerator[Buffered[Item], None]:
    """As :func:`buffered`, of anything; ``size`` says what an item counts."""
    items = Buffered(BoundedQueue[Item](capacity, when_full), size)
    # No task group: two within each other, this one and a network's, lose cancellations (3.11).
    reader = asyncio.create_task(items.read(source))
    try:
        yield items
    finally:
        await _ended(reader)
        items.drop_rest()
    items.raise_error()


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and see it through; if this one is cancelled meanwhile, so it is then."""
    task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            task.cancel()
    if cancelled is not None:
        raise cancelled
