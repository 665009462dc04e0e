"""The limits of a server, with the memory that each of them costs at its default value."""

from dataclasses import dataclass

from neuroasync import limits
from neuroasync.core.model.checks import as_number, check_ints, must_be, shown

__all__ = ["ServerLimits"]

_MAX_VALUE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits that a server applies before it slows clients down or refuses their samples.

    Attributes:
        max_sessions: Maximum number of open connections, over all workers. The server refuses
            further ones with status 503. Each connection takes about 40 KB, plus the memory of one
            session of the network.
        max_message_bytes: Maximum size of one message, 256 KB. Each connection may hold one message
            of this size. While a message is parsed, which takes about 5 ms, it takes 30 times its
            size (8 MB); a worker parses one message at a time. A larger message closes its
            connection with code 1009.
        max_messages_per_s: Maximum average rate at which one connection is read. As many messages
            may arrive in one burst. The server delays a client that sends faster. Takes no memory.
        max_queued_samples: Maximum number of samples of one connection that wait while another
            sample of it runs. Their events are limited by ``max_queued_events``.
        max_queued_events: Maximum number of events of one connection that no pass has read, 2 MB. A
            message counts as one event for each 16 bytes if that is more than its number of events.
            A message with more events than this is refused.
        max_queued_samples_total: Maximum number of queued samples over all connections of a worker.
            In an overloaded server, the time in this queue is most of the latency.
        max_queued_events_total: Maximum number of queued events over all connections of a worker,
            8 MB, and up to 24 MB more for the arrays of samples that run. Small messages of idle
            connections need no capacity.
        max_passes: Maximum number of forward passes of one sample; 1,000 are 1 s of timesteps of
            1 ms. A sample with a later event is refused before its passes run. Takes no memory.
        max_cpu_s: Maximum CPU time that the passes of one sample may use, in seconds. Takes no
            memory.
        send_timeout_s: How long a response waits for a client that does not read, in seconds. The
            server then closes the connection. Until then, about 64 KB of responses wait in memory,
            in addition to the buffers of the operating system.
        max_malformed_in_a_row: Number of consecutive malformed messages after which the server
            closes the connection with code 1008. Takes no memory.

    Raises:
        ValueError: A limit is out of range.
    """

    max_sessions: int = 2048
    max_message_bytes: int = 2**18
    max_messages_per_s: float = 1000.0
    max_queued_samples: int = 8
    max_queued_events: int = 2**16
    max_queued_samples_total: int = 1024
    max_queued_events_total: int = 2**19
    max_passes: int = limits.MAX_PASSES
    max_cpu_s: float = 30.0
    send_timeout_s: float = 10.0
    max_malformed_in_a_row: int = 8

    def __post_init__(self) -> None:
        """Check the ranges."""
        names = (
            "max_sessions", "max_message_bytes", "max_queued_samples", "max_queued_events",
            "max_queued_samples_total", "max_queued_events_total", "max_passes",
            "max_malformed_in_a_row",
        )  # fmt: skip
        check_ints(self, dict.fromkeys(names, (1, _MAX_VALUE)), ValueError)
        for name in ("max_messages_per_s", "max_cpu_s", "send_timeout_s"):
            value = as_number(getattr(self, name))
            if value is None or not 0 < value <= _MAX_VALUE:
                got = shown(getattr(self, name))
                raise ValueError(must_be(name, "a finite number above 0", got))
            object.__setattr__(self, name, value)
