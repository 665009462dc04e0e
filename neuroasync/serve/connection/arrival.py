"""Decides small samples where their messages are read, without a queue or another task."""

import time
from collections.abc import Callable
from typing import Final

from neuroasync.errors import NeuroasyncError
from neuroasync.messages import format_decision, parse_events
from neuroasync.runtime.session import Session
from neuroasync.runtime.time_slice import CpuAccount, TimeSlice
from neuroasync.serve.connection.arrival_turns import ArrivalTurns
from neuroasync.serve.connection.incoming_sample import Chunk
from neuroasync.serve.connection.rate_limit import TokenBucket
from neuroasync.serve.connection.sample_inbox import SampleInbox
from neuroasync.serve.connection.websocket import Offer, Socket
from neuroasync.serve.metrics import ServerMetrics

__all__ = ["ArrivalDecider"]

_MAX_BYTES: Final = 2**14
"""Maximum size of a message that is parsed where it is read. Parsing it takes about 0.3 ms."""

_MAX_SKIPPED: Final = 256
"""Maximum number of messages that go through the queue after an attempt in vain."""


class ArrivalDecider:
    """Decides a sample in the callback that has read its only message.

    A sample is decided here only if the worker of the connection is idle, the client reads its
    responses, and the time slice is long enough. If other connections wait for a time slice, the
    message waits for its turn with them. All other messages, and those that get no decision, go
    through the inbox. If a sample takes longer than the slice, or has an error, a growing number of
    the next ones goes there directly, as the attempt was in vain.

    Args:
        socket: The accepted websocket.
        session: The session of the connection.
        inbox: The inbox of the connection.
        bucket: The rate limit of the connection.
        metrics: Counters of the server.
        on_decided: Called after each sample that was decided.
        turns: Turns of connections that wait for a time slice.
        account: CPU time that the connection has used for reading, and for decisions here.
    """

    __slots__ = ("_account", "_arrived_s", "_bucket", "_has_turn", "_inbox", "_is_waiting",
                 "_metrics", "_on_decided", "_run_slice", "_session", "_skipped", "_socket",
                 "_to_skip", "_turns")  # fmt: skip

    def __init__(
        self,
        socket: Socket,
        session: Session,
        inbox: SampleInbox,
        bucket: TokenBucket,
        metrics: ServerMetrics,
        on_decided: Callable[[], None],
        turns: ArrivalTurns,
        account: CpuAccount,
    ) -> None:
        self._socket = socket
        self._session = session
        self._inbox = inbox
        self._bucket = bucket
        self._turns = turns
        self._account = account
        self._run_slice = TimeSlice.of_running_loop()
        self._metrics = metrics
        self._on_decided = on_decided
        self._to_skip = self._skipped = 0
        self._arrived_s = 0.0
        self._is_waiting = self._has_turn = False

    def receive(self, data: str | bytes) -> Offer:
        """Decide the sample of a message and answer it, now or in the turn of the connection.

        If the message is declined, nothing has changed.
        """
        if self._to_skip:
            self._to_skip -= 1
            return Offer.DECLINED
        if not (self._inbox.is_idle and self._socket.can_send_nowait and len(data) <= _MAX_BYTES):
            return Offer.DECLINED
        if not self._bucket.has_token:
            return Offer.DECLINED
        began_s = time.perf_counter()
        if not self._has_turn:
            self._arrived_s = began_s
        if self._run_slice.must_wait():
            self._wait_turn()
            return Offer.PUT_OFF
        is_decided = self._decide(data)
        self._account.charge(time.perf_counter() - began_s)
        return Offer.ANSWERED if is_decided else Offer.DECLINED

    def _wait_turn(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._turns.wait(self._take_turn, self._account)

    def _take_turn(self) -> None:
        self._is_waiting, self._has_turn = False, True
        try:
            self._socket.offer_again()
        finally:
            self._has_turn = False

    def _decide(self, data: str | bytes) -> bool:
        """Decide the sample of a message and answer it; return whether it was answered."""
        session, number = self._session, self._inbox.samples_sent
        try:
            message = parse_events(data, _MAX_BYTES)
            if not message.end or message.provisional:
                return False
            chunk = Chunk.of_message(data, self._arrived_s, len(message.events))
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
        latency_s = time.perf_counter() - self._arrived_s
        binary = not isinstance(data, str)
        self._inbox.skip_answered()
        self._metrics.count_arrival(len(message.events), decision.total_spikes, latency_s)
        self._socket.send_nowait(format_decision(decision, number, 1e3 * latency_s, binary=binary))
        self._on_decided()
        return True
