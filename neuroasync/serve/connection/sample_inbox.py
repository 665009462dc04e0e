"""The samples of one connection, from their messages to whoever decides on them.

Nothing here knows of sockets. Every sample is counted when its first message comes, and once more
when it is settled: accepted, dropped or refused. Room is taken before a part waits, of the
connection and of the server, and given back when the part goes on, or its sample is settled.
"""

from neuroasync.errors import ClosedError
from neuroasync.runtime.bounded_queue import BoundedQueue, WhenFull
from neuroasync.serve.capacity import CapacityLimiter
from neuroasync.serve.connection.incoming_sample import IncomingSample, Part, RefusalNotice
from neuroasync.serve.connection.message_peek import MessagePeek
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics

__all__ = ["SampleInbox"]

_BYTES_AN_EVENT = 16


class SampleInbox:
    """Takes messages from one reader, and gives samples to one worker.

    Args:
        limits: of the connection.
        when_full: what becomes of a sample for which there is no room.
        server: room that all connections share.
        tally: counts what becomes of every sample.

    Attributes:
        sent: samples so far.
    """

    __slots__ = (
        "_current", "_limits", "_open", "_queue", "_room", "_server", "_tally", "_when_full",
        "sent",
    )  # fmt: skip

    def __init__(
        self,
        limits: ServerLimits,
        when_full: WhenFull,
        server: CapacityLimiter,
        tally: ServerMetrics,
    ) -> None:
        self._limits = limits
        self._when_full = when_full
        self._server = server
        self._room = CapacityLimiter(limits.max_queued_samples, limits.waiting_events)
        self._tally = tally
        self._queue: BoundedQueue[IncomingSample] = BoundedQueue(limits.max_queued_samples)
        self._open: set[IncomingSample] = set()
        self._current: IncomingSample | None = None
        self.sent = 0

    # The reader's side.

    async def take(
        self, data: str | bytes, seen: MessagePeek, arrived_s: float, is_provisional: bool
    ) -> tuple[RefusalNotice, ...]:
        """Hand a message to its sample, once there is room or has been made.

        Cancellation: safe; the message is lost, and :meth:`end` or :meth:`abandon` settles its
        sample.

        Returns:
            What there is to tell about samples that were dropped or refused.
        """
        sample = self._current or self._begin(not isinstance(data, str), is_provisional)
        notices: tuple[RefusalNotice, ...] = ()
        if not sample.is_over:
            cost = max(1, seen.events, len(data) // _BYTES_AN_EVENT)
            notices = await self._admit(sample, Part(data, arrived_s, cost), seen.end)
        if seen.end:
            self._current = None
        return notices

    def unreadable(self, error: str, is_binary: bool) -> RefusalNotice:
        """Refuse the sample to which a message belongs that cannot be read.

        Nobody knows whether it would have been its sample's last; the next one begins another.

        Args:
            error: what is wrong with it.
            is_binary: the message's kind, which is the answer's if it begins a sample.
        """
        sample = self._current or self._begin(is_binary, False)
        self._current = None
        if sample.is_over:
            return RefusalNotice(None, error, False, is_binary)
        return self._refuse(sample, "malformed", error)

    def end(self, reason: str, error: str) -> tuple[RefusalNotice, ...]:
        """Take no more messages. What is whole still gets its decision, what is not is refused.

        Args:
            reason: to count it by.
            error: to tell the client.
        """
        self._queue.close()
        sample, self._current = self._current, None
        if sample is None or sample.is_over:
            return ()
        return (self._refuse(sample, reason, error),)

    def abandon(self) -> None:
        """The client has gone: settle all samples, and give all room back. May be called twice."""
        self._queue.close()
        self._current = None
        for sample in tuple(self._open):
            if sample.is_whole or sample.is_over:
                self.accepted(sample, "client-gone")
            else:
                self._settle(sample, "samples_refused", "unfinished")
        while len(self._queue):
            self._pop()

    # The worker's side.

    async def sample(self) -> IncomingSample:
        """Wait for the next sample, and take it; its parts may still be coming.

        Cancellation: safe; nothing is taken.

        Raises:
            ClosedError: there will be none.
        """
        while True:
            await self._queue.readable()
            sample = self._pop()
            if not sample.is_over:
                return sample

    async def part(self, sample: IncomingSample) -> Part | None:
        """Wait for the next part of a sample, and take it; None if there will be none.

        Cancellation: safe; nothing is taken.
        """
        try:
            await sample.parts.readable()
        except ClosedError:
            return None
        return self._pop_part(sample)

    def decided(self, sample: IncomingSample) -> None:
        """A sample has its decision, which is still to be told: pass over what comes of it."""
        self._close(sample)

    def accepted(self, sample: IncomingSample, outcome: str) -> None:
        """Count a sample as accepted."""
        self._settle(sample, "samples_accepted", outcome)

    def failed(self, sample: IncomingSample, error: str) -> RefusalNotice:
        """Count a sample as accepted, though it cannot be decided on."""
        self._settle(sample, "samples_accepted", "failed")
        return RefusalNotice(sample.number, error, False, sample.is_binary)

    def malformed(self, sample: IncomingSample, error: str) -> RefusalNotice:
        """Refuse a sample with a message that breaks the format."""
        return self._refuse(sample, "malformed", error)

    def invalid(self, sample: IncomingSample, error: str) -> RefusalNotice:
        """Refuse a sample with events that the network does not read."""
        return self._refuse(sample, "invalid", error)

    # Both.

    def _begin(self, is_binary: bool, is_provisional: bool) -> IncomingSample:
        sample = IncomingSample(self.sent, is_binary, is_provisional, self._limits.waiting_events)
        self.sent += 1
        self._current = sample
        self._open.add(sample)
        self._tally.add("samples_sent")
        self._tally.add("samples_open")
        return sample

    async def _admit(
        self, sample: IncomingSample, part: Part, ends: bool
    ) -> tuple[RefusalNotice, ...]:
        """Take room for a part, and let it wait for the worker; or settle its sample."""
        samples, events = 0 if sample.is_admitted else 1, part.cost
        most = min(self._room.events_in_all, self._server.events_in_all)
        if events > most:
            error = f"t_us: {events} events in one message, the limit is {most}; send parts"
            return (self._refuse(sample, "too-large", error),)
        notices: tuple[RefusalNotice, ...] = ()
        if not self._take_now(samples, events):
            if self._when_full == "block":
                await self._take(samples, events)
            else:
                notices = self._make_room(sample, samples, events)
            if sample.is_over:  # by the worker, while this waited; or for want of room
                if self._when_full == "block":
                    self._give(samples, events)
                return notices
        self._tally.add("samples_waiting", samples)
        self._tally.add("events_waiting", events)
        sample.parts.push(part)
        if samples:
            sample.is_admitted = True
            self._queue.push(sample)
        if ends:
            sample.is_whole = True
            sample.parts.close()
        return notices

    def _make_room(
        self, sample: IncomingSample, samples: int, events: int
    ) -> tuple[RefusalNotice, ...]:
        """Take room for a sample by dropping those before it; or drop or refuse it, as asked."""
        notices = []
        while not self._take_now(samples, events):
            enough = samples <= self._room.samples and events <= self._room.events
            reason = "server-full" if enough else "connection-full"
            whose = "server" if enough else "connection"
            error = f"no room: too many samples or events of this {whose} are waiting"
            if self._when_full == "error":
                return (self._refuse(sample, reason, error),)
            victim = sample
            if self._when_full == "drop-oldest" and len(self._queue):
                victim = self._pop()
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
        sample.is_settled = True
        self._open.discard(sample)
        self._tally.add(family, 1, value)
        self._tally.add("samples_open", -1)
        self._close(sample)

    def _close(self, sample: IncomingSample) -> None:
        sample.is_over = True
        sample.parts.close()
        while len(sample.parts):
            self._pop_part(sample)

    def _pop(self) -> IncomingSample:
        """Take the first sample from the queue, and give back its room there."""
        sample = self._queue.pop()
        self._tally.add("samples_waiting", -1)
        self._give(1, 0)
        return sample

    def _pop_part(self, sample: IncomingSample) -> Part:
        part = sample.parts.pop()
        self._tally.add("events_waiting", -part.cost)
        self._give(0, part.cost)
        return part

    def _take_now(self, samples: int, events: int) -> bool:
        if not self._room.take_now(samples, events):
            return False
        if self._server.take_now(samples, events):
            return True
        self._room.give(samples, events)
        return False

    async def _take(self, samples: int, events: int) -> None:
        await self._room.take(samples, events)
        try:
            await self._server.take(samples, events)
        except BaseException:
            self._room.give(samples, events)
            raise

    def _give(self, samples: int, events: int) -> None:
        self._room.give(samples, events)
        self._server.give(samples, events)
