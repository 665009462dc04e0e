"""Does with a session what the cutter of its stream says."""

from typing import Protocol

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.segmenter import Segment, Segmenter
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.core.snapshot.stream_snapshot import MAX_AHEAD, StreamState
from neuroasync.errors import SpikeFileError
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.streams.stream_clock import StreamClock

__all__ = ["StreamDriver", "Streamed"]


class Streamed(Protocol):
    """What a stream needs of its session."""

    counts: Counts
    carries: bool

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has made a decision that was not taken yet."""
        ...

    def check(self, train: SpikeTrain) -> None:
        """Raise SpikeFileError unless the network has such inputs."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether passes without input would do nothing but decay."""
        ...

    async def send(self, events: Events) -> None:
        """Add input events to the sample."""
        ...

    async def leave_out(self, count: int) -> None:
        """Take events that no pass reads."""
        ...

    async def advance(self, t_us: int) -> None:
        """Run every pass before ``t_us``."""
        ...

    async def decision(self, duration_us: int | None = None) -> Decision:
        """End the sample; if it goes on, with its votes until then."""
        ...

    async def pass_by(self, t_us: int) -> None:
        """Run every pass before ``t_us``, which is after the sample's window."""
        ...

    async def carry(self, after_us: int) -> None:
        """Begin the next sample where the network then is, so long after this one's time 0."""
        ...


class StreamDriver:
    """Does with the session what the cutter says; each sample is decided once, and early.

    Args:
        session: of the network, between two samples, or where ``state`` has it.
        cutter: where samples end; fresh.
        pace: the stream's time, if it goes by a clock; fresh.
        state: of another stream of this window, to go on with; None: to begin anew.

    Attributes:
        cutter, pace: these.
        ahead: parts of the stream that wait for the clock.
    """

    def __init__(
        self, session: Streamed, cutter: Segmenter, pace: StreamClock, state: StreamState | None
    ) -> None:
        self.cutter = cutter
        self.pace = pace
        self.ahead: BoundedQueue[SpikeTrain] = BoundedQueue(MAX_AHEAD)
        self._session = session
        self._is_told = False
        self._start_us: int | None = None  # time 0 of the session's sample
        if state is not None:
            self._restore(state)

    def save(self) -> StreamState:
        """What the stream holds, to go on with elsewhere."""
        done_us, shift_us = self.pace.save()
        return StreamState(
            window=str(self.cutter.window),
            carries=self._session.carries,
            decision_emitted=self._is_told,
            zero_us=-1 if self._start_us is None else self._start_us,
            cutter=self.cutter.save(),
            done_us=done_us,
            shift_us=shift_us,
            ahead=self.ahead.waiting(),
        )

    def _restore(self, state: StreamState) -> None:
        self._is_told = state.decision_emitted
        self._start_us = None if state.zero_us < 0 else state.zero_us
        self.cutter.restore(state.cutter)
        # A stream that went by no clock is at its last event, if it had any.
        done_us = state.cutter.last_us if state.done_us < 0 else state.done_us
        if done_us >= 0:
            self.pace.restore(done_us, state.shift_us)
            self.cutter.passed_us = max(state.done_us, 0)
        for part in state.ahead:
            self.ahead.push(part)

    def feed(self, train: SpikeTrain) -> None:
        """Take further events of the stream.

        Raises:
            SpikeFileError: they are not valid for the network, or go back in time.
        """
        try:
            self._session.check(train)
            self.cutter.feed(train)
        except SpikeFileError:
            self._session.counts.refused += len(train)
            raise

    async def follow(self, limit_us: int) -> Decision | None:
        """Go on to the next decision; None: all is done that can be before ``limit_us``."""
        while (cut := self.cutter.next(limit_us, self._is_decided())) is not None:
            if (decision := await self._do(cut)) is not None:
                return decision
        return None

    async def reach(self, limit_us: int) -> Decision | None:
        """Run the passes before ``limit_us``, for nothing earlier will come."""
        start = self.cutter.start_us
        if start is None:
            if self.runs_on and self._start_us is not None:
                await self._session.pass_by(limit_us - self._start_us)
            return None
        if limit_us <= start or (self._is_told and not self._session.carries):
            return None
        await self._begin_at(start)
        await self._session.advance(limit_us - start)
        self.cutter.passed_us = limit_us
        if self.cutter.ends_when_decided:
            return await self.follow(limit_us)
        return await self._emit_early_decision()

    @property
    def runs_on(self) -> bool:
        """Whether the network has something to do between windows, without input."""
        return self._session.carries and self._start_us is not None and not self._session.is_idle

    async def end(self) -> Decision | None:
        """End the sample that is under way: the stream is over."""
        cut = self.cutter.close()
        return None if cut is None else await self._do(cut)

    def _is_decided(self) -> bool:
        return self._session.is_decided and not self._is_told

    async def _begin_at(self, start_us: int) -> None:
        """Let the session's sample be that which begins at ``start_us``."""
        if self._session.carries and self._start_us not in (None, start_us):
            await self._session.carry(start_us - self._start_us)
        self._start_us = start_us

    async def _do(self, cut: Segment) -> Decision | None:
        await self._begin_at(cut.start_us)
        told = self._is_told
        if cut.ends:  # now: what takes a snapshot while this waits must not see the next one told
            self._is_told = False
        if not told or self._session.carries:
            if len(cut.events):
                await self._session.send(cut.events)
            if cut.reached_us is not None:
                await self._session.advance(cut.reached_us)
        else:
            await self._session.leave_out(len(cut.events))
        if not cut.ends:
            return await self._emit_early_decision()
        return None if told else await self._session.decision(cut.duration_us)

    async def _emit_early_decision(self) -> Decision | None:
        """The decision as soon as the stop rule has made it."""
        if not self._is_decided() or self.cutter.ends_when_decided:
            return None
        self._is_told = True
        return await self._session.decision()
