"""A source that reads structured arrays of events, such as a camera's driver returns."""

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.pixel_grid import PixelGrid, View
from neuroasync.core.events.sensor_array import sensor_pixels, sensor_times
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.time_unit import (
    MAX_EVENTS,
    MIN_EVENTS,
    UserCall,
    warn_of_time_unit,
)
from neuroasync.sources.base import Source
from neuroasync.sources.counts import SourceCounts
from neuroasync.sources.timestamps import ascending
from neuroasync.sources.worker_thread import ThreadedItems

__all__ = ["ArraySource"]

_CHUNK_US: Final = 10_000
"""Longest duration of a chunk, µs."""

_CHUNK_EVENTS: Final = 4096
"""Largest number of events of a chunk. A thread reads them in about 1 ms."""

_LATE_US: Final = 100_000
"""An array that begins earlier than this before the latest event was made by a restarted clock."""

_SILENCE_US: Final = 60_000_000
"""An array that begins later than this after the latest event was made by a clock that jumped."""

_Array: TypeAlias = NDArray[Any]
_Chunk: TypeAlias = tuple[SpikeTrain, SourceCounts]


class ArraySource(Source):
    """The events of structured arrays: of one array, or of each array that a live driver returns.

    The arrays have the fields that :meth:`neuroasync.SpikeTrain.from_events` describes. Times count
    from the first event, and a chunk lasts at most 10 ms and has at most 4096 events. Use
    :class:`~neuroasync.sources.Paced` to replay an array in real time or N times as fast.

    The events of an array are in order of time, and each array continues the one before. If it
    begins up to 0.1 s too early, events are moved forward to the latest time and counted in
    ``counts.late``. If it begins earlier than that, or more than a minute later, the clock of the
    device has restarted or jumped: the stream continues without a gap, and
    ``counts.clock_jumps`` counts it.

    A thread checks and converts the arrays. It also reads a plain iterable, such as a driver that
    waits for events. Closing the source waits for the array that is being read.

    Cancellation: safe for an array and a plain iterable; otherwise as safe as the async iterable.

    Args:
        events: a structured array, or an iterable or async iterable of such arrays.
        shape: input shape of the network: (2, H, W), (1, H, W), (H, W), or (N,) for one row.
        view: the pixels of the sensor that the network sees, with binning; the others are counted
            in ``counts.outside``. None if the network sees all pixels that have events.

    Raises:
        TypeError: ``events`` is neither an array nor an iterable.
        ValueError: ``shape`` has another form.
        EventsError: while reading: an array has other fields or types, its events are not in order
            of time, or ``view`` is None and an event is outside the shape.

    Warns:
        TimeUnitWarning: while reading: the times look like ms or ns.
    """

    def __init__(
        self,
        events: _Array | Iterable[_Array] | AsyncIterable[_Array],
        shape: tuple[int, ...],
        *,
        view: View | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(events, Iterable | AsyncIterable):
            raise TypeError(
                "`events` must be a structured array, or an iterable or async iterable of such "
                f"arrays, got {type(events).__name__}"
            )
        self._events = events
        self._chunker = _Chunker(PixelGrid.of(shape), view)
        self._threaded: ThreadedItems[_Chunk] | None = None
        self._arrays: AsyncIterator[_Array] | None = None
        if isinstance(events, AsyncIterable):
            self._arrays = aiter(events)
        else:
            arrays = [events] if isinstance(events, np.ndarray) else events
            self._threaded = ThreadedItems(lambda: self._read(arrays))

    async def _next(self) -> SpikeTrain | None:
        while self._threaded is None or (item := await self._threaded.next()) is None:
            if self._arrays is None:
                return None
            try:
                array = await anext(self._arrays)
            except StopAsyncIteration:
                return None
            self._threaded = ThreadedItems(partial(self._chunker.chunks, array))
        chunk, counts = item
        self.counts.late += counts.late
        self.counts.outside += counts.outside
        self.counts.clock_jumps += counts.clock_jumps
        return chunk

    def _read(self, arrays: Iterable[_Array]) -> Generator[_Chunk, None, None]:
        iterator = iter(arrays)
        try:
            for array in iterator:
                yield from self._chunker.chunks(array)
        finally:
            if inspect.isgenerator(iterator):
                iterator.close()

    async def _close(self) -> None:
        if self._threaded is not None:
            await self._threaded.close()
        if inspect.isasyncgen(self._arrays):
            await self._arrays.aclose()


class _Chunker:
    """Converter from arrays to chunks of one stream."""

    def __init__(self, grid: PixelGrid, view: View | None) -> None:
        self._grid = grid
        self._view = view
        self._user_call = UserCall.current()
        self._zero_us: int | None = None  # Time of the device at time 0 of the stream.
        self._latest_us = 0
        # Times and pixels of the first events, and the number of events at which their unit is
        # examined next: as early as possible, and again when more events are known.
        self._first_events: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._examined_at = MIN_EVENTS

    def chunks(self, array: _Array) -> Generator[_Chunk, None, None]:
        """Yield the chunks of the next array, each with the counts that it adds."""
        device_us = sensor_times(array)
        if not device_us.size:
            yield SpikeTrain(device_us, device_us), SourceCounts()
            return
        t_us, counts = self._place(device_us)
        start = 0
        while start < t_us.size:
            stop = int(np.searchsorted(t_us, t_us[start] + _CHUNK_US))
            stop = min(stop, start + _CHUNK_EVENTS)
            pixels = sensor_pixels(array[start:stop], self._grid, self._view, start)
            self._examine(device_us[start:stop], pixels.pixel)
            is_seen = pixels.index >= 0
            counts.outside = int(np.count_nonzero(~is_seen))
            yield SpikeTrain(t_us[start:stop][is_seen], pixels.index[is_seen]), counts
            start, counts = stop, SourceCounts()

    def _place(self, device_us: NDArray[np.int64]) -> tuple[NDArray[np.int64], SourceCounts]:
        """Return times of the stream for the times of an array, which has events."""
        counts, first_us = SourceCounts(), int(device_us[0])
        if self._zero_us is None:
            self._zero_us = first_us
        step_us = first_us - self._zero_us - self._latest_us
        if not -_LATE_US <= step_us <= _SILENCE_US:
            counts.clock_jumps = 1
            self._zero_us = first_us - self._latest_us
        t_us, counts.late = ascending(device_us - self._zero_us, self._latest_us)
        self._latest_us = int(t_us[-1])
        return t_us, counts

    def _examine(self, t_us: NDArray[np.int64], pixel: NDArray[np.int64]) -> None:
        """Warn once if the first events have times in an unlikely unit."""
        if self._examined_at > MAX_EVENTS:
            return
        self._first_events.append((t_us, pixel))
        if sum(part.size for part, _ in self._first_events) < self._examined_at:
            return
        times, pixels = (np.concatenate(column) for column in zip(*self._first_events, strict=True))
        self._examined_at *= 2
        is_suspect = warn_of_time_unit(times, pixels, self._user_call)
        if is_suspect or self._examined_at > MAX_EVENTS:
            self._examined_at, self._first_events = MAX_EVENTS + 1, []
