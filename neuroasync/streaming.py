"""Endless streams through a session: cut into samples, as fast as can be or by a clock."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
)
from typing import Final, Protocol, Self

from neuroasync._inlet import Events, as_train
from neuroasync.counts import Counts
from neuroasync.decision import Decision
from neuroasync.errors import ClosedError, SpikeFileError
from neuroasync.pace import Pace
from neuroasync.patience import StartTask
from neuroasync.queue import BoundedQueue
from neuroasync.spikes import SpikeTrain
from neuroasync.windows import NEVER, Cut, Cutter

__all__ = ["Parts", "Streamed", "cut_stream", "pace_stream"]

_MOST_PARTS: Final = 64
"""Parts of a stream that wait for the clock; then its source waits."""


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

    async def carry(self, after_us: int) -> None:
        """Begin the next sample where the network then is, so long after this one's time 0."""
        ...


class Parts:
    """The parts of a stream, whatever it is, one after the other.

    Raises:
        TypeError: it cannot be iterated over.
        SpikeFileError: a part is neither a spike train nor (t_us, index).
    """

    # No generator: whoever leaves one early has to close it, and this holds nothing.
    def __init__(self, source: AsyncIterable[Events] | Iterable[Events]) -> None:
        self._ready: Iterator[Events] | None = None
        self._coming: AsyncIterator[Events] | None = None
        if isinstance(source, AsyncIterable):
            self._coming = aiter(source)
        elif isinstance(source, Iterable):
            self._ready = iter(source)
        else:
            raise TypeError(
                f"source: {type(source).__name__}, expected an iterable, or async iterable, of "
                "spike trains; put a single one into a list"
            )

    def __aiter__(self) -> Self:
        """Iterate."""
        return self

    async def __anext__(self) -> SpikeTrain:
        """The next part. Cancellation: as safe as the source's."""
        if self._coming is not None:
            return as_train(await anext(self._coming))
        for part in self._ready or ():
            return as_train(part)
        raise StopAsyncIteration


class _Follower:
    """Does with the session what the cutter says; each sample is decided once, and early."""

    def __init__(self, session: Streamed, cutter: Cutter) -> None:
        self._session = session
        self._cutter = cutter
        self._is_told = False
        self._start_us: int | None = None  # time 0 of the session's sample

    def feed(self, train: SpikeTrain) -> None:
        """Take further events of the stream.

        Raises:
            SpikeFileError: they are not valid for the network, or go back in time.
        """
        try:
            self._session.check(train)
            self._cutter.feed(train)
        except SpikeFileError:
            self._session.counts.refused += len(train)
            raise

    async def follow(self, limit_us: int) -> Decision | None:
        """Go on to the next decision; None: all is done that can be before ``limit_us``."""
        while (cut := self._cutter.next(limit_us, self._is_decided())) is not None:
            if (decision := await self._do(cut)) is not None:
                return decision
        return None

    async def reach(self, limit_us: int) -> Decision | None:
        """Run the passes before ``limit_us``, for nothing earlier will come."""
        start = self._cutter.start_us
        if start is None or limit_us <= start or (self._is_told and not self._session.carries):
            return None
        await self._begin_at(start)
        await self._session.advance(limit_us - start)
        if self._cutter.ends_when_decided:
            return await self.follow(limit_us)
        return await self._tell_early()

    async def end(self) -> Decision | None:
        """End the sample that is under way: the stream is over."""
        cut = self._cutter.close()
        return None if cut is None else await self._do(cut)

    def _is_decided(self) -> bool:
        return self._session.is_decided and not self._is_told

    async def _begin_at(self, start_us: int) -> None:
        """Let the session's sample be that which begins at ``start_us``."""
        if self._session.carries and self._start_us not in (None, start_us):
            await self._session.carry(start_us - self._start_us)
        self._start_us = start_us

    async def _do(self, cut: Cut) -> Decision | None:
        await self._begin_at(cut.start_us)
        if not self._is_told or self._session.carries:
            if len(cut.events):
                await self._session.send(cut.events)
            if cut.reached_us is not None:
                await self._session.advance(cut.reached_us)
        else:
            await self._session.leave_out(len(cut.events))
        if not cut.ends:
            return await self._tell_early()
        told, self._is_told = self._is_told, False
        return None if told else await self._session.decision(cut.duration_us)

    async def _tell_early(self) -> Decision | None:
        """The decision as soon as the stop rule has made it."""
        if not self._is_decided() or self._cutter.ends_when_decided:
            return None
        self._is_told = True
        return await self._session.decision()


async def cut_stream(
    session: Streamed, source: AsyncIterable[Events] | Iterable[Events], cutter: Cutter
) -> AsyncGenerator[Decision, None]:
    """Decide on each sample of a stream, as fast as its parts come.

    Args:
        session: of the network, between two samples.
        source: parts of the stream, each not earlier than those before.
        cutter: where samples end.
    """
    follower = _Follower(session, cutter)
    async for part in Parts(source):
        follower.feed(part)
        while (decision := await follower.follow(NEVER)) is not None:
            yield decision
    if (last := await follower.end()) is not None:
        yield last


async def pace_stream(
    session: Streamed,
    source: AsyncIterable[Events] | Iterable[Events],
    cutter: Cutter,
    pace: Pace,
    start: StartTask,
) -> AsyncGenerator[Decision, None]:
    """Decide on each sample of a stream, its passes at their time.

    A pass begins once its timestep is over, with the events of the timestep that have come by
    then; with ``timestep_us = 0`` it is looked every millisecond what has come. Events that are
    ahead of the clock wait, and so does the source.

    Args:
        session: of the network, between two samples.
        source: parts of the stream, each not earlier than those before.
        cutter: where samples end.
        pace: the stream's time.
        start: starts the task that reads the source; it ends with the session at the latest.
    """
    parts: BoundedQueue[SpikeTrain] = BoundedQueue(_MOST_PARTS)
    failures: list[BaseException] = []
    reader = start(_read(source, parts, failures), "reader of a stream")
    follower = _Follower(session, cutter)
    try:
        while not (parts.is_closed and not parts and not cutter.waits):
            if failures and isinstance(failures[0], ClosedError):  # no pass will take place
                break
            if cutter.is_idle:
                try:
                    await parts.readable()
                except ClosedError:
                    break
                if not len(parts.first()):
                    parts.pop()
                    continue
                pace.resume(int(parts.first().t_us[0]))
            limit_us = await pace.tick()
            while parts and cutter.last_us < limit_us:  # what is ahead of the clock waits
                follower.feed(pace.placed(parts.pop()))
            if parts.is_closed and not parts:  # its end is its last event, whenever it is noticed
                limit_us = max(min(limit_us, cutter.last_us + 1), pace.done_us)
            while (decision := await follower.follow(limit_us)) is not None:
                yield decision
            if (early := await follower.reach(limit_us)) is not None:
                yield early
            pace.done_us = limit_us
        if failures:
            raise failures[0]
        if (last := await follower.end()) is not None:
            yield last
    finally:
        parts.close()
        reader.cancel()


async def _read(
    source: AsyncIterable[Events] | Iterable[Events],
    parts: BoundedQueue[SpikeTrain],
    failures: list[BaseException],
) -> None:
    # The task never fails: in a task group, one stream's error would end all sessions.
    try:
        async for part in Parts(source):
            await parts.put(part)
    except ClosedError:  # nobody reads any more
        pass
    except asyncio.CancelledError as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            failures.append(ClosedError("the session was closed while a stream was read"))
            raise
        failures.append(error)  # the source was, not this task
    except Exception as error:  # raised by whoever reads
        failures.append(error)
    finally:
        parts.close()
