"""Decisions, and the rules that say when there is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decision"]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What a sample came to, and what it took.

    Attributes:
        label: index of the class that was decided for, or None if the output never fired.
        class_name: its name, where the bundle has class names.
        votes: i64[classes], output spikes.
        stopped: whether the stop rule ended the sample before it was quiet.
        t_us: virtual time of the last pass, µs; -1 if there was none.
        passes: passes begun.
        steps: forward steps.
        rounds: rounds of at most F deliveries.
        spikes: spikes of each population, by name.
        input_events: input events read.
        synops: synaptic operations, one per target of each delivered spike.
        first_spike: (spikes, steps, rounds) when the output first fired, or None.
        first_led: (spikes, steps, rounds) when a class first led the votes, by class.
        undelivered: spikes in flight when the sample ended, which are dropped; or arrive in the
            next one, where windows carry.
        wall_s: wall time from the first event's delivery to the decision, s.
        is_final: the sample is over; else it goes on, see :meth:`neuroasync.Session.watch`.
    """

    label: int | None
    class_name: str | None
    votes: NDArray[np.int64]
    stopped: bool
    t_us: int
    passes: int
    steps: int
    rounds: int
    spikes: dict[str, int]
    input_events: int
    synops: int
    first_spike: tuple[int, int, int] | None
    first_led: dict[int, tuple[int, int, int]]
    undelivered: int
    wall_s: float
    is_final: bool = True

    @property
    def total_spikes(self) -> int:
        """Spikes of all populations."""
        return sum(self.spikes.values())

    def __eq__(self, other: object) -> bool:
        """Everything but the wall time is the same."""
        if not isinstance(other, Decision):
            return NotImplemented
        return self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # holds an array

    def _key(self) -> tuple[object, ...]:
        counted = (self.passes, self.steps, self.rounds, self.synops, self.input_events)
        ends = (self.label, self.stopped, self.t_us, self.first_spike, self.undelivered)
        return (self.is_final, *ends, *counted, self.votes.tolist(), self.spikes, self.first_led)
