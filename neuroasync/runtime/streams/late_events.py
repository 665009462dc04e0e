"""Late events of a stream: events that arrive after their pass has begun."""

import logging
from typing import Literal, TypeAlias, get_args

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.waiting_events import PlacedChunk
from neuroasync.runtime.counts import Counts

__all__ = ["Late", "LateEvents"]

Late: TypeAlias = Literal["drop", "merge", "shift"]
"""How to treat an event that arrives after its pass has begun.

``"drop"`` discards it. ``"merge"`` adds it to the next pass. ``"shift"`` also adds it to the next
pass, and delays all later events of the stream by the same time, so that intervals are kept.
"""

_log = logging.getLogger("neuroasync.stream")


class LateEvents:
    """The treatment of late events in one stream.

    Args:
        late: how to treat them.
        counts: counts of late and dropped events, updated here.

    Attributes:
        shift_us: how far the stream was delayed because events were late, µs.

    Raises:
        ValueError: ``late`` is not one of the three ways.
    """

    def __init__(self, late: Late, counts: Counts) -> None:
        if late not in get_args(Late):
            raise ValueError(f"`late` must be 'drop', 'merge' or 'shift', got {late!r:.80}")
        self._late = late
        self._counts = counts
        self.shift_us = 0

    def place(self, chunk: SpikeTrain, done_us: int) -> PlacedChunk:
        """Return a chunk with the stream times at which its events take part.

        Args:
            chunk: events in order of time.
            done_us: stream time before which all passes have begun, µs; earlier events are late.
        """
        late = int(chunk.t_us.searchsorted(done_us - self.shift_us))
        if not late:
            return PlacedChunk(chunk, shift_us=self.shift_us)
        behind_us = done_us - self.shift_us - int(chunk.t_us[0])
        if not self._counts.late:
            _log.warning(
                "an event arrived %d µs after its pass had begun (late=%r); further ones are only "
                "counted",
                behind_us,
                self._late,
                extra={"behind_us": behind_us},
            )
        self._counts.late += late
        if self._late == "drop":
            self._counts.dropped += late
            return PlacedChunk(chunk, late, self.shift_us)
        if self._late == "shift":
            self.shift_us += behind_us
            return PlacedChunk(chunk, shift_us=self.shift_us)
        return PlacedChunk(chunk, shift_us=self.shift_us, earliest_us=done_us)
