"""Reads the chunks of a source, one after the other."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Final, Self

import numpy as np

from neuroasync.core.events.spike_train import Events, SpikeTrain, as_train
from neuroasync.errors import EventsError
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.runtime.input.many_events import are_many, is_many, train_of_many
from neuroasync.runtime.input.thread_calls import ThreadCalls

__all__ = ["ChunkIterator"]

_EVENTS_PER_CHUNK: Final = 500
"""Reading a chunk without events takes as long as checking this many events."""


class ChunkIterator:
    """An async iterator over the chunks of a source, which may be async or not.

    Chunks of many events are checked in a thread, and lists are converted in time slices.

    Args:
        source: yields spike trains, or their (t_us, index).
        thread_calls: computations in threads; None for those of this iterator alone.

    Raises:
        TypeError: ``source`` is not iterable.
        EventsError: a chunk is neither a spike train nor (t_us, index).
    """

    # This is a class and not an async generator, because a generator that is left early has to be
    # closed, and this iterator holds nothing that needs closing.
    def __init__(
        self,
        source: AsyncIterable[Events] | Iterable[Events],
        thread_calls: ThreadCalls | None = None,
    ) -> None:
        self._iterator: Iterator[Events] | None = None
        self._async_iterator: AsyncIterator[Events] | None = None
        self._thread_calls = ThreadCalls() if thread_calls is None else thread_calls
        self._taken: Events | None = None  # taken from the source, and not returned yet
        self._events_in_turn = 0
        if isinstance(source, np.ndarray):
            raise TypeError(
                "`source` must be an iterable or async iterable of spike trains, got an array; "
                "neuroasync.sources.ArraySource(array, shape) reads arrays of camera events"
            )
        if isinstance(source, AsyncIterable):
            self._async_iterator = aiter(source)
        elif isinstance(source, Iterable):
            self._iterator = iter(source)
        else:
            raise TypeError(
                "`source` must be an iterable or async iterable of spike trains, got "
                f"{type(source).__name__}; put a single spike train into a list"
            )

    def __aiter__(self) -> Self:
        """Return this iterator."""
        return self

    async def __anext__(self) -> SpikeTrain:
        """Return the next chunk. Cancellation: as safe as the source is."""
        if is_many(self._events_in_turn):
            await self._end_turn()
        if self._taken is None:
            if self._async_iterator is not None:
                self._taken = await anext(self._async_iterator)
            else:
                self._taken = self._take()
        try:
            if are_many(self._taken):
                chunk = await train_of_many(self._taken, self._thread_calls)
            else:
                chunk = as_train(self._taken)
                self._events_in_turn += len(chunk) + _EVENTS_PER_CHUNK
        except Exception:
            self._taken = None
            raise
        self._taken = None
        return chunk

    def taken(self) -> tuple[SpikeTrain, ...]:
        """Return the chunk that is being checked, if there is one and it is valid."""
        try:
            return () if self._taken is None else (as_train(self._taken),)
        except EventsError:
            return ()  # the reader will get the error

    def _take(self) -> Events:
        for chunk in self._iterator or ():
            return chunk
        raise StopAsyncIteration

    async def _end_turn(self) -> None:
        """Let the event loop run, because many events were checked since it ran last."""
        self._events_in_turn = 0
        if (time_slice := TimeSlice.of_running_loop()).is_exhausted():
            await time_slice.wait_turn()
