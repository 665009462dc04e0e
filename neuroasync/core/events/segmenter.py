"""Cuts a stream of events into samples, by a window."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.window import Window, check_whole
from neuroasync.errors import LimitError, SpikeFileError

__all__ = ["NEVER", "CutterState", "Segment", "Segmenter"]

NEVER: Final = limits.MAX_TIME_US + 1
"""Later than any event, µs."""
_NONE: Final[NDArray[np.int64]] = np.empty(0, np.int64)
_MAX_AT_ONCE: Final = 4096
"""Events that are looked at for a silence among them, however many wait."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What is to be done next with the sample that is under way, in this order.

    Attributes:
        start_us: time 0 of the sample, in the stream's time, µs.
        events: to be sent, at times of the sample.
        reached_us: no earlier event will come; None: who knows.
        ends: the sample is over.
        duration_us: its length; None: it ends with its last event.
    """

    start_us: int
    events: SpikeTrain
    reached_us: int | None = None
    ends: bool = False
    duration_us: int | None = None


@dataclass(frozen=True, slots=True)
class CutterState:
    """What a cutter holds between two cuts; times are the stream's.

    Attributes:
        start_us: time 0 of the sample that is under way, µs; -1: none is.
        last_us: time of the last event that it was fed, µs; -1: none.
        count: events of the sample so far.
        latest_us: time of the latest of them, µs.
        reached_us: no event of the sample will come before, µs.
        waiting: events that were fed and are of no cut yet.
    """

    start_us: int
    last_us: int
    count: int
    latest_us: int
    reached_us: int
    waiting: SpikeTrain


class Segmenter:
    """Cuts a stream of events into samples.

    Args:
        window: where.
        timestep_us: of the network; 0: it is driven by events.
        carries: whether the network runs on from window to window.

    Raises:
        ValueError: windows carry, and this one is not whole timesteps.

    Attributes:
        window: where.
        last_us: time of the last event that it was fed, µs; -1: none.
        start_us: time 0 of the sample that is under way, in the stream's time, µs; None: no sample
            is under way.
        passed_us: stream time before which all passes have taken place, by a clock.
    """

    def __init__(self, window: Window, timestep_us: int, carries: bool = False) -> None:
        if carries:
            check_whole(window, timestep_us)
        self.last_us = -1
        self.start_us: int | None = None
        self.window = window
        self.passed_us = 0
        self._carries = carries
        self._timestep_us = max(timestep_us, 1)
        self._t_us = self._index = _NONE
        self._room = 0  # of the arrays that these two are the ends of
        self._count = self._latest_us = self._reached_us = 0

    def save(self) -> CutterState:
        """What it holds."""
        return CutterState(
            -1 if self.start_us is None else self.start_us,
            self.last_us,
            self._count,
            self._latest_us,
            self._reached_us,
            SpikeTrain(self._t_us, self._index),
        )

    def restore(self, state: CutterState) -> None:
        """Go on where another of this window was."""
        self.start_us = None if state.start_us < 0 else state.start_us
        self.last_us, self._count = state.last_us, state.count
        self._latest_us, self._reached_us = state.latest_us, state.reached_us
        self._t_us, self._index = state.waiting.t_us, state.waiting.index
        self._room = self._t_us.size

    @property
    def waits(self) -> bool:
        """Whether events wait for their time."""
        return self._t_us.size > 0

    @property
    def first_us(self) -> int:
        """Time of the first event that waits, µs."""
        return int(self._t_us[0])

    @property
    def is_idle(self) -> bool:
        """Whether no sample is under way, and no event waits."""
        return self.start_us is None and not self.waits

    @property
    def ends_when_decided(self) -> bool:
        """Whether it is the stop rule that ends a window."""
        return self.window.name == "decided"

    def feed(self, train: SpikeTrain) -> None:
        """Take further events of the stream.

        Raises:
            SpikeFileError: they go back in time. Nothing was taken.
        """
        if not len(train):
            return
        if train.t_us[0] < self.last_us:
            raise SpikeFileError(
                f"t_us[0]: {train.t_us[0]}, expected at least {self.last_us}, the time of the "
                "last event of the stream"
            )
        self.last_us = int(train.t_us[-1])
        self._t_us = np.concatenate((self._t_us, train.t_us))
        self._index = np.concatenate((self._index, train.index))
        self._room = self._t_us.size

    def next(self, limit_us: int, is_decided: bool) -> Segment | None:
        """What is to be done next; None: nothing, until more events come or time goes by.

        Args:
            limit_us: stream time before which all events were fed, and those from which on wait.
            is_decided: whether the stop rule has ended the sample that is under way.

        Raises:
            LimitError: the next event comes after too many silent windows.
        """
        if self.start_us is None:
            if not self._t_us.size or self._t_us[0] >= limit_us:
                return None
            self._open(int(self._t_us[0]))
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
        """End the sample that is under way, if there is one: the stream is over."""
        if self.start_us is None:
            return None
        durations = {"time": self.window.argument, "silence": self._silence_ends_us()}
        latest = None
        if self._carries:
            latest = max(self._step_after(self._latest_us), self._passed())
        return self._end(_NONE, _NONE, durations.get(self.window.name, latest))

    def _open(self, t_us: int) -> None:
        unit = self.window.argument if self.window.name == "time" else self._timestep_us
        self.start_us = self._reached_us = t_us - t_us % unit
        self._count, self._latest_us = 0, t_us

    def _take(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first events that wait, at times of the sample."""
        t_us, index = self._t_us[:count] - self._start(), self._index[:count].copy()
        if count:
            self._latest_us = int(self._t_us[count - 1])
            self._t_us, self._index = self._t_us[count:], self._index[count:]
        if 2 * self._t_us.size < self._room:  # slices keep all that was read; a copy each time
            # would be one of all that waits for every few events that are taken
            self._t_us, self._index = self._t_us.copy(), self._index.copy()
            self._room = self._t_us.size
        return t_us, index

    def _start(self) -> int:
        return 0 if self.start_us is None else self.start_us

    def _passed(self) -> int:
        """What has gone by of the sample, by a clock: whole timesteps."""
        past = self.passed_us - self._start()
        return past - past % self._timestep_us

    def _before(self, t_us: int) -> int:
        """How many of the events that wait come before ``t_us``."""
        return int(np.searchsorted(self._t_us, t_us))

    def _end(
        self, t_us: NDArray[np.int64], index: NDArray[np.int64], duration_us: int | None
    ) -> Segment:
        start_us, self.start_us = self._start(), None
        return Segment(start_us, SpikeTrain(t_us, index), ends=True, duration_us=duration_us)

    def _go_on(self, t_us: NDArray[np.int64], index: NDArray[np.int64]) -> Segment | None:
        return Segment(self._start(), SpikeTrain(t_us, index)) if t_us.size else None

    def _step_after(self, t_us: int) -> int:
        """End of the timestep of ``t_us``, a time of the stream, as a time of the sample."""
        past = t_us - self._start()
        return past - past % self._timestep_us + self._timestep_us

    def _by_time(self, limit_us: int) -> Segment | None:
        length, start = self.window.argument, self._start()
        end = start + length
        t_us, index = self._take(self._before(min(end, limit_us)))
        if limit_us < end or (limit_us == NEVER and not self._t_us.size):
            return self._go_on(t_us, index)
        if limit_us == NEVER and (self._t_us[0] - end) // length >= limits.MAX_PASSES:
            raise LimitError(
                f"the next event, at {self._t_us[0]} µs, comes more than {limits.MAX_PASSES} "
                f"windows of {length} µs after {end} µs"
            )
        cut = self._end(t_us, index, length)
        self.start_us = end
        return cut

    def _by_events(self, limit_us: int) -> Segment | None:
        left, here = max(self.window.argument - self._count, 0), self._before(limit_us)
        if here < left or not self._carries:
            t_us, index = self._take(min(left, here))
            self._count += t_us.size
            return self._end(t_us, index, None) if here >= left else self._go_on(t_us, index)
        # It has its events; those of the last one's timestep are its own, too.
        last_us = int(self._t_us[left - 1]) if left else self._latest_us
        duration_us = self._step_after(last_us)
        end = self._start() + duration_us
        t_us, index = self._take(self._before(min(end, limit_us)))
        self._count += t_us.size
        if end <= limit_us < NEVER or (self._t_us.size and limit_us == NEVER):
            return self._end(t_us, index, duration_us)
        return self._go_on(t_us, index)

    def _by_silence(self, limit_us: int) -> Segment | None:
        here = self._before(limit_us)
        seen = min(here, _MAX_AT_ONCE)
        times = np.concatenate(([self._latest_us], self._t_us[:seen]))
        gaps = np.flatnonzero(np.diff(times) >= self.window.argument)
        t_us, index = self._take(int(gaps[0]) if gaps.size else seen)
        is_silent = seen == here and self._latest_us + self.window.argument <= limit_us < NEVER
        if gaps.size or is_silent:
            return self._end(t_us, index, self._silence_ends_us())
        return self._go_on(t_us, index)

    def _silence_ends_us(self) -> int:
        ends = self._latest_us - self._start() + self.window.argument
        return ends - ends % self._timestep_us if self._carries else ends

    def _by_decision(self, limit_us: int, is_decided: bool) -> Segment | None:
        """A timestep at a time: what comes after the decision is of the next sample."""
        if is_decided:
            return self._end(_NONE, _NONE, self._decided_by(limit_us) if self._carries else None)
        if not self._before(limit_us):
            return None
        first = int(self._t_us[0])
        begins = first - (first - self._start()) % self._timestep_us
        if begins > self._reached_us:
            self._reached_us = begins
            reached_us = begins - self._start()
            return Segment(self._start(), SpikeTrain(_NONE, _NONE), reached_us=reached_us)
        return self._go_on(*self._take(self._before(min(begins + self._timestep_us, limit_us))))

    def _decided_by(self, limit_us: int) -> int:
        """How long the sample is that the stop rule has just ended: all timesteps that are over."""
        if limit_us == NEVER:
            return max(self._reached_us - self._start(), self._passed())
        passed_us = min(limit_us, int(self._t_us[0])) if self._t_us.size else limit_us
        return passed_us - (passed_us - self._start()) % self._timestep_us - self._start()
