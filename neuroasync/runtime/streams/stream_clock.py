"""A stream's time by a clock: when passes are due, and which events come too late for theirs."""

import logging
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.runtime.clock import Clock
from neuroasync.runtime.counts import Counts

__all__ = ["Late", "StreamClock"]

Late: TypeAlias = Literal["drop", "merge", "shift"]
"""What becomes of an event that comes after its pass has begun. ``"drop"``: it is left out;
``"merge"``: the next pass takes it; ``"shift"``: so does it, and all events behind it are moved
by as much, so that the time between them stays."""

_TICK_US: Final = 1000
"""How often a network that is driven by events looks for those that have come."""

_log = logging.getLogger("neuroasync.stream")


class StreamClock:
    """A stream's time: that of its clock, from the time of its first event on.

    Args:
        clock: what passes go by.
        timestep_us: of the network; 0: it is driven by events.
        late: what becomes of events that come after their pass has begun.
        counts: where they are counted.
        jitter_buffer_us: how much later than their timestep's end passes are due, µs.

    Attributes:
        done_us: passes before this time, µs, have begun.
        shift_us: by how much the stream was moved since events came late, µs.

    Raises:
        ValueError: ``late`` is none of the three, or ``jitter_buffer_us`` is negative.
    """

    def __init__(
        self, clock: Clock, timestep_us: int, late: Late, counts: Counts, jitter_buffer_us: int = 0
    ) -> None:
        if type(jitter_buffer_us) is not int or not 0 <= jitter_buffer_us <= limits.MAX_TIME_US:
            raise ValueError(
                f"jitter_buffer_us: {jitter_buffer_us!r:.80}, expected an integer from 0"
            )
        if late not in get_args(Late):
            raise ValueError(f"late: {late!r:.80}, expected 'drop', 'merge' or 'shift'")
        self._clock = clock
        self._tick_us = timestep_us or _TICK_US
        self._late = late
        self._counts = counts
        self._slack_us = jitter_buffer_us
        self._offset_us: int | None = None
        self._has_begun = False
        self.shift_us = 0
        self.done_us = 0

    @property
    def is_anchored(self) -> bool:
        """Whether it is known which time of the stream it is."""
        return self._offset_us is not None

    def resume(self, t_us: int) -> None:
        """An event is here, of this time, and no pass can have missed it."""
        if self._offset_us is None:
            self._offset_us = self._clock.now_us() - t_us + self._slack_us
        self._has_begun = True
        self.done_us = max(self.done_us, self._floor(t_us))

    def save(self) -> tuple[int, int]:
        """``done_us``, -1 if no event has come yet; and by how much the stream was moved, µs."""
        return self.done_us if self._has_begun else -1, self.shift_us

    def restore(self, done_us: int, shift_us: int) -> None:
        """Go on where another was; the next event says which time of the stream it is."""
        self._has_begun = True
        self.done_us, self.shift_us = self._floor(done_us), shift_us

    async def tick(self) -> int:
        """Wait until the next pass is due; return the time before which passes are due."""
        offset_us, due_us = self._offset_us or 0, self.done_us + self._tick_us
        await self._clock.sleep_until(due_us + offset_us)
        limit_us = max(self._floor(self._clock.now_us() - offset_us), due_us)
        if missed := (limit_us - due_us) // self._tick_us:
            if not self._counts.missed_deadlines:
                behind_us = limit_us - due_us
                # No warning: with timesteps of a millisecond, timers alone will do it.
                _log.info(
                    "a pass began %d µs late; further ones are only counted",
                    behind_us,
                    extra={"behind_us": behind_us},
                )
            self._counts.missed_deadlines += missed
        return limit_us

    def placed(self, part: SpikeTrain) -> SpikeTrain:
        """The part at the times at which its events take part; late ones are counted."""
        t_us = part.t_us + self.shift_us
        late = int(np.searchsorted(t_us, self.done_us))
        if not late:
            return SpikeTrain(t_us, part.index)
        behind_us = self.done_us - int(t_us[0])
        if not self._counts.late:
            _log.warning(
                "an event came %d µs after its pass had begun (late=%r); further ones are only "
                "counted",
                behind_us,
                self._late,
                extra={"behind_us": behind_us},
            )
        self._counts.late += late
        if self._late == "drop":
            self._counts.dropped += late
            return SpikeTrain(t_us[late:], part.index[late:])
        if self._late == "shift":
            self.shift_us += behind_us
            return SpikeTrain(part.t_us + self.shift_us, part.index)
        return SpikeTrain(np.maximum(t_us, self.done_us), part.index)

    def _floor(self, t_us: int) -> int:
        return t_us - t_us % self._tick_us
