"""Count the events of each window of a stream."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Self

import numpy as np

from neuroasync.core.events.spike_train import SpikeTrain

__all__ = ["WindowMeter"]


class WindowMeter:
    """The chunks of ``source``, whose events are counted by windows of equal length.

    Windows are cut at multiples of their length, and the first one contains the first event, as in
    ``session.stream(source, window=f"time({window_us})")``.

    Args:
        source: the chunks of one stream.
        window_us: length of a window, µs.

    Attributes:
        events: number of events so far.
    """

    def __init__(self, source: AsyncIterable[SpikeTrain], window_us: int) -> None:
        self.events = 0
        self._chunks: AsyncIterator[SpikeTrain] = aiter(source)
        self._window_us = window_us
        self._counts: dict[int, int] = {}
        self._next: int | None = None  # position of the next window that is taken

    def __aiter__(self) -> Self:
        """Iterate over the chunks."""
        return self

    async def __anext__(self) -> SpikeTrain:
        """Return the next chunk. Cancellation: as safe as the source is."""
        chunk = await anext(self._chunks)
        windows, counts = np.unique(chunk.t_us // self._window_us, return_counts=True)
        for window, count in zip(windows.tolist(), counts.tolist(), strict=True):
            self._counts[window] = self._counts.get(window, 0) + count
            if self._next is None:
                self._next = window
        self.events += len(chunk)
        return chunk

    def take(self) -> tuple[int, int]:
        """Return the end of the next window, µs, and its number of events so far."""
        window = self._next or 0
        self._next = window + 1
        return (window + 1) * self._window_us, self._counts.pop(window, 0)
