"""A sample that a client sends, from its first message until the server has counted its outcome."""

from enum import Enum
from typing import Final, NamedTuple, Self

from neuroasync.runtime.bounded_queue import BoundedQueue

__all__ = ["Chunk", "IncomingSample", "SampleState", "chunk_cost"]

_BYTES_PER_EVENT: Final = 16


class Chunk(NamedTuple):
    """One message of a sample, as it was received.

    Attributes:
        data: JSON if text, MessagePack if binary.
        arrived_s: Time of arrival, by ``time.perf_counter``.
        cost: Number of events that the chunk counts as: its number of events, or one for each 16
            bytes if that is more. The minimum is 1, so that messages without events are limited,
            too.
        held: Number of events for which the chunk holds capacity: its cost, or 0 if the worker was
            waiting for it.
    """

    data: str | bytes
    arrived_s: float
    cost: int
    held: int = 0

    @classmethod
    def of_message(cls, data: str | bytes, arrived_s: float, events: int) -> Self:
        """Return the chunk of a message with this number of events."""
        return cls(data, arrived_s, chunk_cost(data, events))


def chunk_cost(data: str | bytes, events: int) -> int:
    """Return the number of events that a message with ``events`` events counts as."""
    # Bytes count as well, because a long message with few events takes memory.
    return max(1, events, len(data) // _BYTES_PER_EVENT)


class SampleState(Enum):
    """The progress of an incoming sample.

    ========== ============================ =============================================
    state      entered when                 next state
    ========== ============================ =============================================
    NEW        its first message arrives    RECEIVING, COMPLETE or SETTLED
    RECEIVING  its first chunk is queued    COMPLETE, DECIDED or SETTLED
    COMPLETE   its last chunk is queued     DECIDED or SETTLED
    DECIDED    the stop rule or its end     SETTLED, once the decision was sent or the
               gives a decision             client left
    SETTLED    its outcome is counted:      none
               accepted, dropped, refused
    ========== ============================ =============================================

    A sample that consists of one chunk passes RECEIVING without suspending. DECIDED can follow
    RECEIVING because a stop rule can fire before the end of the sample. In DECIDED and SETTLED, the
    server discards all further chunks of the sample.
    """

    NEW = "new"
    RECEIVING = "receiving"
    COMPLETE = "complete"
    DECIDED = "decided"
    SETTLED = "settled"


class IncomingSample:
    """One sample of a connection.

    Args:
        number: Number of the sample in its connection, from 0.
        is_binary: Whether the sample was sent as MessagePack. Its response has the same format.
        is_provisional: Whether the client wants provisional decisions.
        max_chunks: Maximum number of queued chunks.

    Attributes:
        number: Number of the sample in its connection, from 0.
        is_binary: Whether the sample was sent, and is answered, as MessagePack.
        is_provisional: Whether the client wants provisional decisions.
        chunks: Chunks that wait for the session. The queue is closed after the last one.
        state: Progress of the sample.
        holds_place: Whether the sample holds capacity for its place in the queue.
        held_events: Number of events for which the running sample holds capacity.
    """

    __slots__ = ("chunks", "held_events", "holds_place", "is_binary", "is_provisional", "number",
                 "state")  # fmt: skip

    def __init__(self, number: int, is_binary: bool, is_provisional: bool, max_chunks: int) -> None:
        self.number = number
        self.is_binary = is_binary
        self.is_provisional = is_provisional
        self.chunks: BoundedQueue[Chunk] = BoundedQueue(max_chunks)
        self.state = SampleState.NEW
        self.holds_place = False
        self.held_events = 0

    @property
    def is_settled(self) -> bool:
        """Whether the outcome of the sample was counted."""
        return self.state is SampleState.SETTLED

    @property
    def discards_chunks(self) -> bool:
        """Whether further chunks of the sample are discarded."""
        return self.state is SampleState.DECIDED or self.state is SampleState.SETTLED
