"""A sample on its way through the server."""

from typing import NamedTuple

from neuroasync.queue import BoundedQueue
from neuroasync.spikes import SpikeTrain

__all__ = ["Notice", "Part", "Sample"]


class Part(NamedTuple):
    """What one message brings to its sample.

    Attributes:
        events: maybe none.
        arrived_s: when it came, by ``time.perf_counter``.
    """

    events: SpikeTrain
    arrived_s: float

    @property
    def cost(self) -> int:
        """Events that it takes room for. A message without events is not free either."""
        return len(self.events) or 1


class Notice(NamedTuple):
    """That there will be no decision of a sample.

    Attributes:
        sample: its number; None where a message broke the format after its sample was decided.
        error: why.
        is_dropped: for want of room, and not refused.
        is_binary: whether to say it in MessagePack.
    """

    sample: int | None
    error: str
    is_dropped: bool
    is_binary: bool


class Sample:
    """One sample of a connection.

    Attributes:
        number: among those sent, from 0.
        is_binary: whether it came, and is answered, in MessagePack.
        is_provisional: whether provisional decisions are asked for.
        parts: what waits for the session; closed once all has come.
        is_admitted: its first part was given room.
        is_whole: its last part was given room.
        is_settled: what became of it has been counted, and it takes no room any more.
    """

    __slots__ = (
        "is_admitted", "is_binary", "is_provisional", "is_settled", "is_whole", "number", "parts",
    )  # fmt: skip

    def __init__(self, number: int, is_binary: bool, is_provisional: bool, most_parts: int) -> None:
        self.number = number
        self.is_binary = is_binary
        self.is_provisional = is_provisional
        self.parts: BoundedQueue[Part] = BoundedQueue(most_parts)
        self.is_admitted = self.is_whole = self.is_settled = False
