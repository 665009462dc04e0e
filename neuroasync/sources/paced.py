"""Hold the parts of any stream back until their time has come."""

import inspect
from collections.abc import AsyncIterable
from typing import Final

import numpy as np

from neuroasync import limits
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.runtime.clock import Clock, check_clock
from neuroasync.runtime.streams.stream import ChunkIterator
from neuroasync.sources.base import Source

__all__ = ["Paced"]

_NONE: Final = np.empty(0, np.int64)


class Paced(Source):
    """The events of ``source``, handed on when the clock reaches their times.

    ``Paced(SpikeFileSource("x.npz"), RealTimeClock(2.0))`` replays a file at twice its speed;
    with ``VirtualClock()`` nothing waits. Event times are the clock's times: its 0 is the
    stream's.

    Parts are cut at multiples of ``every_us``. Each is handed on at the time of its last event, so
    that no event comes before its time, and none more than ``every_us`` after it, unless the
    reader or the source is slow: events that are handed on later than that are counted in
    ``counts.late``.

    Args:
        source: parts whose times ascend. If it is a :class:`~neuroasync.sources.Source`, it is
            opened and closed with this one; an async generator is closed with it.
        clock: what to wait for.
        every_us: longest part, µs; from 1.

    Raises:
        ValueError: ``every_us`` is out of range.
    """

    def __init__(
        self, source: AsyncIterable[Events], clock: Clock, *, every_us: int = 1000
    ) -> None:
        super().__init__()
        if type(every_us) is not int or not 1 <= every_us <= limits.MAX_TIME_US:
            raise ValueError(f"every_us: {every_us!r:.80}, expected an integer from 1")
        self._source = source
        self._parts = ChunkIterator(source)
        self._clock = check_clock(clock)
        self._every_us = every_us
        self._part = SpikeTrain(_NONE, _NONE)
        self._at = 0

    async def _open(self) -> None:
        if isinstance(self._source, Source):
            await self._source._ensure_open()

    async def _next(self) -> SpikeTrain | None:
        while self._at == len(self._part):
            try:
                self._part, self._at = await anext(self._parts), 0
            except StopAsyncIteration:
                return None
        t_us, start = self._part.t_us, self._at
        end_us = int(t_us[start]) // self._every_us * self._every_us + self._every_us
        stop = int(np.searchsorted(t_us, end_us))
        due_us = int(t_us[stop - 1])
        await self._clock.sleep_until(due_us)
        # No await from here on: a cancelled reader finds the part where it was.
        self._at = stop
        if self._clock.now_us() > due_us + self._every_us:
            self.counts.late += stop - start
        return SpikeTrain(t_us[start:stop], self._part.index[start:stop])

    async def _close(self) -> None:
        if isinstance(self._source, Source) or inspect.isasyncgen(self._source):
            await self._source.aclose()
