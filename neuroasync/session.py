"""One stream of events: a state of its own over weights that are shared."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Final, Self, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.decision import Decision
from neuroasync.errors import ClosedError, LimitError, SpikeFileError
from neuroasync.recording import Recorder
from neuroasync.sample import check_duration
from neuroasync.scheduler import Scheduler
from neuroasync.spikes import SpikeTrain

__all__ = ["Events", "Session", "as_train"]

_NONE: Final[NDArray[np.int64]] = np.empty(0, np.int64)

Events: TypeAlias = SpikeTrain | tuple[ArrayLike, ArrayLike]
"""A spike train, or its (t_us, index)."""


class Session:
    """One stream of events through a network. Made by :meth:`neuroasync.Network.session`.

    Samples follow each other; each starts from rest, at its own time 0. A session serves one
    caller at a time. Its memory is that of the network's neurons and the events of one pass.

    Cancellation: safe at every ``await``. The sample that was under way is abandoned, and the
    next starts from rest.

    Args:
        scheduler: runs its passes.
        seed_of: seed of a sample, by its number.
        classes: names of the output neurons, or None.
        recorder: what writes down every spike, or None.
        on_close: called once, when the session is closed.
    """

    __slots__ = (
        "__weakref__",
        "_classes",
        "_forward",
        "_index",
        "_is_busy",
        "_is_closed",
        "_kept",
        "_last_us",
        "_model",
        "_on_close",
        "_recorder",
        "_sample",
        "_scheduler",
        "_seed_of",
        "_started",
        "_t_us",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        seed_of: Callable[[int], int],
        classes: tuple[str, ...] | None,
        recorder: Recorder | None,
        on_close: Callable[["Session"], None],
    ) -> None:
        self._scheduler = scheduler
        self._forward = scheduler.forward
        self._model = self._forward.plan.wiring.model
        self._seed_of = seed_of
        self._classes = classes
        self._recorder = recorder
        self._on_close = on_close
        self._is_closed = False
        self._is_busy = False
        self._sample = 0
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
            ClosedError: the session is closed.
        """
        train = self._checked(events)
        with _Exclusive(self):
            self._accept(train)
            if len(train):
                await self._run_passes(self._pass_start(self._last_us) - 1)

    async def decision(self, duration_us: int | None = None) -> Decision:
        """End the sample: run its remaining passes and return what it came to.

        Args:
            duration_us: length of the sample; passes take place at times before it. Without,
                the last pass is that of the last event.

        Raises:
            ValueError: an event came at or after ``duration_us``; the sample goes on.
            ClosedError: the session is closed.
        """
        self._check_free()
        end_us = self._end_us(self._last_us, duration_us)
        with _Exclusive(self):
            await self._run_passes(end_us)
            decision = self._forward.decision(self._wall_s(), self._classes)
            if self._recorder is not None:
                self._recorder.add(
                    self._forward,
                    self._read_events(),
                    decision,
                    number=self._sample,
                    seed=self._seed_of(self._sample),
                    duration_us=duration_us,
                )
            self._sample += 1
            self._begin()
        return decision

    async def decide(self, events: Events, *, duration_us: int | None = None) -> Decision:
        """Decide on one whole sample: :meth:`send`, then :meth:`decision`.

        Raises:
            SpikeFileError: the events are not valid for this network. Nothing was accepted.
            ValueError: an event comes at or after ``duration_us``. Nothing was accepted.
            ClosedError: the session is closed.
        """
        train = self._checked(events)
        self._end_us(int(train.t_us[-1]) if len(train) else self._last_us, duration_us)
        with _Exclusive(self):
            self._accept(train)
        return await self.decision(duration_us)

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

    def reset(self) -> None:
        """Abandon the sample; the next, of the same number, starts from rest.

        Raises:
            RuntimeError: the session is deciding.
            ClosedError: the session is closed.
        """
        self._check_free()
        self._scheduler.restart()
        self._begin()

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
        self._t_us = self._index = _NONE
        self._kept: list[SpikeTrain] | None = None
        self._last_us = -1
        self._started: float | None = None

    def _checked(self, events: Events) -> SpikeTrain:
        self._check_free()
        train = as_train(events)
        train.check_indices(self._model.input_size)
        if len(train) and train.t_us[0] < self._last_us:
            raise SpikeFileError(
                f"t_us[0]: {train.t_us[0]}, expected at least {self._last_us}, "
                "the time of the last event sent"
            )
        if self._t_us.size > limits.MAX_QUEUED_EVENTS:
            raise LimitError(
                f"{self._t_us.size} events wait for one pass; the limit is "
                f"{limits.MAX_QUEUED_EVENTS}. End the sample by decision()"
            )
        if len(train):
            self._check_passes(int(train.t_us[-1]))
        return train

    def _end_us(self, last_us: int, duration_us: int | None) -> int:
        """Passes take place up to this time, if the last event is at ``last_us`` (-1: none)."""
        if duration_us is None:
            return self._pass_start(last_us) if last_us >= 0 else -1
        check_duration(duration_us, last_us)
        self._check_passes(duration_us - 1)
        return duration_us - 1

    def _check_passes(self, end_us: int) -> None:
        timestep = self._model.timestep_us
        if timestep and end_us // timestep >= limits.MAX_PASSES:
            raise LimitError(
                f"a sample of {end_us} µs has {end_us // timestep + 1} timesteps of "
                f"{timestep} µs; the limit is {limits.MAX_PASSES}"
            )

    def _accept(self, train: SpikeTrain) -> None:
        if self._started is None:
            self._started = time.perf_counter()
        if len(train):
            self._last_us = int(train.t_us[-1])
            if self._recorder is not None:
                self._kept = self._kept or []
                self._kept.append(train)
            if self._forward.is_stopped:
                return
            if self._t_us.size:
                self._t_us = np.concatenate((self._t_us, train.t_us))
                self._index = np.concatenate((self._index, train.index))
            else:
                self._t_us, self._index = train.t_us, train.index

    async def _run_passes(self, end_us: int) -> None:
        """Run every pass at a virtual time up to ``end_us``."""
        if not self._forward.is_stopped:
            if self._forward.plan.run.input == "queued":  # (time, index) order is of the essence
                order = np.lexsort((self._index, self._t_us))
                self._index = self._index[order]
            read = await self._scheduler.run(self._t_us, self._index, end_us)
            self._check_open()
            if read == self._t_us.size or self._forward.is_stopped:
                self._t_us = self._index = _NONE
            elif read:  # a copy: a slice would keep all that was read
                self._t_us, self._index = self._t_us[read:].copy(), self._index[read:].copy()

    def _pass_start(self, t_us: int) -> int:
        """Virtual time of the pass that an event at ``t_us`` belongs to."""
        return t_us - t_us % max(self._model.timestep_us, 1)

    def _read_events(self) -> SpikeTrain:
        t_us = np.concatenate([np.empty(0, np.int64), *(k.t_us for k in self._kept or ())])
        index = np.concatenate([np.empty(0, np.int64), *(k.index for k in self._kept or ())])
        return SpikeTrain(t_us, index)

    def _wall_s(self) -> float:
        return 0.0 if self._started is None else time.perf_counter() - self._started

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the session is closed")

    def _check_free(self) -> None:
        self._check_open()
        if self._is_busy:
            raise RuntimeError("the session is deciding for another task; use one session each")


class _Exclusive:
    """While it lasts the session is busy; whoever leaves by an exception abandons the sample."""

    def __init__(self, session: Session) -> None:
        session._check_free()
        self._session = session

    def __enter__(self) -> None:
        self._session._is_busy = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session._is_busy = False
        if kind is not None and not self._session._is_closed:
            self._session.reset()


def as_train(events: Events) -> SpikeTrain:
    """A spike train from either form. Raises SpikeFileError if it is none."""
    if isinstance(events, SpikeTrain):
        return events
    if not isinstance(events, tuple) or len(events) != 2:
        raise SpikeFileError(
            f"events: {type(events).__name__}, expected a SpikeTrain or (t_us, index)"
        )
    return SpikeTrain(cast("NDArray[np.int64]", events[0]), cast("NDArray[np.int64]", events[1]))
