"""Divides a stream of events into segments; windows group the segments into samples."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.waiting_events import PlacedChunk, WaitingEvents
from neuroasync.core.events.window import Window, check_whole
from neuroasync.core.model.checks import must_be
from neuroasync.errors import EventsError, LimitError

__all__ = ["NEVER", "Segment", "Segmenter", "SegmenterState"]

NEVER: Final = limits.MAX_TIME_US + 1
"""A time later than any event, µs."""

_NO_EVENTS: Final = SpikeTrain([], [])

_MAX_EVENTS: Final = 16_384
"""Largest number of events of a segment; this bounds the time of a call."""


class Segment(NamedTuple):
    """A step of the current sample: send events, advance the time, then possibly end the sample.

    Attributes:
        start_us: time 0 of the sample in the stream's time, µs.
        events: events to send, with times relative to ``start_us``.
        reached_us: time of the sample to advance to, because no earlier event will come; None if
            that is not known.
        ends: whether the sample is complete after this segment.
        duration_us: length of the sample if it is complete; None if it ends with its last event.
    """

    start_us: int
    events: SpikeTrain
    reached_us: int | None = None
    ends: bool = False
    duration_us: int | None = None


@dataclass(frozen=True, slots=True)
class SegmenterState:
    """The state of a segmenter between two segments. All times are times of the stream.

    Attributes:
        start_us: time 0 of the current sample, µs; -1 if there is none.
        last_us: time of the last event that was fed, µs; -1 if there was none.
        count: number of events of the current sample so far.
        latest_us: time of the latest of these events, µs.
        reached_us: time that the current sample has advanced to, µs.
        waiting: events that were fed and are not in a segment yet.
    """

    start_us: int
    last_us: int
    count: int
    latest_us: int
    reached_us: int
    waiting: SpikeTrain


class Segmenter:
    """Divides a stream of events into segments.

    Args:
        window: the rule that says where a sample ends.
        timestep_us: timestep of the network, µs; 0 if it is fully event-driven.
        carry_state: whether the network keeps running from window to window.

    Raises:
        ValueError: windows carry state, and ``window`` does not consist of whole timesteps.

    Attributes:
        window: the rule that says where a sample ends.
        last_us: time of the last event that was fed, µs; -1 if there was none.
        start_us: time 0 of the current sample in the stream's time, µs; None if there is none.
        passed_us: stream time before which a clock has already run all passes, µs.
    """

    def __init__(self, window: Window, timestep_us: int, carry_state: bool = False) -> None:
        if carry_state:
            check_whole(window, timestep_us)
        self.last_us = -1
        self.start_us: int | None = None
        self.window = window
        self.passed_us = 0
        self._carry_state = carry_state
        self._timestep_us = max(timestep_us, 1)
        self._waiting = WaitingEvents()
        self._count = self._latest_us = self._reached_us = 0

    def save(self) -> SegmenterState:
        """Return the state, for :meth:`restore`."""
        return SegmenterState(
            -1 if self.start_us is None else self.start_us,
            self.last_us,
            self._count,
            self._latest_us,
            self._reached_us,
            self._waiting.all(),
        )

    def restore(self, state: SegmenterState) -> None:
        """Continue from the state of another segmenter with the same window."""
        self.start_us = None if state.start_us < 0 else state.start_us
        self.last_us, self._count = state.last_us, state.count
        self._latest_us, self._reached_us = state.latest_us, state.reached_us
        self._waiting = WaitingEvents()
        if len(state.waiting):
            self._waiting.append(PlacedChunk(state.waiting))

    @property
    def has_waiting(self) -> bool:
        """Whether there are events that are not in a segment yet."""
        return len(self._waiting) > 0

    @property
    def next_event_us(self) -> int:
        """Time of the first waiting event, µs; there must be one."""
        return self._waiting.first_us

    @property
    def is_idle(self) -> bool:
        """Whether there is no current sample and no waiting event."""
        return self.start_us is None and not self.has_waiting

    @property
    def ends_when_decided(self) -> bool:
        """Whether the stop rule ends a window."""
        return self.window.name == "decided"

    def feed(self, chunk: PlacedChunk) -> None:
        """Append events of the stream.

        Raises:
            EventsError: the events start before the last one, or end too late. The segmenter is
                unchanged.
        """
        if chunk.start == len(chunk.train):
            return
        first_us, last_us = chunk.time_us(chunk.start), chunk.time_us(-1)
        if first_us < self.last_us:
            requirement = f"at least {self.last_us}, the time of the stream's last event"
            message = must_be("t_us[0]", requirement, str(first_us))
            raise EventsError(f"{message}; times count from the start of the stream")
        if last_us > limits.MAX_TIME_US:
            raise EventsError(must_be("t_us[-1]", f"at most {limits.MAX_TIME_US}", str(last_us)))
        self.last_us = last_us
        self._waiting.append(chunk)

    def next(self, limit_us: int, is_decided: bool) -> Segment | None:
        """Return the next segment, or None if more events or more time are needed.

        Args:
            limit_us: stream time up to which all events have been fed, µs. Events from this time
                on keep waiting. ``NEVER`` means that only the events matter.
            is_decided: whether the stop rule has ended the current sample.

        Raises:
            LimitError: too many empty windows lie before the next event.
        """
        if self.start_us is None:
            if not self._waiting or self._waiting.first_us >= limit_us:
                return None
            self._open(self._waiting.first_us)
        match self.window.name:
            case "time":
                return self._by_time(limit_us)
            case "events":
                return self._by_events(limit_us)
            case "silence":
                return self._by_silence(limit_us)
            case "decided":
                return self._by_decision(limit_us, is_decided)

    def close(self) -> Segment | None:
        """Return the segment that ends the current sample, if any, at the end of the stream."""
        if self.start_us is None:
            return None
        durations = {"time": self.window.argument, "silence": self._silence_ends_us()}
        latest = None
        if self._carry_state:
            latest = max(self._step_after(self._latest_us), self._passed())
        return self._end(_NO_EVENTS, durations.get(self.window.name, latest))

    def _open(self, t_us: int) -> None:
        unit = self.window.argument if self.window.name == "time" else self._timestep_us
        self.start_us = self._reached_us = t_us - t_us % unit
        self._count, self._latest_us = 0, t_us

    def _take(self, count: int) -> SpikeTrain:
        """Remove the first ``count`` waiting events; return them with times of the sample."""
        if not count:
            return _NO_EVENTS
        start_us = self._start()
        events = self._waiting.take(count, start_us)
        self._latest_us = start_us + events.t_us.item(-1)
        return events

    def _start(self) -> int:
        return 0 if self.start_us is None else self.start_us

    def _passed(self) -> int:
        """Return how much of the sample a clock has run already, in whole timesteps, µs."""
        past = self.passed_us - self._start()
        return past - past % self._timestep_us

    def _before(self, t_us: int) -> int:
        """Return the number of waiting events before ``t_us``, but not more than fit a segment."""
        return self._waiting.before(t_us, _MAX_EVENTS)

    def _end(self, events: SpikeTrain, duration_us: int | None) -> Segment:
        start_us, self.start_us = self._start(), None
        return Segment(start_us, events, ends=True, duration_us=duration_us)

    def _continue(self, events: SpikeTrain) -> Segment | None:
        return Segment(self._start(), events) if len(events) else None

    def _step_after(self, t_us: int) -> int:
        """Return the end, in the sample's time, of the timestep that holds stream time ``t_us``."""
        past = t_us - self._start()
        return past - past % self._timestep_us + self._timestep_us

    def _by_time(self, limit_us: int) -> Segment | None:
        length, start = self.window.argument, self._start()
        end = start + length
        events = self._take(self._before(min(end, limit_us)))
        if limit_us < end or (limit_us == NEVER and not self._waiting):
            return self._continue(events)
        next_us = self._waiting.first_us if self._waiting else NEVER
        if next_us < end:  # the window has more events than a segment
            return self._continue(events)
        if limit_us == NEVER and (next_us - end) // length >= limits.MAX_PASSES:
            raise LimitError(
                f"the next event, at {next_us} µs, is more than {limits.MAX_PASSES} "
                f"windows of {length} µs after {end} µs; if the times are ns, divide them by 1000"
            )
        segment = self._end(events, length)
        self.start_us = end  # windows by time follow each other without a gap
        return segment

    def _by_events(self, limit_us: int) -> Segment | None:
        missing = max(self.window.argument - self._count, 0)
        available = self._before(limit_us)
        if available < missing or not self._carry_state:
            events = self._take(min(missing, available))
            self._count += len(events)
            if available < missing:
                return self._continue(events)
            return self._end(events, None)
        # The window has its events, and also takes all others in the timestep of the last one.
        last_us = int(self._waiting.times_us(missing)[-1]) if missing else self._latest_us
        duration_us = self._step_after(last_us)
        end = self._start() + duration_us
        events = self._take(self._before(min(end, limit_us)))
        self._count += len(events)
        if self._waiting and self._waiting.first_us < min(end, limit_us):
            return self._continue(events)  # the timestep has more events than a segment
        if end <= limit_us < NEVER or (self._waiting and limit_us == NEVER):
            return self._end(events, duration_us)
        return self._continue(events)

    def _by_silence(self, limit_us: int) -> Segment | None:
        scanned = self._before(limit_us)
        times = np.concatenate(([self._latest_us], self._waiting.times_us(scanned)))
        gaps = np.flatnonzero(np.diff(times) >= self.window.argument)
        events = self._take(int(gaps[0]) if gaps.size else scanned)
        is_silent = self._latest_us + self.window.argument <= limit_us < NEVER
        if gaps.size or (is_silent and not self._before(limit_us)):
            return self._end(events, self._silence_ends_us())
        return self._continue(events)

    def _silence_ends_us(self) -> int:
        """Return the end of the silence after the latest event, in the sample's time, µs."""
        ends = self._latest_us - self._start() + self.window.argument
        return ends - ends % self._timestep_us if self._carry_state else ends

    def _by_decision(self, limit_us: int, is_decided: bool) -> Segment | None:
        """Return one timestep per call: events after the decision belong to the next sample."""
        if is_decided:
            return self._end(_NO_EVENTS, self._decided_by(limit_us) if self._carry_state else None)
        if not self._before(limit_us):
            return None
        first = self._waiting.first_us
        begins = first - (first - self._start()) % self._timestep_us
        if begins > self._reached_us:
            self._reached_us = begins
            reached_us = begins - self._start()
            return Segment(self._start(), _NO_EVENTS, reached_us=reached_us)
        return self._continue(self._take(self._before(min(begins + self._timestep_us, limit_us))))

    def _decided_by(self, limit_us: int) -> int:
        """Return the length of a sample that the stop rule ended: its complete timesteps, µs."""
        if limit_us == NEVER:
            return max(self._reached_us - self._start(), self._passed())
        passed_us = min(limit_us, self._waiting.first_us) if self._waiting else limit_us
        return passed_us - (passed_us - self._start()) % self._timestep_us - self._start()
