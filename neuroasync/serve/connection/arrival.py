"""Decides small samples where their messages are read, without a queue or another task."""

import time
from collections.abc import Callable
from typing import Final

from neuroasync.errors import NeuroasyncError
from neuroasync.messages import format_decision, parse_events
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.serve.connection.incoming_sample import Chunk
from neuroasync.serve.connection.rate_limit import TokenBucket
from neuroasync.serve.connection.sample_inbox import SampleInbox
from neuroasync.serve.connection.websocket import Socket
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.sample_network import SampleSession

__all__ = ["ArrivalDecider"]

_MAX_BYTES: Final = 2**14
"""Maximum size of a message that is parsed where it is read. Parsing it takes about 0.3 ms."""

_MAX_SKIPPED: Final = 256
"""Maximum number of messages that go through the queue after an attempt in vain."""


class ArrivalDecider:
    """Decides a sample in the callback that has read its only message.

    A sample is decided here only if nothing has to wait: the worker of the connection is idle, the
    client reads its responses, and the time slice is long enough. All other messages, and those
    that get no decision, go through the inbox. If a sample takes longer than the slice, or has an
    error, a growing number of the next ones goes there directly, as the attempt was in vain.

    Args:
        socket: The accepted websocket.
        session: The session of the connection.
        inbox: The inbox of the connection.
        bucket: The rate limit of the connection.
        read_slice: Time that all connections together may spend on reading.
        read_account: What this connection has spent on it.
        metrics: Counters of the server.
        on_decided: Called after each sample that was decided.
    """

    __slots__ = ("_bucket", "_inbox", "_metrics", "_on_decided", "_read_account", "_read_slice",
                 "_run_slice", "_session", "_skipped", "_socket", "_to_skip")  # fmt: skip

    def __init__(
        self,
        socket: Socket,
        session: SampleSession,
        inbox: SampleInbox,
        bucket: TokenBucket,
        read_slice: TimeSlice,
        read_account: CpuAccount,
        metrics: ServerMetrics,
        on_decided: Callable[[], None],
    ) -> None:
        self._socket = socket
        self._session = session
        self._inbox = inbox
        self._bucket = bucket
        self._read_slice = read_slice
        self._read_account = read_account
        self._run_slice = TimeSlice.of_running_loop()
        self._metrics = metrics
        self._on_decided = on_decided
        self._to_skip = self._skipped = 0

    def decide(self, data: str | bytes) -> bool:
        """Decide the sample of a message and answer it.

        Returns:
            Whether the message was answered. If not, nothing has changed.
        """
        if self._to_skip:
            self._to_skip -= 1
            return False
        if not (self._inbox.is_idle and self._socket.can_send_nowait and len(data) <= _MAX_BYTES):
            return False
        if self._run_slice.must_wait() or self._read_slice.must_wait():
            return False
        if not self._bucket.has_token:
            return False
        arrived_s = time.perf_counter()
        session, number = self._session, self._inbox.samples_sent
        try:
            message = parse_events(data, _MAX_BYTES)
            self._read_account.charge(time.perf_counter() - arrived_s)
            if not message.end or message.provisional:
                return False
            chunk = Chunk.of_message(data, arrived_s, len(message.events))
            if chunk.cost > self._inbox.max_events:
                return False  # the inbox refuses it
            # Dropped and refused samples keep their numbers, so that later ones get their seeds.
            if lost := number - session.sample:
                session.skip(lost)
            decision = session.decide_nowait(message.events)
        except NeuroasyncError:
            return False  # the worker makes the same error, and reports it
        if decision is None:
            self._skipped = min(_MAX_SKIPPED, 2 * self._skipped + 1)
            self._to_skip = self._skipped
            return False
        self._skipped = 0
        self._bucket.take()
        latency_s = time.perf_counter() - arrived_s
        binary = not isinstance(data, str)
        self._inbox.count_answered()
        self._metrics.add("messages")
        self._metrics.add("events", len(message.events))
        self._metrics.count_decision(decision.total_spikes, latency_s)
        self._socket.send_nowait(format_decision(decision, number, 1e3 * latency_s, binary=binary))
        self._on_decided()
        return True
