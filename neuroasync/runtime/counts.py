"""Counters of events and decisions of a session or a network."""

from dataclasses import dataclass

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """Counters of events and decisions. They never decrease.

    ``events + refused + dropped`` is the number of events received. It does not include events
    that a stream had read ahead of its clock when it was left.

    Attributes:
        events: input events that were accepted.
        refused: input events that were rejected with an error.
        late: events that arrived after their pass had begun, however they were treated.
        dropped: late events that were dropped.
        decisions: samples that were decided.
        missed_deadlines: passes that began at least one timestep late (1 ms for an event-driven
            network). Single ones are normal; if the number grows steadily, the event loop or the
            machine is too slow for the stream.
    """

    events: int = 0
    refused: int = 0
    late: int = 0
    dropped: int = 0
    decisions: int = 0
    missed_deadlines: int = 0

    def add(self, other: "Counts") -> None:
        """Add the counts of ``other`` to these."""
        # A loop over the fields would take most of the time that closing a session takes.
        self.events += other.events
        self.refused += other.refused
        self.late += other.late
        self.dropped += other.dropped
        self.decisions += other.decisions
        self.missed_deadlines += other.missed_deadlines
