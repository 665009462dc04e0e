"""A sample on its way through the server."""

from typing import NamedTuple

from neuroasync.runtime.bounded_queue import BoundedQueue

__all__ = ["IncomingSample", "Part", "RefusalNotice"]


class Part(NamedTuple):
    """A message of a sample, as it came.

    Attributes:
        data: JSON if text, MessagePack if binary.
        arrived_s: when it came, by ``time.perf_counter``.
        cost: events that it takes room for: as many as it has, or one for 16 bytes if that is
            more. A message without events is not free either.
    """

    data: str | bytes
    arrived_s: float
    cost: int


class RefusalNotice(NamedTuple):
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


class IncomingSample:
    """One sample of a connection.

    Attributes:
        number: among those sent, from 0.
        is_binary: whether it came, and is answered, in MessagePack.
        is_provisional: whether provisional decisions are asked for.
        parts: what waits for the session; closed once all has come.
        is_admitted: its first part was given room.
        is_whole: its last part was given room.
        is_over: what may still come of it is passed over: it is decided, or settled.
        is_settled: what became of it has been counted.
    """

    __slots__ = (
        "is_admitted", "is_binary", "is_over", "is_provisional", "is_settled", "is_whole", "number",
        "parts",
    )  # fmt: skip

    def __init__(self, number: int, is_binary: bool, is_provisional: bool, max_parts: int) -> None:
        self.number = number
        self.is_binary = is_binary
        self.is_provisional = is_provisional
        self.parts: BoundedQueue[Part] = BoundedQueue(max_parts)
        self.is_admitted = self.is_whole = self.is_over = self.is_settled = False
