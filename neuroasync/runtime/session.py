"""One stream of events: a state of its own over weights that are shared."""

from __future__ import annotations  # signatures that help() shows as they are written

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from typing import Self

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.events.segmenter import Segmenter
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.core.events.window import Window, parse_window
from neuroasync.core.snapshot.session_snapshot import dump_snapshot, read_snapshot, restore_state
from neuroasync.core.snapshot.stream_snapshot import StreamState
from neuroasync.runtime.clock import VirtualClock
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.streams.driver import StreamDriver
from neuroasync.runtime.streams.held import Held
from neuroasync.runtime.streams.stream import ChunkIterator, stream_by_clock, stream_unpaced
from neuroasync.runtime.streams.stream_clock import Late, StreamClock

__all__ = ["Session"]


class Session(SampleRunner):
    """One stream of events through a network. Made by :meth:`neuroasync.Network.session`.

    Samples follow each other; each starts from rest, at its own time 0, but for those of a stream
    whose windows carry. A session serves one
    caller at a time. Its memory is that of the network's neurons and the events of one pass.

    Cancellation: safe at every ``await``. The sample that was under way is abandoned, and the
    next starts from rest.

    Attributes:
        counts: what it has taken, refused and lost so far.
    """

    __slots__ = ()

    @property
    def sample(self) -> int:
        """Number of the sample that is under way, from 0."""
        return self._scheduler.sample

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has ended the sample; nothing is left to run then."""
        return self._simulator.is_decided

    async def send(self, events: Events) -> None:
        """Add input events to the sample, and run every pass whose time has come.

        A pass has come once an event of a later one was sent; :meth:`finish_sample` runs the last.
        Once the stop rule said stop, further events are not read.

        Args:
            events: not earlier than those sent before.

        Raises:
            SpikeFileError: the events are not valid for this network. Nothing was accepted.
            LimitError: too many wait for one pass, or the sample would have too many passes.
                Nothing was accepted.
            ClosedError: the session is closed.
        """
        await self._send(events)

    async def finish_sample(self, duration_us: int | None = None) -> Decision:
        """End the sample: run its remaining passes and return what it came to.

        Args:
            duration_us: length of the sample; passes take place at times before it. Without,
                the last pass is that of the last event.

        Raises:
            ValueError: an event came at or after ``duration_us``; the sample goes on.
            LimitError: the sample has too many passes.
            ClosedError: the session is closed.
        """
        return await self._decision(duration_us)

    async def decide(self, events: Events, *, duration_us: int | None = None) -> Decision:
        """Decide on one whole sample: :meth:`send`, then :meth:`finish_sample`.

        Raises:
            SpikeFileError: the events are not valid for this network. Nothing was accepted.
            LimitError: as of :meth:`send`. Nothing was accepted.
            ValueError: an event comes at or after ``duration_us``. Nothing was accepted.
            ClosedError: the session is closed.
        """
        return await self._decide(events, duration_us)

    async def watch(
        self, events: Events | AsyncIterable[Events], *, duration_us: int | None = None
    ) -> AsyncGenerator[Decision, None]:
        """Decide on one sample, and tell on the way each time that another class leads.

        Provisional decisions (``is_final`` is False) say where the sample stands after the input
        group or forward step that brought a new leader, in the middle of a pass, too. The last
        decision is that of :meth:`decide`. The sample waits while a decision is looked at, and so
        does the source: a slow consumer piles nothing up. ``wall_s`` counts that, too.

        Whatever ends the iteration before its last decision abandons the sample: an error, a
        cancellation, ``aclose()``; and so does any other call, after a ``break`` for instance.
        The session can be used at once.

        Args:
            events: the whole sample, or an async source of its parts, each not earlier than those
                before. Once the stop rule said stop, the source is read no further; it is the
                caller's to close.
            duration_us: length of the sample; without, it ends with its last event.

        Raises:
            SpikeFileError: events are not valid for this network.
            LimitError: too many events wait for one pass, or the sample has too many passes.
            ValueError: an event comes at or after ``duration_us``.
            RuntimeError: the session was used for something else meanwhile.
            ClosedError: the session is closed.
        """
        self._check_free()
        watch = self._holder = object()
        self._simulator.watch()
        try:
            if not isinstance(events, AsyncIterable):
                self._accept_part(events, watch, duration_us)
            elif not self._simulator.is_stopped:
                async for part in events:
                    self._accept_part(part, watch, duration_us)
                    while await self._run_to_news(self._inlet.ready_until_us(), watch):
                        yield self._provisional()
                    if self._simulator.is_stopped:
                        break
            end_us = self._inlet.end_us(duration_us)
            while await self._run_to_news(end_us, watch):
                yield self._provisional()
            yield self._finish(duration_us)
        finally:
            if self._holder is watch and not self._is_closed:
                self._abandon()

    async def stream(
        self,
        source: AsyncIterable[Events] | Iterable[Events],
        *,
        window: str | Window | None = None,
        carry_state: bool | None = None,
        late: Late = "merge",
        jitter_buffer_us: int = 0,
    ) -> AsyncGenerator[Decision, None]:
        """A decision for each sample of a stream, as soon as it is made.

        Without a window, each part that the source yields is a sample. With one, the parts are an
        endless stream of events, which is cut into samples. As soon as the stop rule has decided
        on one, its decision is here; the rest of its window is not read, unless windows carry.
        Passes take place at their time by the network's clock, if that is not the virtual one:
        see ``late``, and :attr:`counts`.

        The next part is taken from the source when the decisions before it were taken from here,
        or, by a clock, when few parts wait: a slow consumer slows the source, and nothing piles
        up. The sample that was under way is abandoned, and so is that of the stream by whatever
        ends the iteration before the source does, any other call to the session included.

        Args:
            source: of samples, or of parts, each not earlier than those before.
            window: where samples end, see :mod:`neuroasync.core.events.window`: ``"time(us)"``,
                ``"events(n)"``, ``"silence(us)"`` or ``"decided"``.
            carry_state: whether the network runs on from window to window, and in between: membrane
                potentials stay, and spikes in flight arrive, for windows only say which votes
                are of which sample; those that come between two are of neither. False: each
                starts from rest, as samples do that a network is trained with, and what is in
                flight when one ends is dropped, and counted by its decision. None: it does if
                the network has connections with a delay.
            late: what becomes of events that come after their pass has begun: ``"drop"``,
                ``"merge"`` (the next pass takes them) or ``"shift"`` (so it does, and all
                events behind them are moved by as much).
            jitter_buffer_us: by a clock, how much later passes take place, µs: for events that
            do not
                all come equally soon, as over a network, or with timesteps of a millisecond.

        Raises:
            ValueError: ``window`` or ``late`` is none of these; ``jitter_buffer_us`` is
            negative; the
                window is ``decided``, and the stop rule never stops; windows carry, and this one
                is not whole timesteps, or the session records; or the session was restored with
                a stream of another window, or one that goes by a clock.
            SpikeFileError: events are not valid for this network, or go back in time.
            LimitError: too many events wait for one pass, or a sample has too many passes.
            RuntimeError: the session was used for something else meanwhile.
            ClosedError: the session is closed.
        """
        if window is None:
            if late != "merge" or jitter_buffer_us or carry_state:
                raise ValueError(
                    "carry, late, jitter_buffer_us: of streams with a window; give one, too"
                )
            if isinstance(self._holder, StreamState):
                self._holder.check(None, False, True)
            held = Held(self, False, None)
            try:
                async for part in ChunkIterator(source):
                    yield await held.decide(part)
            finally:
                held.leave()
            return
        plan, clock = self._simulator.plan, self._clock
        timestep_us = plan.packed.model.timestep_us
        if carry_state is not None and not isinstance(carry_state, bool):
            raise ValueError(f"carry: {carry_state!r:.80}, expected True, False or None")
        carries = plan.packed.max_delayed_fan_out > 0 if carry_state is None else carry_state
        if carries and self._recorder is not None:
            raise ValueError(
                "carry: a session that records has its samples start from rest, for that is how a "
                "recording is run again; give carry=False"
            )
        cutter = Segmenter(parse_window(window), timestep_us, carries)
        if cutter.ends_when_decided and plan.run.until == StopRule("quiet"):
            raise ValueError(
                "window: 'decided' never ends with until='quiet'; give a stop rule, such as "
                "until='margin(3)'"
            )
        pace = StreamClock(clock, timestep_us, late, self.counts, jitter_buffer_us)
        state = self._holder if isinstance(self._holder, StreamState) else None
        if state is not None:
            state.check(cutter.window, carries, not isinstance(clock, VirtualClock))
        held = Held(self, carries, state)
        held.follower = follower = StreamDriver(held, cutter, pace, state)
        if isinstance(clock, VirtualClock):
            decisions = stream_unpaced(follower, source)
        else:
            decisions = stream_by_clock(follower, source, self._scheduler.start)
        try:
            async with aclosing(decisions):
                async for decision in decisions:
                    yield decision
        finally:
            held.leave()

    async def advance(self, t_us: int) -> None:
        """Run every pass before ``t_us``: no event of an earlier time will be sent any more.

        For streams in which time goes by without events: spikes that were in flight arrive, and a
        stop rule may be met.

        Args:
            t_us: time of the sample, µs, from that of the last event on.

        Raises:
            ValueError: it is before the last event sent, or too late for a sample.
            LimitError: the sample would have too many passes.
            ClosedError: the session is closed.
        """
        await self._advance(t_us)

    def snapshot(self) -> bytes:
        """All that the session holds, to go on with elsewhere, as MessagePack.

        The format is that of :mod:`neuroasync.core.snapshot.session_snapshot`.

        The sample under way is in it, spikes in flight and events that wait for their pass, too;
        and of a stream with a window, which may go on meanwhile, all that was taken from its
        source. :meth:`restore` goes on with it, spike for spike.

        Raises:
            RuntimeError: the session is deciding, or somebody watches its sample; or it records,
                or runs a population of yours: a recording is in one piece, and what yours holds
                is in no snapshot.
            ClosedError: the session is closed.
        """
        self._check_open()
        holder, stream = self._holder, None
        if isinstance(holder, Held) and holder.follower is not None:
            stream = holder.follower.save()
        elif isinstance(holder, StreamState):
            stream = holder
        if self._is_busy or (holder is not None and stream is None):
            raise RuntimeError("the session is deciding; take a snapshot between two calls")
        self._check_portable()
        inlet = self._inlet
        waiting = SpikeTrain(inlet.t_us, inlet.index)
        return dump_snapshot(
            self._simulator, self._bundle.digest, self._sample, inlet.last_us, waiting, stream
        )

    def restore(self, snapshot: bytes) -> None:
        """Go on where another session was, of the same network and run in the same way.

        The sample that is under way here is abandoned. Later samples run with the seeds of this
        session, by their numbers. If it was taken from a stream with a window, :meth:`stream` with
        that window goes on with it, given the rest of its source: what had not been taken from it
        yet. By a clock, if it went by one, the next event says which time of the stream it is. Any
        other call abandons it.

        Args:
            snapshot: what :meth:`snapshot` returned.

        Raises:
            SnapshotError: it is damaged, or of another network or way to run it. Nothing changed.
            RuntimeError: the session is deciding; or it records, or runs a population of yours.
            ClosedError: the session is closed.
        """
        self._check_free()
        self._check_portable()
        read = read_snapshot(snapshot, self._simulator, self._bundle.digest)
        self._abandon()
        restore_state(self._simulator, read)
        self._sample = read.sample
        # A window that carries goes on after its decision; then that is the number of the next.
        self._scheduler.sample = read.sample - read.counters["is_decided"]
        self._inlet.restore(read.waiting, read.last_us)
        self._holder = read.stream

    def skip(self) -> None:
        """Abandon the sample, and leave it out: its number is used up.

        Raises:
            RuntimeError: the session is deciding.
            ClosedError: the session is closed.
        """
        self._check_free()
        self._sample += 1
        self._abandon()

    def reset(self) -> None:
        """Abandon the sample; the next, of the same number, starts from rest.

        Raises:
            RuntimeError: the session is deciding.
            ClosedError: the session is closed.
        """
        self._check_free()
        self._abandon()

    async def __aenter__(self) -> Self:
        """The session is open already."""
        self._check_open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        self.close()
