"""Place the events of a recording on one ascending timeline, whatever the camera's clock did.

The clock of a camera may wrap around, restart, or jump when data are lost. Single timestamps may
be damaged. The timeline looks at the step from each event to the next:

- A step between -0.1 s and 2 s is normal. Events behind the latest one are late: they are moved
  forward to its time.
- Any other step begins a segment that is suspect until the following events have been seen.
- If a later segment continues where the clock was before, the events between are damaged: they
  get the latest time before them, and they count as late.
- Otherwise the camera was silent, or its clock jumped. A step forward of up to a minute, which
  later events confirm, is silence and is kept. After any other step, the timeline continues
  without a gap, which counts as a jump.

The result does not depend on how the events are divided into chunks.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["PlacedEvents", "Timeline"]

_LATE_US: Final = 100_000
"""Events of one segment may be out of order by this much. A segment that begins at most this long
before or after the last event that was placed continues the events before the suspect step."""

_STEP_US: Final = 2_000_000
"""A larger step forward is suspect."""

_SILENCE_US: Final = 60_000_000
"""A larger step forward is a jump of the clock: pixels of a camera are noisy, so no camera is
silent for so long."""

_CONFIRMED_US: Final = 10_000
_CONFIRMED_EVENTS: Final = 256
"""A segment that is this long and has this many events is confirmed: damage never looks like it."""

_LOOK_AHEAD: Final = 4096
"""A suspect step is judged after this many events at the latest. Blocks of files are smaller."""

_ASCENDING: Final = 8
"""If this many suspect steps follow one another and all go forward, the events are sparse."""


@dataclass(frozen=True, slots=True)
class PlacedEvents:
    """Times of the events that follow those placed before.

    Attributes:
        t_us: i64[events], times since the first event of the recording, ascending, µs.
        late: number of events that were moved.
        jumps: how often the clock restarted or jumped.
    """

    t_us: NDArray[np.int64]
    late: int
    jumps: int


class Timeline:
    """Converter from times of a camera to times since the first event.

    Args:
        clock_bits: number of bits after which the clock of the camera wraps around, 24 to 64.
    """

    def __init__(self, clock_bits: int) -> None:
        self._clock_bits = clock_bits
        self._held = np.empty(0, np.int64)  # Times of the camera, from a suspect step on.
        self._last: int | None = None  # Time of the camera at the last event that was not damaged.
        self._position_us = 0  # Time of that event on the timeline, before late events are moved.
        self._latest_us = 0

    def place(self, device_us: NDArray[np.int64], *, is_end: bool = False) -> PlacedEvents:
        """Return the times of the events that were held, then of the given ones.

        Args:
            device_us: i64[events], the next times of the camera, µs, modulo its range.
            is_end: whether the recording ends; no event is held then.
        """
        device_us = np.concatenate([self._held, device_us])
        if not device_us.size:
            return PlacedEvents(device_us, 0, 0)
        if self._last is None:
            self._last = int(device_us[0])
        segments = _Segments(device_us, self._steps(self._last, device_us), self._clock_bits)
        done = _Placing(segments, self._last, self._position_us, self._latest_us, is_end)
        self._held = device_us[done.end :].copy()
        self._last, self._position_us = done.last, done.position_us
        self._latest_us = done.latest_us
        times = done.pieces or [np.empty(0, np.int64)]
        return PlacedEvents(np.concatenate(times), done.late, done.jumps)

    def _steps(self, last: int, device_us: NDArray[np.int64]) -> NDArray[np.int64]:
        return _signed(np.diff(device_us, prepend=np.int64(last)), self._clock_bits)


class _Segments:
    """Events, divided at suspect steps.

    Segment 0 continues the events before and may be empty; the others begin with a suspect step.
    """

    def __init__(
        self, device_us: NDArray[np.int64], steps: NDArray[np.int64], clock_bits: int
    ) -> None:
        self.device_us = device_us
        self.clock_bits = clock_bits
        self.steps = steps
        suspect = np.flatnonzero((steps < -_LATE_US) | (steps > _STEP_US))
        self.bounds = np.concatenate([[0], suspect, [steps.size]])
        self.first_us = device_us[suspect]  # Time of the camera at the start of segments 1, 2, ...
        self.is_confirmed = self._confirmed()

    def _confirmed(self) -> NDArray[np.bool_]:
        """Return for each of segments 1, 2, ... whether it is too long to be damage."""
        starts, sizes = self.bounds[1:-1], np.diff(self.bounds[1:])
        if not starts.size:
            return np.empty(0, np.bool_)
        since_start = np.cumsum(self.steps[starts[0] :])
        since_start -= np.repeat(since_start[starts - starts[0]], sizes)
        longest = np.maximum.reduceat(since_start, starts - starts[0])
        is_long = (longest >= _CONFIRMED_US) & (sizes >= _CONFIRMED_EVENTS)
        return is_long | (sizes >= _LOOK_AHEAD)

    def step_from(self, last: int, segment: int) -> int:
        """Return the step from a time of the camera to the start of a segment, µs."""
        step = _signed(self.first_us[segment - 1 : segment] - np.int64(last), self.clock_bits)
        return int(step[0])

    def continues(self, last: int, start: int, stop: int, step_us: int) -> int | None:
        """Return the first segment of ``range(start, stop)`` at most ``step_us`` after ``last``."""
        steps = _signed(self.first_us[start - 1 : stop - 1] - np.int64(last), self.clock_bits)
        found = np.flatnonzero((steps >= -_LATE_US) & (steps <= step_us))
        return start + int(found[0]) if found.size else None


class _Placing:
    """One run over ``segments`` that places all events that can be judged.

    Attributes:
        pieces: times of the events, i64[...] each.
        end: number of events that were placed.
        last, position_us, latest_us: state after these events; see :class:`Timeline`.
        late, jumps: counts.
    """

    def __init__(
        self, segments: _Segments, last: int, position_us: int, latest_us: int, is_end: bool
    ) -> None:
        self.last, self.position_us, self.latest_us = last, position_us, latest_us
        self.pieces: list[NDArray[np.int64]] = []
        self.late = self.jumps = 0
        self._segments, self._is_end = segments, is_end
        self._count = segments.bounds.size - 1
        if segments.bounds[1]:
            self._accept(0, int(segments.steps[0]))
        segment = 1
        while segment < self._count and (end := self._judge(segment)) is not None:
            segment = end
        self.end = int(segments.bounds[segment])

    def _judge(self, segment: int) -> int | None:
        """Place one or more segments.

        Returns:
            The first segment after them, or None if more events are needed to judge ``segment``.
        """
        segments = self._segments
        step = segments.step_from(self.last, segment)
        stop = self._horizon(segment, step)
        if not segments.is_confirmed[segment - 1]:
            # The nearest continuation counts. In a sparse recording, it may be further away.
            back = segments.continues(self.last, segment + 1, stop or self._count, _LATE_US)
            if back is None and stop is not None:
                back = segments.continues(self.last, segment + 1, stop, _STEP_US)
            if back is not None:
                self._skip(segment, back)
                self._accept(back, segments.step_from(self.last, back))
                return back + 1
            if stop is None:
                return None
            if not self._is_real(segment, stop, step):
                step = 0
        if 0 < step <= _SILENCE_US:
            self._accept(segment, step)
        else:
            self.jumps += 1
            self.position_us = self.latest_us
            self._accept(segment, 0)
        return segment + 1

    def _horizon(self, segment: int, step: int) -> int | None:
        """Return the end of the segments that are needed to judge ``segment``.

        None means that more events are needed.
        """
        bounds, confirmed = self._segments.bounds, self._segments.is_confirmed
        stop = int(np.searchsorted(bounds[:-1], bounds[segment] + _LOOK_AHEAD))
        is_known = stop < self._count or self._is_end
        if confirmed[segment - 1 : stop - 1].any():
            stop = segment + int(np.argmax(confirmed[segment - 1 : stop - 1])) + 1
            is_known = True
        if stop - segment >= _ASCENDING and self._ascends(segment, segment + _ASCENDING, step):
            return segment + _ASCENDING
        return stop if is_known else None

    def _ascends(self, segment: int, stop: int, step: int) -> bool:
        """Return whether all suspect steps from ``segment`` on go forward."""
        others = self._segments.steps[self._segments.bounds[segment + 1 : stop]]
        return step > 0 and bool((others > 0).all())

    def _is_real(self, segment: int, stop: int, step: int) -> bool:
        """Return whether later segments confirm a short one.

        They do so if one of them continues it, or if all suspect steps go forward.
        """
        if self._ascends(segment, stop, step):
            return True
        last = int(self._segments.device_us[self._segments.bounds[segment + 1] - 1])
        return self._segments.continues(last, segment + 1, stop, _STEP_US) is not None

    def _accept(self, segment: int, step: int) -> None:
        """Place a segment whose first event is ``step`` after the last event, µs."""
        start, end = self._segments.bounds[segment : segment + 2]
        steps = self._segments.steps[start:end].copy()
        steps[0] = step
        t_us = self.position_us + np.cumsum(steps)
        self.position_us = int(t_us[-1])
        self.last = int(self._segments.device_us[end - 1])
        moved = np.maximum(np.maximum.accumulate(t_us), self.latest_us)
        self.late += int(np.count_nonzero(moved != t_us))
        self.latest_us = int(moved[-1])
        self.pieces.append(moved)

    def _skip(self, segment: int, end: int) -> None:
        """Place damaged segments at the latest time."""
        count = int(self._segments.bounds[end] - self._segments.bounds[segment])
        self.pieces.append(np.full(count, self.latest_us, np.int64))
        self.late += count


def _signed(difference: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Return differences of times of a clock that wraps around after ``bits`` bits.

    Of the two possible differences, the one with the smaller absolute value is returned.
    """
    return (difference << 64 - bits) >> 64 - bits
