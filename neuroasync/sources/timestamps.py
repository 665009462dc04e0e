"""Convert timestamps of a device to ascending times of a stream."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits

__all__ = ["Stamps", "ascending"]

_WRAP: Final = 2**32

_RESTART_US: Final = 1_000_000
"""Minimum step back in time that counts as a restart of the device. After a smaller step, the
timestamps exceed the latest one again within this time."""


def ascending(t_us: NDArray[np.int64], min_us: int) -> tuple[NDArray[np.int64], int]:
    """Raise times to the maximum of all earlier times and ``min_us``.

    Returns:
        i64[events], ascending, and how many times were changed.
    """
    moved = np.maximum(np.maximum.accumulate(t_us), min_us)
    return moved, int(np.count_nonzero(moved != t_us))


class Stamps:
    """Converter from 32-bit timestamps, which wrap around, to times of one stream.

    The first timestamp is mapped to the time of its arrival; later ones keep their distance to it.
    Timestamps that go back by more than ``tolerance_us`` are rejected. If they go back by more than
    a second and the next packet continues from there, the device has restarted: the stream then
    continues at the arrival time, and one packet is lost. RFC 3550, appendix A.1, handles sequence
    numbers of RTP in the same way.

    Args:
        tolerance_us: by how much packets may be out of order, µs.
    """

    __slots__ = ("_latest", "_offset", "_suspect", "_tolerance_us")

    def __init__(self, tolerance_us: int) -> None:
        self._tolerance_us = tolerance_us
        self._latest: int | None = None  # Latest timestamp of the device, unwrapped.
        self._offset = 0  # Time of the stream minus time of the device.
        self._suspect: int | None = None

    def place(
        self, stamps: NDArray[np.uint32], arrived_us: int
    ) -> tuple[NDArray[np.int64], int] | None:
        """Return the times of the stream for the timestamps of a packet.

        Args:
            stamps: u32[events], at least one timestamp of the device, µs.
            arrived_us: arrival time of the packet in the stream, µs.

        Returns:
            i64[events], ascending, and how many were moved forward; None if the packet is rejected.
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
        min_us = self._latest + self._offset
        self._latest = max(self._latest, begin + span_us)
        return ascending(since_first + (begin + self._offset), min_us)

    def _has_restarted(self, first: int, back_us: int) -> bool:
        if self._suspect is None or back_us <= _RESTART_US:
            return False
        return bool(_signed(first - self._suspect) >= -self._tolerance_us)


def _signed(difference: NDArray[np.int64] | int) -> NDArray[np.int64] | int:
    """Return the signed 32-bit difference of two timestamps (the shorter way around)."""
    return (difference + _WRAP // 2 & _WRAP - 1) - _WRAP // 2
