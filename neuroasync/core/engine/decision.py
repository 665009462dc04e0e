"""The decision on a sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decision"]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The decision on a sample, and its cost.

    Attributes:
        label: index of the decided class, or None if the output never fired.
        class_name: name of the class, if the bundle has class names.
        votes: i64[classes], output spikes of each class.
        stopped: whether the stop rule fired before the sample became quiet.
        t_us: virtual time of the last pass, µs; -1 if there was none.
        passes: number of passes begun.
        steps: number of forward steps.
        rounds: number of rounds, each of which delivers at most F spikes.
        spikes: spikes of each population, by name.
        input_events: number of input events read.
        synops: synaptic operations, one per target of each delivered spike.
        first_spike: (spikes, steps, rounds) when the output first fired, or None.
        first_led: (spikes, steps, rounds) when a class first led the votes, by class.
        undelivered: spikes in flight when the sample ended. They are dropped, or arrive in the
            next sample if windows carry state.
        wall_s: wall time from the first event's delivery to the decision, s.
        is_final: whether the sample is over. A provisional decision of
            :meth:`neuroasync.Session.watch` is not final.
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
        """Number of spikes of all populations."""
        return sum(self.spikes.values())

    def __eq__(self, other: object) -> bool:
        """Compare all fields except the wall time."""
        if not isinstance(other, Decision):
            return NotImplemented
        return self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]  # holds an array

    def _key(self) -> tuple[object, ...]:
        counted = (self.passes, self.steps, self.rounds, self.synops, self.input_events)
        ends = (self.label, self.stopped, self.t_us, self.first_spike, self.undelivered)
        return (self.is_final, *ends, *counted, self.votes.tolist(), self.spikes, self.first_led)
