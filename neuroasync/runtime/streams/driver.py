"""Runs the samples of one stream: applies the segments that its window defines."""

from collections.abc import AsyncIterable, Iterable

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.segmenter import Segment, Segmenter
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.core.events.waiting_events import PlacedChunk
from neuroasync.core.snapshot.stream_snapshot import MAX_LOOKAHEAD_CHUNKS, StreamState
from neuroasync.errors import NeuroasyncError
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.sample_ownership import Lease
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.streams.chunks import ChunkIterator
from neuroasync.runtime.streams.stream_clock import StreamClock

__all__ = ["StreamDriver"]


class StreamDriver:
    """The state of one stream, between the events that come in and the decisions that go out.

    Each sample is decided once, as soon as the stop rule fires.

    Args:
        runner: runs the samples.
        lease: the stream's right to use them.
        segmenter: splits the stream into samples; no events have been fed to it yet.
        stream_clock: the time of the stream; not started yet.
        carries: whether the network keeps its state from window to window.
        is_paced: whether a clock paces the stream.
        state: the state of an earlier stream to continue from; None for a new stream.

    Attributes:
        segmenter: as given.
        stream_clock: as given.
        lookahead: chunks of the stream that were read from its source before their time.
    """

    def __init__(
        self,
        runner: SampleRunner,
        lease: Lease,
        segmenter: Segmenter,
        stream_clock: StreamClock,
        carries: bool,
        is_paced: bool,
        state: StreamState | None,
    ) -> None:
        self.segmenter = segmenter
        self.stream_clock = stream_clock
        self.lookahead: BoundedQueue[SpikeTrain] = BoundedQueue(MAX_LOOKAHEAD_CHUNKS)
        self._runner = runner
        self._lease = lease
        self._carries = carries
        self._is_paced = is_paced
        self._chunks: ChunkIterator | None = None
        self._decision_emitted = False
        self._start_us: int | None = None  # stream time at which the current sample starts
        if state is not None:
            self._restore(state)
        elif carries:
            runner.simulator.enable_carry_over()

    @property
    def must_keep_running(self) -> bool:
        """Whether the network is active between windows, even without input."""
        if not self._carries or self._start_us is None:
            return False
        return not self._runner.simulator.is_quiescent

    def save(self) -> StreamState:
        """Return the state from which another stream can continue."""
        done_us, shift_us = self.stream_clock.save()
        taken = () if self._chunks is None else self._chunks.taken()
        return StreamState(
            window=str(self.segmenter.window),
            carry_state=self._carries,
            decision_emitted=self._decision_emitted,
            zero_us=-1 if self._start_us is None else self._start_us,
            segmenter=self.segmenter.save(),
            done_us=done_us,
            shift_us=shift_us,
            ahead=self.lookahead.waiting() + taken,
        )

    def _restore(self, state: StreamState) -> None:
        self._decision_emitted = state.decision_emitted
        self._start_us = None if state.zero_us < 0 else state.zero_us
        self.segmenter.restore(state.segmenter)
        # A stream without a clock has reached the time of its last event, if it had any.
        done_us = state.segmenter.last_us if state.done_us < 0 else state.done_us
        # Without a clock, a snapshot of this stream must not claim a time that one has reached.
        if self._is_paced and done_us >= 0:
            self.stream_clock.restore(done_us, state.shift_us)
            self.segmenter.passed_us = max(state.done_us, 0)
        for chunk in state.ahead:
            self.lookahead.push(chunk)

    def read(self, source: AsyncIterable[Events] | Iterable[Events]) -> ChunkIterator:
        """Return an iterator over the chunks of ``source``; raise TypeError if it has none.

        A snapshot includes the chunk that the iterator has taken and not returned yet.
        """
        self._chunks = ChunkIterator(source, self._runner.input.thread_calls)
        return self._chunks

    def feed(self, chunk: PlacedChunk) -> None:
        """Add further events of the stream. No pass runs yet.

        Raises:
            EventsError: the events are not valid for the network, or go back in time.
            LimitError: too many events wait for one pass.
        """
        buffer, train = self._runner.input.buffer, chunk.train
        try:
            train.check_indices(self._runner.simulator.plan.packed.model.input_size)
            if len(train):
                buffer.check_room()
            self.segmenter.feed(chunk)
        except NeuroasyncError:
            self._runner.counts.refused += len(train) - chunk.start
            raise

    async def next_decision(self, limit_us: int) -> Decision | None:
        """Run up to the next decision.

        Cancellation: the current sample is abandoned.

        Args:
            limit_us: stream time, µs; all events before it must have been fed.

        Returns:
            The decision, or None if nothing is left to do before ``limit_us``.

        Raises:
            RuntimeError: another call to the session has taken over the sample.
            ClosedError: the session is closed.
            NeuroasyncError: a pass failed, for example because a custom population or stop rule
                did, or a limit was reached.
        """
        while (segment := self.segmenter.next(limit_us, self._is_decided())) is not None:
            if (decision := await self._apply(segment)) is not None:
                return decision
        return None

    async def run_until(self, limit_us: int) -> Decision | None:
        """Run the passes before ``limit_us`` (stream time, µs); no earlier event will come.

        Cancellation: the current sample is abandoned.

        Returns:
            A decision that the stop rule has made on the way, if any.

        Raises:
            RuntimeError, ClosedError, NeuroasyncError: as :meth:`next_decision`.
        """
        start_us = self.segmenter.start_us
        if start_us is None:
            if self.must_keep_running and self._start_us is not None:
                await self._run_between_windows(limit_us - self._start_us)
            return None
        if limit_us <= start_us or (self._decision_emitted and not self._carries):
            return None
        if self._carries:
            await self._carry_over_to(start_us)
        self._start_us = start_us
        await self._advance(limit_us - start_us)
        self.segmenter.passed_us = limit_us
        if self.segmenter.ends_when_decided:
            return await self.next_decision(limit_us)
        return await self._emit_early_decision()

    async def end(self) -> Decision | None:
        """End the current sample, because the stream has ended; return its decision, if due.

        Cancellation: the current sample is abandoned.

        Raises:
            RuntimeError, ClosedError, NeuroasyncError: as :meth:`next_decision`.
        """
        segment = self.segmenter.close()
        return None if segment is None else await self._apply(segment)

    def _is_decided(self) -> bool:
        return self._runner.is_decided and not self._decision_emitted

    async def _apply(self, segment: Segment) -> Decision | None:
        if self._carries:
            await self._carry_over_to(segment.start_us)
        self._start_us = segment.start_us
        was_emitted = self._decision_emitted
        if segment.ends:
            # This is cleared before the awaits below: a snapshot that is taken while this
            # coroutine is suspended must not count the next sample as decided.
            self._decision_emitted = False
        if not was_emitted or self._carries:
            if len(segment.events):
                await self._send(segment.events)
            if segment.reached_us is not None:
                await self._advance(segment.reached_us)
        else:
            # The sample is decided and the network stops, so no pass will use these events.
            self._lease.check()
            await self._runner.discard(len(segment.events))
        if not segment.ends:
            return await self._emit_early_decision() if self._is_decided() else None
        return None if was_emitted else await self._finish(segment.duration_us)

    async def _emit_early_decision(self) -> Decision | None:
        """Return the decision if the stop rule has made it before the window ends."""
        if not self._is_decided() or self.segmenter.ends_when_decided:
            return None
        self._decision_emitted = True
        return await self._finish(None)

    async def _carry_over_to(self, start_us: int) -> None:
        """Make the sample that begins at ``start_us`` the runner's current one."""
        if self._start_us is not None and self._start_us != start_us:
            with self._lease:
                await self._runner.carry_over(start_us - self._start_us)

    async def _send(self, events: SpikeTrain) -> None:
        self._lease.check()
        train = self._runner.input.checked(events, is_rest=True)
        with self._lease:
            self._runner.accept(train)
            if not self._runner.passes.run_ready_now():
                await self._runner.passes.run_ready()

    async def _advance(self, t_us: int) -> None:
        self._lease.check()
        end_us = self._runner.input.check_advance(t_us)
        with self._lease:
            await self._runner.advance(t_us, end_us)

    async def _run_between_windows(self, t_us: int) -> None:
        with self._lease:
            await self._runner.passes.run_until(t_us - 1)

    async def _finish(self, duration_us: int | None) -> Decision:
        self._lease.check()
        end_us = self._runner.input.last_pass_us(duration_us)
        with self._lease:
            return await self._runner.run_and_finish(end_us, duration_us)
