"""The base class of sources: an async iterator over the chunks of one stream."""

from abc import ABC, abstractmethod
from typing import NoReturn, Self

from neuroasync.core.copies import cannot_copy
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import ClosedError
from neuroasync.sources.counts import SourceCounts

__all__ = ["Source"]


class Source(ABC):
    """An async iterator over the chunks of one stream of events; use it in ``async with``.

    A chunk is a :class:`~neuroasync.SpikeTrain`, possibly without events. Times ascend from chunk
    to chunk. The source opens with the ``async with`` block or when the first chunk is requested.
    It closes with the block or by :meth:`aclose`, and cannot be reopened. Only one task may read it
    at a time.

    Cancellation: safe; a chunk that was not returned is returned by the next call.

    Attributes:
        counts: counts of the events so far.
    """

    def __init__(self) -> None:
        self.counts = SourceCounts()
        self._is_open = False
        self._is_read = False
        self._is_closed = False

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied, because a stream has one reader."""
        raise cannot_copy(self, "create another from the same arguments")

    def __aiter__(self) -> Self:
        """Iterate over the chunks until the stream ends or the source is closed."""
        return self

    async def __anext__(self) -> SpikeTrain:
        """Return the next chunk.

        Cancellation: safe; the next call returns the chunk.

        Raises:
            RuntimeError: another task is reading the source.
        """
        if self._is_closed:
            raise StopAsyncIteration
        if self._is_read:
            raise RuntimeError(
                "another task is reading this source; give each task its own source, or use a queue"
            )
        self._is_read = True
        try:
            await self._ensure_open()
            chunk = None if self._is_closed else await self._next()
        finally:
            self._is_read = False
        if chunk is None:
            raise StopAsyncIteration
        self.counts.accepted += len(chunk)
        return chunk

    async def aclose(self) -> None:
        """Close the source. Closing it again has no effect.

        Cancellation: the source is closed nevertheless, but its resources may be released later.
        """
        if not self._is_closed:
            self._is_closed = True
            if self._is_open:
                await self._close()

    async def __aenter__(self) -> Self:
        """Open the source.

        Cancellation: the source is not open.

        Raises:
            ClosedError: the source was closed, possibly by another task meanwhile.
        """
        if self._is_closed:
            raise ClosedError("the source is closed and cannot be reopened; create a new one")
        await self._ensure_open()
        if self._is_closed:
            raise ClosedError("the source was closed while it was being opened")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the source. Cancellation: as for :meth:`aclose`."""
        await self.aclose()

    async def _ensure_open(self) -> None:
        if not self._is_open:
            await self._open()
            self._is_open = True
            if self._is_closed:  # by another task, which had nothing to close yet
                await self._close()

    async def _open(self) -> None:  # noqa: B027  # Most sources have nothing to open.
        """Acquire the resources of the source; release all of them if that fails."""

    @abstractmethod
    async def _next(self) -> SpikeTrain | None:
        """Return the next chunk, or None at the end of the stream."""

    async def _close(self) -> None:  # noqa: B027
        """Release the resources of the source."""
