"""Convert timestamps of a device to ascending times of a stream."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits

__all__ = ["Stamps", "ascending"]

_WRAP: Final = 2**32

_JUMP_US: Final = 1_000_000
"""A smaller step back or ahead is no jump of the clock: the device and the arrivals catch up."""


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
    A packet is rejected if its timestamps go back by more than ``tolerance_us``, or if a step from
    one timestamp to the next is more than a second longer than the time between the arrivals.
    If the next packet continues from there, and the step is more than a second, the clock of the
    device has restarted or jumped: the stream then continues at the arrival time, and one packet is
    lost. RFC 3550, appendix A.1, handles sequence numbers of RTP in the same way.

    Args:
        tolerance_us: by how much packets may be out of order, µs.

    Attributes:
        jumps: how often the clock restarted or jumped.
    """

    __slots__ = ("_arrived_us", "_latest", "_offset", "_suspect", "_tolerance_us", "jumps")

    def __init__(self, tolerance_us: int) -> None:
        self.jumps = 0
        self._tolerance_us = tolerance_us
        self._latest: int | None = None  # Latest timestamp of the device, unwrapped.
        self._arrived_us = 0  # Arrival time of the last packet that was accepted.
        self._offset = 0  # Time of the stream minus time of the device.
        self._suspect: tuple[int, int] | None = None  # Timestamp after a jump, and its arrival.

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
        first = int(wide[0])
        if self._latest is None:
            latest, elapsed_us, offset = first, 0, arrived_us - first
        else:
            latest, elapsed_us, offset = self._latest, arrived_us - self._arrived_us, self._offset
        steps = _signed(np.diff(wide))
        since_first = np.concatenate([[0], np.cumsum(steps)])
        behind_us = int((np.maximum.accumulate(since_first) - since_first).max())
        if behind_us > self._tolerance_us or steps.max(initial=0) > elapsed_us + _JUMP_US:
            return None
        # The arrivals tell how often the timestamps have wrapped around during a silence.
        expected = latest + elapsed_us
        begin = expected + int(_signed(np.int64(first - expected)))
        span_us = int(since_first.max())
        is_behind = begin < latest - self._tolerance_us
        if is_behind or begin > expected + _JUMP_US:
            is_jump = not is_behind or begin < latest - _JUMP_US
            if not (is_jump and self._continues_suspect(first, arrived_us)):
                self._suspect = first + span_us, arrived_us
                return None
            offset = max(arrived_us, latest + offset) - begin
            latest = begin
            self.jumps += 1
        if begin + span_us + offset > limits.MAX_TIME_US:
            return None
        self._latest = max(latest, begin + span_us)
        self._arrived_us, self._offset, self._suspect = arrived_us, offset, None
        return ascending(since_first + (begin + offset), latest + offset)

    def _continues_suspect(self, first: int, arrived_us: int) -> bool:
        """Return whether a packet follows the one that was rejected before it."""
        if self._suspect is None:
            return False
        suspect, suspect_us = self._suspect
        step_us = int(_signed(np.int64(first - suspect)))
        return -self._tolerance_us <= step_us <= arrived_us - suspect_us + _JUMP_US


def _signed(difference: NDArray[np.int64] | np.int64) -> NDArray[np.int64]:
    """Return the signed 32-bit difference of two timestamps (the shorter way around)."""
    return np.asarray((difference + _WRAP // 2 & _WRAP - 1) - _WRAP // 2)
