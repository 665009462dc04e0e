"""What a stream, a session or a network has taken, refused and lost so far."""

from dataclasses import dataclass, fields

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """Counters; each only grows.

    ``events + refused + dropped`` is all that was taken from its senders; what a stream had read
    ahead when it was left is not.

    Attributes:
        events: input events that were accepted.
        refused: input events that raised an error.
        late: events that came after their pass had begun, whatever became of them.
        dropped: of the late ones, those that were dropped.
        decisions: samples that were decided.
        missed_deadlines: passes that began a timestep or more after their time.
    """

    events: int = 0
    refused: int = 0
    late: int = 0
    dropped: int = 0
    decisions: int = 0
    missed_deadlines: int = 0

    def add(self, other: "Counts") -> None:
        """Add another's."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
