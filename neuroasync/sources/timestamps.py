"""Times of a device as times of a stream: they ascend, whatever the device does."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits

__all__ = ["Stamps", "ascending"]

_WRAP: Final = 2**32

_RESTART_US: Final = 1_000_000
"""What goes back by less heals by itself in that time."""


def ascending(t_us: NDArray[np.int64], least_us: int) -> tuple[NDArray[np.int64], int]:
    """Times, each moved up to the latest before it and to ``least_us``, and how many were moved."""
    moved = np.maximum(np.maximum.accumulate(t_us), least_us)
    return moved, int(np.count_nonzero(moved != t_us))


class Stamps:
    """Turns timestamps of 32 bits, which wrap around, into times of one stream.

    The first is the time of its arrival; all others follow it as the device says. Whatever goes
    back by more than ``tolerance_us`` is refused. If it went back by more than a second, and what
    comes next goes on from there, the device has started anew: the stream goes on with the time
    of its arrival, and one packet is lost (as RFC 3550, appendix A.1, has it for the sequence
    numbers of RTP).

    Args:
        tolerance_us: by how much packets may overtake each other, µs.
    """

    __slots__ = ("_latest", "_offset", "_suspect", "_tolerance_us")

    def __init__(self, tolerance_us: int) -> None:
        self._tolerance_us = tolerance_us
        self._latest: int | None = None  # of the device, unwrapped
        self._offset = 0  # of the stream's time from the device's
        self._suspect: int | None = None

    def place(
        self, stamps: NDArray[np.uint32], arrived_us: int
    ) -> tuple[NDArray[np.int64], int] | None:
        """Times of the stream for a packet's stamps, one or more, which arrived now.

        Returns:
            i64[events], ascending, and how many were moved up for it; None if they are refused.
        """
        wide = stamps.astype(np.int64)
        since_first = np.zeros(wide.size, np.int64)
        np.cumsum(_signed(wide[1:] - wide[:-1]), out=since_first[1:])
        if (np.maximum.accumulate(since_first) - since_first).max() > self._tolerance_us:
            return None
        first, span_us = int(wide[0]), int(since_first.max())
        if self._latest is None:
            self._latest, self._offset = first, arrived_us - first
        begin = self._latest + int(_signed(first - self._latest))
        if begin < self._latest - self._tolerance_us:
            if not self._has_restarted(first, self._latest - begin):
                self._suspect = first + span_us
                return None
            self._offset = max(arrived_us, self._latest + self._offset) - begin
            self._latest = begin
        if begin + span_us + self._offset > limits.MAX_TIME_US:
            return None
        self._suspect = None
        least_us = self._latest + self._offset
        self._latest = max(self._latest, begin + span_us)
        return ascending(since_first + (begin + self._offset), least_us)

    def _has_restarted(self, first: int, back_us: int) -> bool:
        if self._suspect is None or back_us <= _RESTART_US:
            return False
        return bool(_signed(first - self._suspect) >= -self._tolerance_us)


def _signed(difference: NDArray[np.int64] | int) -> NDArray[np.int64] | int:
    """The difference of two stamps, if it is the shorter way around."""
    return (difference + _WRAP // 2 & _WRAP - 1) - _WRAP // 2
