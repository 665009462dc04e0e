"""Division of a data set into chunks that take about a second."""

from typing import Final

__all__ = ["Chunks"]

_TARGET_S: Final = 1.0
"""Intended time of a chunk, s: long enough that the overhead of a task is small."""

_GROWTH: Final = 16
"""How much larger than a measured chunk the next ones may be."""

_SHRINKAGE: Final = 16
"""How much smaller than the intended size the last chunks may be."""


class Chunks:
    """Divides samples into consecutive chunks, by the times that earlier chunks took.

    The first chunks have one sample. Towards the end chunks become smaller, down to a sixteenth of
    the intended time, so that all workers end at about the same time.

    Args:
        size: number of samples.
        workers: number of workers, at least 1.
    """

    def __init__(self, size: int, workers: int) -> None:
        self._size, self._workers = size, workers
        self._next = 0
        self._chunk = 1

    def take(self) -> range | None:
        """Return the positions of the next samples, or None if none is left."""
        remaining = self._size - self._next
        if not remaining:
            return None
        share = max(-(-remaining // (2 * self._workers)), self._chunk // _SHRINKAGE, 1)
        taken = range(self._next, self._next + min(self._chunk, share, remaining))
        self._next = taken.stop
        return taken

    def measured(self, samples: int, seconds: float) -> None:
        """Adapt the size of the next chunks to the time that a chunk of ``samples`` took, s."""
        fitting = int(samples * _TARGET_S / max(seconds, 1e-9))
        self._chunk = max(1, min(fitting, max(_GROWTH * samples, self._chunk)))
