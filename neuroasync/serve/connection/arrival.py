"""Decides small samples where their messages are read, without a queue or another task."""

import time
from collections.abc import Callable
from typing import Final

from neuroasync.core.engine.decision import Decision
from neuroasync.errors import NeuroasyncError
from neuroasync.messages import format_decision, parse_sample
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
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
    """Decides a sample in the callback that has read its only message, or soon after.

    A sample is decided here only if the worker of the connection is idle, the client reads its
    responses, and a time slice is long enough. If the slice is over, or other sessions wait, the
    message is held until it is its turn. All other messages, and those that get no decision, go to
    the reader. After an attempt in vain, a growing number of the next ones goes there directly.

    Args:
        socket: The accepted websocket.
        session: The session of the connection.
        inbox: The inbox of the connection.
        bucket: The rate limit of the connection.
        read_slice: Time that all connections together may spend on reading.
        account: What this connection has spent on reading and on decisions made here. It determines
            when the turn of a held message comes.
        metrics: Counters of the server.
        on_decided: Called after the first decision that follows :meth:`report_next`.
    """

    __slots__ = (
        "_account",
        "_bucket",
        "_held",
        "_inbox",
        "_is_waiting",
        "_max_bytes",
        "_metrics",
        "_next_number",
        "_on_decided",
        "_read_slice",
        "_released_s",
        "_reports_next",
        "_run_slice",
        "_session",
        "_skipped",
        "_socket",
        "_to_skip",
    )  # fmt: skip

    def __init__(
        self,
        socket: Socket,
        session: SampleSession,
        inbox: SampleInbox,
        bucket: TokenBucket,
        read_slice: TimeSlice,
        account: CpuAccount,
        metrics: ServerMetrics,
        on_decided: Callable[[], None],
    ) -> None:
        self._socket = socket
        self._session = session
        self._inbox = inbox
        self._bucket = bucket
        # Each event takes at least two bytes, so that the inbox would not refuse a smaller message.
        self._max_bytes = min(_MAX_BYTES, 2 * inbox.max_events)
        self._read_slice = read_slice
        self._account = account
        self._run_slice = TimeSlice.of_running_loop()
        self._metrics = metrics
        self._on_decided = on_decided
        self._reports_next = False
        self._to_skip = self._skipped = 0
        self._next_number = -1
        self._held: tuple[str | bytes, float] | None = None  # a message and its time of arrival
        self._released_s: float | None = None  # the time of arrival of a message that was held
        self._is_waiting = False

    @property
    def has_released(self) -> bool:
        """Whether the reader has yet to take a message that was held."""
        return self._released_s is not None

    def report_next(self) -> None:
        """Report the next decision, because a malformed message preceded it."""
        self._reports_next = True

    def arrival_s(self) -> float:
        """Return when the message arrived that the reader has just received, in seconds."""
        released_s, self._released_s = self._released_s, None
        return time.perf_counter() if released_s is None else released_s

    def take(self, data: str | bytes) -> bool:
        """Take a message: decide and answer its sample, or hold it until its turn.

        Returns:
            Whether the message was taken. If not, nothing has changed.
        """
        if self._held is not None:  # the reader gets both, in order
            return False
        if self._to_skip:
            self._to_skip -= 1
            return False
        if not (self._inbox.is_idle and len(data) <= self._max_bytes and self._bucket.take_now()):
            return False
        arrived_s = time.perf_counter()
        if not self._run_slice.must_wait():
            is_decided = self._decide(data, arrived_s, arrived_s)
            if not is_decided:
                self._bucket.give_back()
            return is_decided
        self._held = data, arrived_s
        if not self._is_waiting:
            self._is_waiting = True
            self._run_slice.call_in_turn(self._take_turn, self._account)
        return True

    def release(self) -> None:
        """Give the message that waits for its turn to the reader, if there is one."""
        if self._held is not None:
            (data, self._released_s), self._held = self._held, None
            self._bucket.give_back()  # the reader takes it
            self._socket.deliver(data)

    def _take_turn(self) -> None:
        """Decide the message that waits, unless the reader got it meanwhile."""
        self._is_waiting = False
        if self._held is None:
            return
        if self._inbox.is_idle and self._decide(*self._held, time.perf_counter()):
            self._held = None
        else:
            self.release()

    def _decide(self, data: str | bytes, arrived_s: float, began_s: float) -> bool:
        """Decide the sample of a message; return whether that was possible.

        Args:
            data: The message.
            arrived_s: Its time of arrival.
            began_s: The time now.
        """
        # If other connections wait to read, this one waits behind them.
        if self._read_slice.is_contended or not self._socket.can_write:
            return False
        is_decided = self._decide_sample(data, arrived_s)
        self._account.charge(time.perf_counter() - began_s)
        if is_decided:
            self._skipped = 0
        else:
            self._skipped = self._to_skip = min(_MAX_SKIPPED, 2 * self._skipped + 1)
        return is_decided

    def _decide_sample(self, data: str | bytes, arrived_s: float) -> bool:
        session, inbox = self._session, self._inbox
        number = inbox.samples_sent
        try:
            events = parse_sample(data, _MAX_BYTES)
            if events is None:
                return False
            # Dropped and refused samples keep their numbers, so that later ones get their seeds.
            # After a decision made here, the number of the session is the next one.
            if number != self._next_number and (lost := number - session.sample):
                session.skip(lost)
            decision = session.decide_nowait(events)
        except NeuroasyncError:
            return False  # the worker makes the same error, and reports it
        if decision is None:
            return False
        inbox.use_number()
        self._next_number = number + 1
        is_binary = not isinstance(data, str)
        # Responses that are written one after the other cost less. If the clients are in one
        # process, for example, only the first write wakes it.
        self._run_slice.call_last(self._send, decision, number, len(events), arrived_s, is_binary)
        return True

    def _send(
        self, decision: Decision, number: int, events: int, arrived_s: float, is_binary: bool
    ) -> None:
        """Send the decision of a sample.

        Args:
            decision: The decision.
            number: Number of the sample.
            events: Its number of events.
            arrived_s: Time of arrival of its message.
            is_binary: Whether the response is binary, like the message.
        """
        latency_s = time.perf_counter() - arrived_s
        self._metrics.count_answered(events, decision.total_spikes, latency_s)
        self._socket.write(format_decision(decision, number, 1e3 * latency_s, binary=is_binary))
        if self._reports_next:
            self._reports_next = False
            self._on_decided()
