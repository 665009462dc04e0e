"""One stream of events: a state of its own over weights that are shared."""

import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Self

from neuroasync._inlet import Events, Inlet
from neuroasync.bundle import Bundle
from neuroasync.decision import Decision
from neuroasync.errors import ClosedError
from neuroasync.recording import Recorder
from neuroasync.scheduler import Scheduler
from neuroasync.snapshot import dump_snapshot, read_snapshot, restore_state
from neuroasync.spikes import SpikeTrain

__all__ = ["Session"]


class Session:
    """One stream of events through a network. Made by :meth:`neuroasync.Network.session`.

    Samples follow each other; each starts from rest, at its own time 0. A session serves one
    caller at a time. Its memory is that of the network's neurons and the events of one pass.

    Cancellation: safe at every ``await``. The sample that was under way is abandoned, and the
    next starts from rest.

    Args:
        scheduler: runs its passes.
        seed_of: seed of a sample, by its number.
        bundle: the network's.
        recorder: what writes down every spike, or None.
        on_close: called once, when the session is closed.
    """

    __slots__ = (
        "__weakref__",
        "_bundle",
        "_forward",
        "_inlet",
        "_is_busy",
        "_is_closed",
        "_on_close",
        "_recorder",
        "_sample",
        "_scheduler",
        "_seed_of",
        "_started",
        "_watch",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        seed_of: Callable[[int], int],
        bundle: Bundle,
        recorder: Recorder | None,
        on_close: Callable[["Session"], None],
    ) -> None:
        self._scheduler = scheduler
        self._forward = scheduler.forward
        plan = self._forward.plan
        # With queued input, (time, index) order is of the essence.
        self._inlet = Inlet(plan.wiring.model, plan.run.input == "queued", recorder is not None)
        self._seed_of = seed_of
        self._bundle = bundle
        self._recorder = recorder
        self._on_close = on_close
        self._is_closed = False
        self._is_busy = False
        self._sample = 0
        self._watch: object | None = None
        self._begin()

    @property
    def sample(self) -> int:
        """Number of the sample that is under way, from 0."""
        return self._sample

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has ended the sample: :meth:`decision` has nothing left to run."""
        return self._forward.is_stopped

    async def send(self, events: Events) -> None:
        """Add input events to the sample, and run every pass whose time has come.

        A pass has come once an event of a later one was sent; :meth:`decision` runs the last.
        Once the stop rule said stop, further events are not read.

        Args:
            events: not earlier than those sent before.

        Raises:
            SpikeFileError: the events are not valid for this network. Nothing was accepted.
            LimitError: too many wait for one pass, or the sample would have too many passes.
                Nothing was accepted.
            ClosedError: the session is closed.
        """
        self._check_free()
        train = self._inlet.checked(events)
        with _Exclusive(self):
            self._accept(train)
            await self._run_passes(self._inlet.come_us())

    async def decision(self, duration_us: int | None = None) -> Decision:
        """End the sample: run its remaining passes and return what it came to.

        Args:
            duration_us: length of the sample; passes take place at times before it. Without,
                the last pass is that of the last event.

        Raises:
            ValueError: an event came at or after ``duration_us``; the sample goes on.
            LimitError: the sample has too many passes.
            ClosedError: the session is closed.
        """
        self._check_free()
        end_us = self._inlet.end_us(duration_us)
        with _Exclusive(self):
            await self._run_passes(end_us)
            return self._finish(duration_us)

    async def decide(self, events: Events, *, duration_us: int | None = None) -> Decision:
        """Decide on one whole sample: :meth:`send`, then :meth:`decision`.

        Raises:
            SpikeFileError: the events are not valid for this network. Nothing was accepted.
            LimitError: as of :meth:`send`. Nothing was accepted.
            ValueError: an event comes at or after ``duration_us``. Nothing was accepted.
            ClosedError: the session is closed.
        """
        self._check_free()
        train = self._inlet.checked(events)
        end_us = self._inlet.end_us(duration_us, train)
        with _Exclusive(self):
            self._accept(train)
            await self._run_passes(end_us)
            return self._finish(duration_us)

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
        watch = self._watch = object()
        self._forward.watch()
        try:
            if not isinstance(events, AsyncIterable):
                self._accept_part(events, watch, duration_us)
            elif not self._forward.is_stopped:
                async for part in events:
                    self._accept_part(part, watch, duration_us)
                    while await self._run_to_news(self._inlet.come_us(), watch):
                        yield self._provisional()
                    if self._forward.is_stopped:
                        break
            end_us = self._inlet.end_us(duration_us)
            while await self._run_to_news(end_us, watch):
                yield self._provisional()
            yield self._finish(duration_us)
        finally:
            if self._watch is watch and not self._is_closed:
                self._abandon()

    async def stream(
        self, source: AsyncIterable[Events] | Iterable[Events]
    ) -> AsyncIterator[Decision]:
        """A decision for each sample that ``source`` yields, as soon as it is made.

        The next sample is taken from the source when the decision before it was taken from
        here: a slow consumer slows the source, and nothing piles up.
        """
        if isinstance(source, AsyncIterable):
            async for events in source:
                yield await self.decide(events)
        else:
            for events in source:
                yield await self.decide(events)

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
        self._check_free()
        end_us = self._inlet.advanced_us(t_us)
        with _Exclusive(self):
            await self._run_passes(end_us)
            self._inlet.last_us = max(self._inlet.last_us, t_us - 1)

    def snapshot(self) -> bytes:
        """All that the session holds, to go on with elsewhere: MessagePack, see ``files``.

        The sample under way is in it, spikes in flight and events that wait for their pass, too.
        :meth:`restore` goes on with it, spike for spike.

        Raises:
            RuntimeError: the session is deciding, somebody watches its sample, or it records.
            ClosedError: the session is closed.
        """
        self._check_open()
        if self._is_busy or self._watch is not None:
            raise RuntimeError("the session is deciding; take a snapshot between two calls")
        if self._recorder is not None:
            raise RuntimeError(
                "a session that records has no snapshot: a recording is in one piece"
            )
        inlet = self._inlet
        waiting = SpikeTrain(inlet.t_us, inlet.index)
        return dump_snapshot(
            self._forward, self._bundle.digest, self._sample, inlet.last_us, waiting
        )

    def restore(self, snapshot: bytes) -> None:
        """Go on where another session was, of the same network and run in the same way.

        The sample that is under way here is abandoned. Later samples run with the seeds of this
        session, by their numbers.

        Args:
            snapshot: what :meth:`snapshot` returned.

        Raises:
            SnapshotError: it is damaged, or of another network or way to run it. Nothing changed.
            RuntimeError: the session is deciding, or it records.
            ClosedError: the session is closed.
        """
        self._check_free()
        if self._recorder is not None:
            raise RuntimeError("a session that records cannot go on with another's sample")
        read = read_snapshot(snapshot, self._forward, self._bundle.digest)
        self._abandon()
        restore_state(self._forward, read)
        self._sample = self._scheduler.sample = read.sample
        self._inlet.restore(read.waiting, read.last_us)

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

    def close(self) -> None:
        """End the session; a decision that is under way raises ClosedError."""
        if not self._is_closed:
            self._is_closed = True
            self._scheduler.close()
            self._on_close(self)

    async def __aenter__(self) -> Self:
        """The session is open already."""
        self._check_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _begin(self) -> None:
        """Start a sample from rest."""
        self._forward.state.keep = self._recorder is not None
        self._forward.begin(self._seed_of(self._sample))
        self._scheduler.sample = self._sample
        self._inlet.begin()
        self._watch = None
        self._started: float | None = None

    def _finish(self, duration_us: int | None) -> Decision:
        """The decision, once all passes have run; the next sample begins."""
        decision = self._forward.decision(self._wall_s(), self._bundle.classes)
        if self._recorder is not None:
            self._recorder.add(
                self._forward,
                self._inlet.train(),
                decision,
                number=self._sample,
                seed=self._seed_of(self._sample),
                duration_us=duration_us,
            )
        self._sample += 1
        self._begin()
        return decision

    def _provisional(self) -> Decision:
        return replace(self._forward.decision(self._wall_s(), self._bundle.classes), is_final=False)

    def _abandon(self) -> None:
        self._scheduler.restart()
        self._begin()

    def _accept(self, train: SpikeTrain) -> None:
        if self._started is None:
            self._started = time.perf_counter()
        self._inlet.accept(train, not self._forward.is_stopped)

    def _accept_part(self, events: Events, watch: object, duration_us: int | None) -> None:
        self._check_free(watch)
        train = self._inlet.checked(events)
        self._inlet.end_us(duration_us, train)
        self._accept(train)

    async def _run_to_news(self, end_us: int, watch: object) -> bool:
        """Run passes up to ``end_us``, or until another class leads; return whether one does."""
        with _Exclusive(self, watch):
            await self._run_passes(end_us)
            return self._forward.take_news()

    async def _run_passes(self, end_us: int) -> None:
        """Run every pass at a virtual time up to ``end_us``."""
        if end_us >= 0 and not self._forward.is_stopped:
            inlet = self._inlet
            read = await self._scheduler.run(inlet.t_us, inlet.index, end_us)
            self._check_open()
            inlet.drop(inlet.t_us.size if self._forward.is_stopped else read)

    def _wall_s(self) -> float:
        return 0.0 if self._started is None else time.perf_counter() - self._started

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the session is closed")

    def _check_free(self, watch: object | None = None) -> None:
        """Raise unless the session can be used; by another than who watches its sample, end that.

        Args:
            watch: what :meth:`watch` knows its sample by; None for all other calls.
        """
        self._check_open()
        if self._is_busy:
            raise RuntimeError("the session is deciding for another task; use one session each")
        if self._watch is not watch:
            if watch is not None:
                raise RuntimeError("the session was used for something else; the sample is lost")
            self._abandon()


class _Exclusive:
    """While it lasts the session is busy; whoever leaves by an exception abandons the sample."""

    def __init__(self, session: Session, watch: object | None = None) -> None:
        self._session = session
        self._watch = watch

    def __enter__(self) -> None:
        self._session._check_free(self._watch)
        self._session._is_busy = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session._is_busy = False
        if kind is not None and not self._session._is_closed:
            self._session._abandon()
