"""Bounds of a server, with what each costs in memory at its default."""

from dataclasses import dataclass

__all__ = ["ServerLimits"]

_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a server takes before it makes clients wait, or refuses.

    Attributes:
        sessions: connections at a time, of all workers; one more is refused with status 503.
            Each costs some 40 KB, and what a session of the network takes.
        message_bytes: of one message. While it is read, which takes some 5 ms, it costs 30 times
            as much; before, each connection may hold one. A larger one closes its connection with
            code 1009.
        messages_per_s: read from one connection, on average; as many may come at once. A faster
            client is made to wait.
        max_queued_samples: samples of one connection that wait for the one that is under way.
        waiting_events: events of one connection that wait in messages, or 16 bytes of a message
            for one if that is more; 1 MB. A message with more is refused.
        max_queued_samples_total: as ``max_queued_samples``, of all connections of a worker. Under
            too much load, those that wait are most of the latency.
        server_waiting_events: as ``waiting_events``, of all connections of a worker; 64 MB.
        send_timeout_s: how long an answer waits for a client that does not read, before its
            connection is cut. Some 64 KB of answers wait with it, besides the system's buffers.
        malformed_in_a_row: messages; then the connection is closed with code 1008.

    Raises:
        ValueError: one of them is out of range.
    """

    sessions: int = 2048
    message_bytes: int = 2**18
    messages_per_s: float = 1000.0
    max_queued_samples: int = 8
    waiting_events: int = 2**16
    max_queued_samples_total: int = 1024
    server_waiting_events: int = 2**22
    send_timeout_s: float = 10.0
    malformed_in_a_row: int = 8

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in (
            "sessions", "message_bytes", "max_queued_samples", "waiting_events",
            "max_queued_samples_total", "server_waiting_events", "malformed_in_a_row",
        ):  # fmt: skip
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= _MOST:
                raise ValueError(f"{name}: {value!r:.80}, expected an integer from 1 to {_MOST}")
        for name in ("messages_per_s", "send_timeout_s"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value <= _MOST:
                raise ValueError(f"{name}: {value!r:.80}, expected a number above 0")
