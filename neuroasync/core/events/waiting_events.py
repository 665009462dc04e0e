"""The events of a stream that have not been read yet; large chunks are cut only when needed."""

from collections import deque
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.values import Values, joined_values

__all__ = ["PlacedChunk", "WaitingEvents"]

_NONE: Final[NDArray[np.int64]] = np.empty(0, np.int64)


class PlacedChunk(NamedTuple):
    """A chunk, and when its events take part in the stream.

    The times are computed for the events that are taken, so that placing a chunk takes the same
    time for every size. Event number k takes part at ``max(t_us[k] + shift_us, earliest_us)``.

    Attributes:
        train: the chunk, as it arrived.
        start: number of its first event that takes part.
        shift_us: delay of all events, µs.
        earliest_us: events before this time take part at this time, µs.
    """

    train: SpikeTrain
    start: int = 0
    shift_us: int = 0
    earliest_us: int = 0

    def time_us(self, k: int) -> int:
        """Return when event number ``k`` of the chunk takes part, µs."""
        return max(int(self.train.t_us[k]) + self.shift_us, self.earliest_us)

    def times_us(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return when the events from ``start`` to ``stop`` take part, i64[stop - start], µs."""
        t_us = self.train.t_us[start:stop]
        if self.shift_us:
            t_us = t_us + self.shift_us
        if t_us.size and t_us[0] < self.earliest_us:
            t_us = np.maximum(t_us, self.earliest_us)
        return t_us


class WaitingEvents:
    """A queue of events in order of time, which come in chunks and are taken in any number.

    No method but :meth:`all` takes time in proportion to the size of a chunk. A chunk stays in
    memory until its last event has been taken.
    """

    __slots__ = ("_at", "_chunks", "_size")

    def __init__(self) -> None:
        self._chunks: deque[PlacedChunk] = deque()
        self._at = 0  # number of the first waiting event of the first chunk
        self._size = 0

    def __len__(self) -> int:
        """Return the number of events."""
        return self._size

    def append(self, chunk: PlacedChunk) -> None:
        """Append the events of a chunk, which has at least one and follows the events so far."""
        if not self._chunks:
            self._at = chunk.start
        self._chunks.append(chunk)
        self._size += len(chunk.train) - chunk.start

    @property
    def first_us(self) -> int:
        """Time of the first event, µs; there must be one."""
        return self._chunks[0].time_us(self._at)

    def before(self, t_us: int, at_most: int) -> int:
        """Return the number of events before ``t_us``, but not more than ``at_most``."""
        count = 0
        for number, chunk in enumerate(self._chunks):
            at = chunk.start if number else self._at
            times = chunk.train.t_us[at : at + at_most - count]
            found = 0
            if t_us > chunk.earliest_us:
                found = int(times.searchsorted(t_us - chunk.shift_us))
            count += found
            if found < times.size or count == at_most:
                break
        return count

    def times_us(self, count: int) -> NDArray[np.int64]:
        """Return the times of the first ``count`` events, i64[count], µs."""
        return _joined([chunk.times_us(start, stop) for chunk, start, stop in self._parts(count)])

    def take(self, count: int, start_us: int) -> SpikeTrain:
        """Remove the first ``count`` events, and return them with times from ``start_us`` on, µs.

        There must be so many, none of them earlier.
        """
        chunk, at, stop = self._chunks[0], self._at, self._at + count
        if stop <= len(chunk.train):  # the usual case
            train, t_us = chunk.train, chunk.times_us(at, stop) - start_us
            self._remove([(chunk, at, stop)])
            if count == len(train):
                return SpikeTrain.of_checked(t_us, train.index, train.value, train.max_index)
            value = None if train.value is None else train.value[at:stop]
            return SpikeTrain.of_checked(t_us, train.index[at:stop], value)
        parts = self._parts(count)
        t_us = _joined([chunk.times_us(start, stop) for chunk, start, stop in parts]) - start_us
        index = _joined([chunk.train.index[start:stop] for chunk, start, stop in parts])
        value = _values_of(parts)
        self._remove(parts)
        return SpikeTrain.of_checked(t_us, index, value)

    def _remove(self, parts: list[tuple[PlacedChunk, int, int]]) -> None:
        for chunk, start, stop in parts:
            self._at = stop
            self._size -= stop - start
            if stop == len(chunk.train):
                self._chunks.popleft()
                self._at = self._chunks[0].start if self._chunks else 0

    def all(self) -> SpikeTrain:
        """Return all events; they keep waiting."""
        parts = self._parts(self._size)
        index = _joined([chunk.train.index[start:stop] for chunk, start, stop in parts])
        return SpikeTrain(self.times_us(self._size), index, _values_of(parts))

    def _parts(self, count: int) -> list[tuple[PlacedChunk, int, int]]:
        """Return the chunks of the first ``count`` events, each with a first and a last number."""
        parts: list[tuple[PlacedChunk, int, int]] = []
        for chunk in self._chunks:
            if not count:
                break
            at = chunk.start if parts else self._at
            stop = min(at + count, len(chunk.train))
            parts.append((chunk, at, stop))
            count -= stop - at
        return parts


def _values_of(parts: list[tuple[PlacedChunk, int, int]]) -> Values:
    return joined_values(
        (stop - start, None if chunk.train.value is None else chunk.train.value[start:stop])
        for chunk, start, stop in parts
    )


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else _NONE
