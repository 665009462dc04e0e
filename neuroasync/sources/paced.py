"""Delay the chunks of a stream until they are due."""

import inspect
from collections.abc import AsyncIterable
from typing import Final

import numpy as np

from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.runtime.clock import Clock, check_clock
from neuroasync.runtime.streams.chunks import ChunkIterator
from neuroasync.sources.base import Source

__all__ = ["Paced"]

_NONE: Final = np.empty(0, np.int64)


class Paced(Source):
    """The events of ``source``, passed on when the clock reaches their times.

    ``Paced(SpikeFileSource("x.npz"), RealTimeClock(2.0))`` replays a file at twice its speed;
    ``VirtualClock()`` never waits. Event times are times of the clock: time 0 of the clock is time
    0 of the stream.

    Chunks are split at multiples of ``every_us``. Each chunk is passed on at the time of its last
    event. No event arrives before its time, and none more than ``every_us`` after it, unless the
    reader or the source is slow; events that arrive later than that are counted in
    ``counts.late``.

    Args:
        source: chunks whose times ascend. A :class:`~neuroasync.sources.Source` is opened and
            closed together with this source; an async generator is closed together with it.
        clock: the clock that chunks wait for.
        every_us: maximum duration of a chunk, µs or such as ``"1ms"``; at least 1 µs.

    Raises:
        ValueError: ``every_us`` is out of range.
    """

    def __init__(
        self, source: AsyncIterable[Events], clock: Clock, *, every_us: Duration = 1000
    ) -> None:
        super().__init__()
        self._every_us = microseconds(every_us, "every_us", 1)
        self._source = source
        self._chunks = ChunkIterator(source)
        self._clock = check_clock(clock)
        self._chunk = SpikeTrain(_NONE, _NONE)
        self._at = 0

    async def _open(self) -> None:
        if isinstance(self._source, Source):
            await self._source.__aenter__()

    async def _next(self) -> SpikeTrain | None:
        while self._at == len(self._chunk):
            try:
                self._chunk, self._at = await anext(self._chunks), 0
            except StopAsyncIteration:
                return None
        t_us, start = self._chunk.t_us, self._at
        end_us = int(t_us[start]) // self._every_us * self._every_us + self._every_us
        stop = int(np.searchsorted(t_us, end_us))
        due_us = int(t_us[stop - 1])
        await self._clock.sleep_until(due_us)
        # There is no await below, so that a cancelled reader does not lose the chunk.
        self._at = stop
        if self._clock.now_us() > due_us + self._every_us:
            self.counts.late += stop - start
        return self._chunk.part(slice(start, stop))

    async def _close(self) -> None:
        if isinstance(self._source, Source) or inspect.isasyncgen(self._source):
            await self._source.aclose()
