"""Read a stream in a separate task, so that a slow reader does not delay it."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, NoReturn, Self, TypeVar

from neuroasync.core.copies import cannot_copy
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.errors import ClosedError, QueueFullError
from neuroasync.runtime.bounded_queue import BoundedQueue, WhenFull
from neuroasync.runtime.cancellation import ends_this_task
from neuroasync.runtime.streams.chunks import ChunkIterator
from neuroasync.sources.counts import SourceCounts

__all__ = ["Buffered", "buffered", "buffered_items", "closed_after"]

Item = TypeVar("Item")


class Buffered(Generic[Item]):
    """Items of a stream that a separate task reads ahead. Created by :func:`buffered`.

    Cancellation: safe; no item is taken.

    Attributes:
        counts: counts of the events so far.
    """

    def __init__(self, queue: BoundedQueue[Item], size: Callable[[Item], int]) -> None:
        self.counts = SourceCounts()
        self._queue = queue
        self._size = size
        self._error: BaseException | None = None

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied, because a stream has one reader."""
        raise cannot_copy(self, "create another inside its process")

    def __aiter__(self) -> Self:
        """Iterate over the items until the stream ends."""
        return self

    async def __anext__(self) -> Item:
        """Return the next item.

        Cancellation: safe; no item is taken.

        Raises:
            Exception: the error that ended the stream, once, after the items that preceded it.
        """
        try:
            item = await self._queue.get()
        except ClosedError:
            self.raise_error()
            raise StopAsyncIteration from None
        self.counts.accepted += self._size(item)
        return item

    async def read(self, source: AsyncIterable[Item]) -> None:
        """Read items from ``source`` until it ends or fails; the reader receives the error.

        Cancellation: no further item is read. An item that waits for room in the queue is counted
        as dropped. Items in the queue can still be taken.
        """
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
        except BaseException as error:
            if ends_this_task(error):
                raise
            self._error = error
        finally:
            self._queue.close()

    def raise_error(self) -> None:
        """Raise the error that ended the stream, once."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def drop_rest(self) -> None:
        """Drop the items that were not read, and count them."""
        while len(self._queue):
            self.counts.dropped += self._size(self._queue.pop())


@asynccontextmanager
async def buffered(
    source: AsyncIterable[Events], capacity: int = 64, when_full: WhenFull = "block"
) -> AsyncIterator[Buffered[SpikeTrain]]:
    """Read ``source``, any async iterable of chunks, in a separate task during the block.

    The context manager yields an iterator over the chunks. At most ``capacity`` chunks wait for the
    reader. When the queue is full, ``when_full`` decides: the source waits (``"block"``), the
    oldest or newest chunk is dropped (``"drop-oldest"``, ``"drop-newest"``), or reading ends with
    QueueFullError (``"error"``). ``counts`` reports what was lost.

    The reader receives an error of the source after the chunks that preceded it, or at the end of
    the block if it did not read that far. No task is left behind. An async generator is closed with
    the block; other sources are closed by their owner.

    Cancellation: safe; the reading task is cancelled and has ended when the block is left. Chunks
    that were not read are counted as dropped.

    Raises:
        TypeError: ``source`` is not iterable.
        ValueError: ``capacity`` or ``when_full`` is not valid.
        Exception: the error of the source, if the reader has not received it.
    """
    async with (
        closed_after(source),
        buffered_items(ChunkIterator(source), capacity, when_full, len) as chunks,
    ):
        yield chunks


@asynccontextmanager
async def closed_after(source: object) -> AsyncGenerator[None, None]:
    """Close ``source`` at the end of the block if it is an async generator.

    The caller may have no other reference to a generator, so it could not close it.

    Cancellation: a cancellation of the block closes the generator, too.
    """
    try:
        yield
    finally:
        if inspect.isasyncgen(source):
            await source.aclose()


@asynccontextmanager
async def buffered_items(
    source: AsyncIterable[Item], capacity: int, when_full: WhenFull, size: Callable[[Item], int]
) -> AsyncGenerator[Buffered[Item], None]:
    """Like :func:`buffered` for items of any kind; ``size`` returns how much an item counts.

    Cancellation, errors: as for :func:`buffered`.
    """
    items = Buffered(BoundedQueue[Item](capacity, when_full), size)
    # A task group inside that of a network can lose a cancellation on Python 3.11.
    reader = asyncio.create_task(items.read(source))
    try:
        yield items
    finally:
        await _ended(reader)
        items.drop_rest()
    items.raise_error()


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; a cancellation of this task is raised afterwards."""
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
