"""The time of a stream that follows a clock: when passes are due."""

import logging
from typing import Final

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.waiting_events import PlacedChunk
from neuroasync.runtime.clock import Clock
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.streams.late_events import Late, LateEvents

__all__ = ["StreamClock"]

_TICK_US: Final = 1000
"""How often an event-driven network checks for events, µs."""

_log = logging.getLogger("neuroasync.stream")


class StreamClock:
    """The time of a stream, which runs with a clock from the time of the first event on.

    Args:
        clock: the clock that paces the passes.
        timestep_us: timestep of the network, µs; 0 if it is event-driven.
        late: how to treat events that arrive after their pass has begun.
        counts: counts of late events and missed deadlines, updated here.
        jitter_buffer_us: how long passes are delayed after the end of their timestep, µs.

    Attributes:
        done_us: stream time before which all passes have begun, µs.

    Raises:
        ValueError: ``late`` is not one of the three.
    """

    def __init__(
        self, clock: Clock, timestep_us: int, late: Late, counts: Counts, jitter_buffer_us: int = 0
    ) -> None:
        self._clock = clock
        self._tick_us = timestep_us or _TICK_US
        self._late_events = LateEvents(late, counts)
        self._counts = counts
        self._jitter_buffer_us = jitter_buffer_us
        self._offset_us: int | None = None  # clock time minus stream time
        self._has_begun = False
        self.done_us = 0

    @property
    def shift_us(self) -> int:
        """How far the stream was delayed because events were late, µs."""
        return self._late_events.shift_us

    @property
    def is_anchored(self) -> bool:
        """Whether an event has defined which clock time corresponds to which stream time."""
        return self._offset_us is not None

    def resume(self, t_us: int) -> None:
        """Anchor the clock, if it is not yet, at an event of stream time ``t_us`` that is here now.

        The passes before that time count as done, because no event can have missed them.
        """
        if self._offset_us is None:
            self._offset_us = self._clock.now_us() - t_us + self._jitter_buffer_us
        self._has_begun = True
        self.done_us = max(self.done_us, self._floor(t_us))

    def save(self) -> tuple[int, int]:
        """Return ``done_us`` (-1 if no event has arrived yet) and ``shift_us``."""
        return self.done_us if self._has_begun else -1, self.shift_us

    def restore(self, done_us: int, shift_us: int) -> None:
        """Continue at the given stream time; the next event anchors the clock."""
        self._has_begun = True
        self.done_us = self._floor(done_us)
        self._late_events.shift_us = shift_us

    async def tick(self) -> int:
        """Wait until the next pass is due. Cancellation: safe.

        Returns:
            The stream time before which passes are due, µs.
        """
        offset_us, due_us = self._offset_us or 0, self.done_us + self._tick_us
        await self._clock.sleep_until(due_us + offset_us)
        limit_us = max(self._floor(self._clock.now_us() - offset_us), due_us)
        if missed := (limit_us - due_us) // self._tick_us:
            if not self._counts.missed_deadlines:
                behind_us = limit_us - due_us
                # This is no warning: with timesteps of 1 ms, the resolution of the event loop's
                # timers is enough to cause it.
                _log.info(
                    "a pass began %d µs late; further ones are only counted",
                    behind_us,
                    extra={"behind_us": behind_us},
                )
            self._counts.missed_deadlines += missed
        return limit_us

    def placed(self, chunk: SpikeTrain) -> PlacedChunk:
        """Return the chunk with the stream times at which its events take part."""
        return self._late_events.place(chunk, self.done_us)

    def _floor(self, t_us: int) -> int:
        return t_us - t_us % self._tick_us
