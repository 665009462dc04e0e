"""What all sources have in common: parts of a stream, one after the other, until they end."""

from abc import ABC, abstractmethod
from typing import Self

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import ClosedError
from neuroasync.sources.counts import SourceCounts

__all__ = ["Source"]


class Source(ABC):
    """Parts of one stream of events, as an async iterator; to be used in ``async with``.

    A part is a :class:`~neuroasync.SpikeTrain`, maybe of no events. Its times ascend from part to
    part. The source opens with the block, or with the first part that is asked for, and closes
    with the block or by :meth:`aclose`; it cannot be opened again. It is for one reader at a time.

    Cancellation: safe; a part that was not returned comes next.

    Attributes:
        counts: what became of the events so far.
    """

    def __init__(self) -> None:
        self.counts = SourceCounts()
        self._is_open = False
        self._is_read = False
        self._is_closed = False

    def __aiter__(self) -> Self:
        """Parts until the stream ends, or the source is closed."""
        return self

    async def __anext__(self) -> SpikeTrain:
        """The next part. Raises RuntimeError if another task waits for it."""
        if self._is_closed:
            raise StopAsyncIteration
        if self._is_read:
            raise RuntimeError("another task reads the source; use one source each, or one queue")
        self._is_read = True
        try:
            await self._ensure_open()
            part = await self._next()
        finally:
            self._is_read = False
        if part is None:
            raise StopAsyncIteration
        self.counts.accepted += len(part)
        return part

    async def aclose(self) -> None:
        """Close the source. More than once does nothing."""
        if not self._is_closed:
            self._is_closed = True
            if self._is_open:
                await self._close()

    async def __aenter__(self) -> Self:
        """Open it. Raises ClosedError if it was closed."""
        if self._is_closed:
            raise ClosedError("the source is closed; make another")
        await self._ensure_open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.aclose()

    async def _ensure_open(self) -> None:
        if not self._is_open:
            await self._open()
            self._is_open = True

    async def _open(self) -> None:  # noqa: B027  # most have nothing to do
        """Take hold of what the stream comes from; leave nothing behind if that fails."""

    @abstractmethod
    async def _next(self) -> SpikeTrain | None:
        """The next part, or None if the stream has ended."""

    async def _close(self) -> None:  # noqa: B027
        """Let go of it."""
