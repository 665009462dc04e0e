"""Sessions: each runs one stream of events through a network, with its own state."""

from __future__ import annotations  # help() then shows signatures as they are written

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import NoReturn, Self

from neuroasync.core.copies import cannot_copy
from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import Events
from neuroasync.core.events.window import Window
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.checks import check_int
from neuroasync.core.quantity import quantity
from neuroasync.limits import MAX_TIME_US
from neuroasync.runtime.clock import Clock
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.input.many_events import are_many
from neuroasync.runtime.loop_guard import LoopGuard
from neuroasync.runtime.sample_ownership import Owner, SampleOwnership
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.streams.guarded_decisions import GuardedDecisions
from neuroasync.runtime.streams.late_events import Late
from neuroasync.runtime.streams.open_stream import StreamOptions, decide_stream
from neuroasync.runtime.streams.watch import watch_sample

__all__ = ["Session"]


class Session:
    """One stream of events through a network. Created by :meth:`neuroasync.Network.session`.

    A session decides samples one after another. Each sample starts from rest at its own time 0,
    except in a stream whose windows carry state, and runs in forward passes, one per timestep.
    A session serves one caller at a time; a second call raises RuntimeError while one is running,
    and so does a call from another event loop or thread than the network's. Its memory grows with
    the number of neurons and of events that wait for the next pass.

    Cancellation: safe at every ``await``. The current sample is abandoned.
    """

    __slots__ = ("__weakref__", "_clock", "_loop_guard", "_ownership", "_runner")

    def __init__(self, runner: SampleRunner, clock: Clock, loop_guard: LoopGuard) -> None:
        self._runner = runner
        self._clock = clock
        self._loop_guard = loop_guard
        self._ownership = SampleOwnership(runner.check_open, loop_guard, runner.abandon)

    def __repr__(self) -> str:
        """Return one line with the number of the sample, the counts and the state."""
        state, counts = "closed" if self._runner.is_closed else "open", self.counts
        done = f"{quantity(counts.events, 'event')}, {quantity(counts.decisions, 'decision')}"
        return f"<Session {state}, sample {self.sample}, {done}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise cannot_copy(self, "take a snapshot(), and restore() it in another session")

    @property
    def bundle(self) -> Bundle:
        """The network that the session runs."""
        return self._runner.bundle

    @property
    def counts(self) -> Counts:
        """The numbers of events and decisions so far."""
        return self._runner.counts

    @property
    def sample(self) -> int:
        """The number of the current sample, from 0."""
        return self._runner.sample

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has ended the sample; if so, no further pass runs."""
        return self._runner.is_decided

    @property
    def waiting_events(self) -> int:
        """The number of events of the sample that no pass has read yet."""
        return self._runner.waiting_events

    async def send(self, events: Events) -> None:
        """Add input events to the sample, and run every pass whose input is complete.

        The input of a pass is complete once an event of a later pass has been sent;
        :meth:`finish_sample` runs the last pass. After the stop rule has fired, further events are
        only counted in :attr:`counts`.

        Cancellation: the sample is abandoned.

        Args:
            events: a spike train, or its (t_us, index); not earlier than the events sent before.

        Raises:
            EventsError: the events are not valid for this network. No event was accepted.
            LimitError: the sample exceeded a limit, for example of its passes.
            RuntimeError, ClosedError: the session is busy or closed.
        """
        self._ownership.acquire_for_call()
        if are_many(events):
            with self._ownership.lease.reserve():
                events = await self._runner.input.train_of_many(events)
        train = self._runner.input.checked(events)
        with self._ownership:
            self._runner.accept(train)
            if not self._runner.passes.run_ready_now():
                await self._runner.passes.run_ready()

    async def finish_sample(self, duration_us: Duration | None = None) -> Decision:
        """Run the remaining passes of the sample and return its decision.

        Cancellation: the sample is abandoned.

        Args:
            duration_us: length of the sample, µs or such as ``"20ms"``; every pass before it runs.
                Defaults to the bundle's; without one, the last event has the last pass.

        Raises:
            ValueError: an event came at or after ``duration_us``; the sample continues.
            LimitError: the sample has too many passes.
            RuntimeError, ClosedError: the session is busy or closed.
        """
        length_us = self._runner.length_us(duration_us)
        self._ownership.acquire_for_call()
        end_us = self._runner.input.last_pass_us(length_us)
        with self._ownership:
            return await self._runner.run_and_finish(end_us, length_us)

    async def decide(self, events: Events, *, duration_us: Duration | None = None) -> Decision:
        """Decide one complete sample: :meth:`send`, then :meth:`finish_sample`.

        Cancellation: the sample is abandoned.

        Raises:
            EventsError, LimitError, ValueError: as for these two; no event was accepted.
            RuntimeError, ClosedError: the session is busy or closed.
        """
        length_us = self._runner.length_us(duration_us)
        self._ownership.acquire_for_call()
        if are_many(events):
            with self._ownership.lease.reserve():
                events = await self._runner.input.train_of_many(events)
        train, end_us = self._runner.input.checked_sample(events, length_us)
        with self._ownership:
            self._runner.accept(train)
            del events, train  # the buffer frees the memory of many events before the turn is over
            if not self._runner.passes.run_now(end_us):
                await self._runner.passes.run_until(end_us)
            return self._runner.finish(length_us)

    def decide_nowait(self, events: Events) -> Decision | None:
        """Decide one complete sample like :meth:`decide`, if that needs no wait.

        Returns:
            The decision; None if other sessions wait, if the time slice is too short, or if there
            is an error. Nothing has changed then; :meth:`decide` decides, or raises the error.

        Raises:
            RuntimeError, ClosedError: the session is busy or closed.
        """
        self._ownership.acquire_for_call()
        return self._runner.decide_now(events)  # without a wait, so it is never seen as busy

    def watch(
        self, events: Events | AsyncIterable[Events], *, duration_us: Duration | None = None
    ) -> AsyncGenerator[Decision, None]:
        """Decide one sample, and yield a provisional decision whenever another class leads.

        A provisional decision (``is_final`` is False) describes the sample right after the delivery
        that put another class in the lead, possibly in the middle of a pass. The last decision is
        that of :meth:`decide`. The sample is suspended while the caller handles a decision;
        ``wall_s`` includes that time.

        An error, a cancellation or ``aclose()`` abandons the sample at once; after a ``break``, the
        next call to the session does.

        Args:
            events: the complete sample, or an async source of its chunks in order of time, which is
                not read after the stop rule has fired; closing it is up to the caller.
            duration_us: as for :meth:`finish_sample`.

        Raises:
            EventsError: events are not valid for this network.
            LimitError: too many events wait for one pass, or the sample has too many passes.
            ValueError: an event comes at or after ``duration_us``.
            RuntimeError: the session is busy, or another call has taken over the sample.
            ClosedError: the session is closed.
        """
        decisions = watch_sample(self._runner, self._ownership, events, duration_us)
        return GuardedDecisions(decisions, self._ownership.check_loop)

    def stream(
        self,
        source: AsyncIterable[Events] | Iterable[Events],
        *,
        window: str | Window | None = None,
        carry_state: bool | None = None,
        late: Late = "merge",
        jitter_buffer_us: Duration = 0,
    ) -> AsyncGenerator[Decision, None]:
        """Yield a decision for each sample of a stream, as soon as it is made.

        Without a window, each chunk that the source yields is one sample, which lasts as long as
        the bundle says. With a window, the chunks form one endless stream of events, which the
        window splits into samples. When the stop rule has fired, the remaining events of the window
        are ignored, unless windows carry state.

        With the network's virtual clock, passes run as soon as their input is complete. With a
        real-time clock, each pass runs when the clock reaches its time; see ``late`` and
        :attr:`counts`. A slow caller slows the source down: it is read further only after all
        decisions were taken or, with a real-time clock, while few chunks wait.

        The sample that is current when the stream begins is abandoned. The stream's own is if the
        iteration ends before the source does, or if another call uses the session.

        Cancellation: the stream's sample and chunks that were read ahead of the clock are lost.

        Args:
            source: yields samples, or chunks of the stream in order of time.
            window: where samples end: ``"time(50ms)"``, ``"events(500)"``, ``"silence(5ms)"`` or
                ``"decided"``; see :mod:`neuroasync.core.events.window`.
            carry_state: whether the network continues from window to window. If True, membrane
                potentials are kept and delayed spikes arrive in a later window; a window only says
                which votes count for which sample, and votes between windows count for none. If
                False, each sample starts from rest, as in training; its decision has the number of
                spikes in flight, which are dropped. If None, state is carried if there are delays.
            late: how to treat an event that arrives after its pass has begun: ``"drop"`` it,
                ``"merge"`` it into the next pass, or ``"shift"`` it and all later events to that.
            jitter_buffer_us: with a real-time clock, how long every pass is delayed, µs or such as
                ``"5ms"``, to compensate for events that arrive unevenly and inaccurate timers.

        Raises:
            ValueError: an option is invalid; the window would never end with this stop rule;
                windows carry state, but the window is not a multiple of the timestep or the session
                is recording; or the restored stream has another window or another kind of clock.
            EventsError: events are not valid for this network, or go back in time.
            LimitError: too many events wait for one pass, or a sample has too many passes.
            RuntimeError, ClosedError: as for :meth:`watch`.
        """
        options = StreamOptions(window, carry_state, late, jitter_buffer_us)
        decisions = decide_stream(self._runner, self._ownership, self._clock, source, options)
        return GuardedDecisions(decisions, self._ownership.check_loop)

    async def advance(self, t_us: Duration) -> None:
        """Run every pass before ``t_us``; no earlier event can be sent afterwards.

        Use it when time passes without events: delayed spikes arrive, and the stop rule may fire.

        Cancellation: the sample is abandoned.

        Args:
            t_us: time since the start of the sample, µs or such as ``"20ms"``.

        Raises:
            ValueError: ``t_us`` is before the last event, or longer than a sample can be.
            LimitError: the sample would have too many passes.
            RuntimeError, ClosedError: the session is busy or closed.
        """
        until_us = microseconds(t_us, "t_us")
        self._ownership.acquire_for_call()
        end_us = self._runner.input.check_advance(until_us)
        with self._ownership:
            await self._runner.advance(until_us, end_us)

    def snapshot(self) -> bytes:
        """Return the state of the session, from which :meth:`restore` continues spike for spike.

        It includes the current sample with its delayed spikes and unread events, and the stream
        with a window that is in progress, with everything that it has taken from its source. See
        :mod:`neuroasync.core.snapshot.session_snapshot` for the format.

        Raises:
            RuntimeError: a call, a watch or a stream without a window is in progress; or the
                session is recording or has custom populations, whose state cannot be saved.
            ClosedError: the session is closed.
        """
        self._runner.check_open()
        self._loop_guard.check_caller()
        lease, is_busy = self._ownership.lease, self._ownership.is_busy
        if is_busy or (lease.owner in (Owner.WATCH, Owner.STREAM) and lease.stream is None):
            raise RuntimeError("the session is busy with a call, a watch or a windowless stream")
        return self._runner.dump(lease.restored if lease.stream is None else lease.stream.save())

    def restore(self, snapshot: bytes) -> None:
        """Continue from a snapshot of a session that ran the same network with the same options.

        The current sample is abandoned. Later samples use this session's seeds for their numbers.
        If the snapshot was taken within a stream with a window, call :meth:`stream` with the same
        window and what the stream had not taken from the source; any other call abandons it. With a
        real-time clock, the time of the stream continues from its next event.

        Args:
            snapshot: the return value of :meth:`snapshot`.

        Raises:
            SnapshotError: the snapshot is damaged, or was taken with another network or other
                options. The state did not change.
            RuntimeError: the session is busy, is recording, or has custom populations.
            ClosedError: the session is closed.
        """
        self._ownership.check_usable()
        restored = self._runner.read_snapshot(snapshot)
        self._ownership.acquire_for_call()
        self._runner.restore(restored)
        if restored.stream is not None:
            self._ownership.acquire(Owner.SNAPSHOT).restored = restored.stream

    def skip(self, samples: int = 1) -> None:
        """Abandon the current sample and use up its number, or several numbers from it on.

        Raises:
            ValueError: ``samples`` is not an integer of at least 1.
            RuntimeError, ClosedError: the session is busy or closed.
        """
        samples = check_int("samples", samples, 1, MAX_TIME_US, ValueError)
        self._ownership.acquire_for_call()
        self._runner.skip(samples)

    def reset(self) -> None:
        """Abandon the current sample; the next one has the same number and starts from rest.

        Raises:
            RuntimeError, ClosedError: the session is busy or closed.
        """
        self._ownership.acquire_for_call()
        self._runner.abandon()

    def close(self) -> None:
        """End the session, if it is open. A call that is running raises ClosedError.

        Raises:
            RuntimeError: the network is open in another event loop or thread.
        """
        if not self._runner.is_closed:
            self._loop_guard.check_caller()
            self._runner.close()

    async def __aenter__(self) -> Self:
        """Return the session, which is open already; raise as :meth:`send` if it is not usable."""
        self._runner.check_open()
        self._loop_guard.check_running()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session. This never suspends."""
        self.close()
