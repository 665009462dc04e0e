"""The queue of one connection's samples, between the reader and the worker.

This module does not deal with sockets. Each sample is counted when its first message comes here,
and once more when it is settled, that is, accepted, dropped or refused. Each chunk acquires
capacity before it is queued, and releases it once the passes have read its events or its sample is
settled. A small chunk that the worker is waiting for needs no capacity, so that other connections
cannot keep a client waiting that has nothing in the queue.
"""

from typing import Final

from neuroasync.errors import ClosedError, QueueFullError
from neuroasync.runtime.bounded_queue import BoundedQueue, WhenFull
from neuroasync.serve.capacity import CapacityLimiter, CapacityShare
from neuroasync.serve.connection.incoming_sample import Chunk, IncomingSample, SampleState
from neuroasync.serve.connection.message_peek import MessagePeek
from neuroasync.serve.error_messages import RefusalNotice
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics

__all__ = ["SampleInbox"]

_SMALL: Final = 1024
"""Maximum number of events of a connection that need no capacity: those of a chunk that the worker
is waiting for, and those that wait for the next pass. With all connections, this is 32 MB."""


class SampleInbox:
    """A queue that takes messages from one reader and gives samples to one worker.

    Args:
        limits: Limits of the connection.
        when_full: What to do with a sample when the queue is full.
        server_capacity: Capacity limiter that all connections share.
        metrics: Counters for the outcome of each sample.

    Attributes:
        max_events: Maximum cost of a message; see :class:`Chunk`.
        samples_sent: Number of samples that the client has begun to send.
    """

    __slots__ = (
        "_current", "_limits", "_metrics", "_open", "_queue", "_share", "_when_full", "max_events",
        "samples_sent",
    )  # fmt: skip

    def __init__(
        self,
        limits: ServerLimits,
        when_full: WhenFull,
        server_capacity: CapacityLimiter,
        metrics: ServerMetrics,
    ) -> None:
        self._limits = limits
        self._when_full = when_full
        self.max_events = min(limits.max_queued_events, server_capacity.max_events)
        self._share = CapacityShare(
            server_capacity, limits.max_queued_samples, limits.max_queued_events
        )
        self._metrics = metrics
        # One more sample is on its way to a worker that was waiting for it.
        self._queue: BoundedQueue[IncomingSample] = BoundedQueue(limits.max_queued_samples + 1)
        self._open: set[IncomingSample] = set()
        self._current: IncomingSample | None = None
        self.samples_sent = 0

    # The reader calls the following methods.

    async def put(
        self, data: str | bytes, peek: MessagePeek, arrived_s: float, is_provisional: bool
    ) -> tuple[RefusalNotice, ...]:
        """Add a message to its sample, after waiting for capacity or freeing some.

        Cancellation: the inbox stays usable, but the message is lost. Its sample stays unsettled
        until :meth:`close` or :meth:`abandon` settles it.

        Args:
            data: The message.
            peek: Event count and flags of the message.
            arrived_s: Time of arrival, by ``time.perf_counter``.
            is_provisional: Whether to send provisional decisions, if the message begins a sample.

        Returns:
            Notices for the client about samples that were dropped or refused.
        """
        sample = self._current or self._begin(not isinstance(data, str), is_provisional)
        notices: tuple[RefusalNotice, ...] = ()
        if not sample.discards_chunks:
            chunk = Chunk.of_message(data, arrived_s, peek.events)
            notices = await self._admit(sample, chunk, peek.end)
        if peek.end:
            self._current = None
        return notices

    @property
    def is_idle(self) -> bool:
        """Whether no sample has begun and the worker waits for one."""
        return self._current is None and self._queue.is_starved

    def use_number(self) -> None:
        """Use the next number for a sample that was answered without the worker, which is idle.

        The caller counts the sample.
        """
        self.samples_sent += 1

    def refuse_unreadable(self, error: str, is_binary: bool) -> RefusalNotice:
        """Refuse the sample of an unreadable message, which may or may not be its last one.

        The next message begins a new sample.

        Args:
            error: Explanation for the client.
            is_binary: Whether the message was binary. The response has the same format if the
                message begins a sample.
        """
        sample = self._current or self._begin(is_binary, False)
        self._current = None
        if sample.discards_chunks:
            return RefusalNotice(None, error, False, is_binary)
        return self._refuse(sample, "malformed", error)

    def close(self, reason: str, error: str) -> tuple[RefusalNotice, ...]:
        """Stop taking messages. Complete samples still get decisions; an open one is refused.

        ``reason`` is a label of the metric ``samples_refused``. Return a notice with ``error`` for
        the client about the refused sample, if there is one.
        """
        self._queue.close()
        sample, self._current = self._current, None
        if sample is None or sample.discards_chunks:
            return ()
        return (self._refuse(sample, reason, error),)

    def abandon(self) -> None:
        """Settle all samples and release all capacity, because the client left. Idempotent."""
        self._queue.close()
        self._current = None
        for sample in tuple(self._open):
            if sample.state in (SampleState.COMPLETE, SampleState.DECIDED):
                self.count_accepted(sample, "client-gone")
            else:
                self._settle(sample, "samples_refused", "unfinished")
        while len(self._queue):
            self._pop_sample()

    # The worker calls the following methods.

    async def next_sample(self) -> IncomingSample:
        """Wait for the next sample and return it. Its chunks may still be arriving.

        Cancellation: safe. No sample is taken.

        Raises:
            ClosedError: The inbox is closed and has no more samples.
        """
        while True:
            if not len(self._queue):
                self._share.let_through(_SMALL)
            await self._queue.readable()
            sample = self._pop_sample()
            # A sample may have been refused while it was queued.
            if not sample.discards_chunks:
                return sample

    async def next_chunk(self, sample: IncomingSample, unread_events: int) -> Chunk | None:
        """Wait for the next chunk of a running sample and return it, or None after the last one.

        Cancellation: safe. No chunk is taken.

        Args:
            sample: The sample.
            unread_events: Number of events of earlier chunks that no pass has read. They keep
                their capacity.

        Raises:
            QueueFullError: There is no capacity for these events.
        """
        if (sample.held_events or unread_events > _SMALL) and not sample.discards_chunks:
            self._hold(sample, unread_events)
        # After its last chunk, the request that waits belongs to another sample.
        if not len(sample.chunks) and not sample.chunks.is_closed:
            self._share.let_through(_SMALL)
        try:
            await sample.chunks.readable()
        except ClosedError:
            return None
        chunk = self._pop_chunk(sample)
        sample.held_events += chunk.held
        return chunk

    def _hold(self, sample: IncomingSample, events: int) -> None:
        """Hold capacity for this number of events of a running sample, apart from a few."""
        needed = max(0, events - _SMALL)
        excess = sample.held_events - needed
        if excess > 0:
            self._share.release(0, excess)
        elif excess and not self._share.hold_nowait(-excess):
            raise QueueFullError(
                f"{events} events of the sample wait for one pass, more than the server can hold "
                "now; send fewer events for each timestep"
            )
        sample.held_events = needed

    def mark_decided(self, sample: IncomingSample) -> None:
        """Discard further chunks of a sample, because its decision is known but not yet sent."""
        # The client may have left while the decision was made, which settles the sample.
        if not sample.is_settled:
            sample.state = SampleState.DECIDED
        self._discard_chunks(sample)

    def count_accepted(self, sample: IncomingSample, outcome: str) -> None:
        """Count a sample as accepted."""
        self._settle(sample, "samples_accepted", outcome)

    def count_failed(
        self, sample: IncomingSample, error: str, outcome: str = "failed"
    ) -> RefusalNotice | None:
        """Count a running sample as accepted although its decision failed.

        Return a notice for the client, or None if the sample was settled while it ran.
        """
        if sample.is_settled:
            return None
        self._settle(sample, "samples_accepted", outcome)
        return RefusalNotice(sample.number, error, False, sample.is_binary)

    def refuse(self, sample: IncomingSample, reason: str, error: str) -> RefusalNotice | None:
        """Refuse a running sample, with a label of the metric ``samples_refused`` as the reason.

        Return a notice for the client, or None if the sample was settled while it ran.
        """
        return None if sample.is_settled else self._refuse(sample, reason, error)

    # Both sides use the following methods.

    def _begin(self, is_binary: bool, is_provisional: bool) -> IncomingSample:
        # Each chunk costs at least one event, so the event limit bounds the number of chunks.
        sample = IncomingSample(
            self.samples_sent, is_binary, is_provisional, self._limits.max_queued_events
        )
        self.samples_sent += 1
        self._current = sample
        self._open.add(sample)
        self._metrics.add("samples_sent")
        self._metrics.add("samples_open")
        return sample

    async def _admit(
        self, sample: IncomingSample, chunk: Chunk, is_last: bool
    ) -> tuple[RefusalNotice, ...]:
        """Acquire capacity for a chunk and queue it, or settle its sample."""
        samples, events = int(sample.state is SampleState.NEW), chunk.cost
        if events > self.max_events:
            error = (
                f"a message counts as {events} events (at least one per 16 bytes), but at most "
                f"{self.max_events} can be queued; send the sample in smaller chunks"
            )
            return (self._refuse(sample, "too-large", error),)
        notices: tuple[RefusalNotice, ...] = ()
        holds = False
        if not (events <= _SMALL and self._is_awaited(sample)):
            holds = self._share.acquire_nowait(samples, events)
            if not holds and self._when_full == "block":
                try:
                    holds = await self._share.acquire(samples, events, len(chunk.data))
                except QueueFullError as error:
                    if not sample.discards_chunks:
                        notices = (self._refuse(sample, "server-full", str(error)),)
            elif not holds:
                notices = self._make_capacity(sample, samples, events)
                holds = not sample.is_settled
            # The worker may have decided or refused the sample during the wait.
            if sample.discards_chunks:
                if holds:
                    self._share.release(samples, events)
                return notices
        self._metrics.add("events_waiting", events)
        sample.chunks.push(chunk._replace(held=events) if holds else chunk)
        if samples:
            sample.holds_place = holds
            self._metrics.add("samples_waiting", 1)
            sample.state = SampleState.RECEIVING
            self._queue.push(sample)
        if is_last:
            sample.state = SampleState.COMPLETE
            sample.chunks.close()
        return notices

    def _make_capacity(
        self, sample: IncomingSample, samples: int, events: int
    ) -> tuple[RefusalNotice, ...]:
        """Acquire capacity by dropping queued samples, or drop or refuse the sample itself."""
        notices = []
        while not self._share.acquire_nowait(samples, events):
            fits = self._share.may_hold(samples, events)
            reason, owner = ("server-full", "server") if fits else ("connection-full", "connection")
            error = f"the queue of the {owner} is full"
            if self._when_full == "error":
                return (self._refuse(sample, reason, error),)
            victim = sample
            if self._when_full == "drop-oldest" and len(self._queue):
                victim = self._pop_sample()
            if not victim.is_settled:
                self._settle(victim, "samples_dropped", reason)
                notices.append(RefusalNotice(victim.number, error, True, victim.is_binary))
            if victim is sample:
                break
        return tuple(notices)

    def _refuse(self, sample: IncomingSample, reason: str, error: str) -> RefusalNotice:
        self._settle(sample, "samples_refused", reason)
        return RefusalNotice(sample.number, error, False, sample.is_binary)

    def _settle(self, sample: IncomingSample, family: str, value: str) -> None:
        if sample.is_settled:
            return
        sample.state = SampleState.SETTLED
        self._open.discard(sample)
        self._metrics.add(family, 1, value)
        self._metrics.add("samples_open", -1)
        self._discard_chunks(sample)

    def _discard_chunks(self, sample: IncomingSample) -> None:
        sample.chunks.close()
        while len(sample.chunks):
            self._share.release(0, self._pop_chunk(sample).held)
        if sample.held_events:
            self._hold(sample, 0)

    def _pop_sample(self) -> IncomingSample:
        """Take the first sample from the queue and release the capacity for its place."""
        sample = self._queue.pop()
        self._metrics.add("samples_waiting", -1)
        if sample.holds_place:
            sample.holds_place = False
            self._share.release(1, 0)
        return sample

    def _pop_chunk(self, sample: IncomingSample) -> Chunk:
        chunk = sample.chunks.pop()
        self._metrics.add("events_waiting", -chunk.cost)
        return chunk

    def _is_awaited(self, sample: IncomingSample) -> bool:
        """Return whether the worker is waiting for the next chunk of a sample."""
        if sample.state is SampleState.NEW:
            return self._queue.is_awaited and not len(self._queue)
        return sample.chunks.is_awaited and not len(sample.chunks)
