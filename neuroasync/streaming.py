"""Endless streams through a session: cut into samples, as fast as can be or by a clock."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Final, Literal, Protocol, Self, TypeAlias, get_args

import numpy as np

from neuroasync._inlet import Events, as_train
from neuroasync.clock import Clock
from neuroasync.counts import Counts
from neuroasync.decision import Decision
from neuroasync.errors import ClosedError
from neuroasync.queue import BoundedQueue
from neuroasync.spikes import SpikeTrain
from neuroasync.windows import NEVER, Cut, Cutter

__all__ = ["Late", "Pace", "Parts", "Streamed", "cut_stream", "pace_stream"]

Late: TypeAlias = Literal["drop", "merge", "stretch"]
"""What becomes of an event that comes after its pass has begun. ``"drop"``: it is left out;
``"merge"``: the next pass takes it; ``"stretch"``: so does it, and all events behind it are moved
by as much, so that the time between them stays."""

_MOST_PARTS: Final = 64
"""Parts of a stream that wait for the clock; then its source waits."""
_TICK_US: Final = 1000
"""How often a network that is driven by events looks for those that have come."""

_log = logging.getLogger("neuroasync.stream")


class Streamed(Protocol):
    """What a stream needs of its session."""

    counts: Counts

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has ended the sample."""
        ...

    async def send(self, events: Events) -> None:
        """Add input events to the sample."""
        ...

    async def advance(self, t_us: int) -> None:
        """Run every pass before ``t_us``."""
        ...

    async def decision(self, duration_us: int | None = None) -> Decision:
        """End the sample."""
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
        else:
            self._ready = iter(source)

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

    async def follow(self, limit_us: int) -> AsyncIterator[Decision]:
        """Do all that can be done before ``limit_us``."""
        while (cut := self._cutter.next(limit_us, self._is_decided())) is not None:
            if (decision := await self._do(cut)) is not None:
                yield decision

    async def reach(self, limit_us: int) -> Decision | None:
        """Run the passes before ``limit_us``, for nothing earlier will come."""
        start = self._cutter.start_us
        if start is None or self._is_told or limit_us <= start:
            return None
        await self._session.advance(limit_us - start)
        return await self._tell_early()

    async def end(self) -> Decision | None:
        """End the sample that is under way: the stream is over."""
        cut = self._cutter.close()
        return None if cut is None else await self._do(cut)

    def _is_decided(self) -> bool:
        return self._session.is_decided and not self._is_told

    async def _do(self, cut: Cut) -> Decision | None:
        if not self._is_told:
            if len(cut.events):
                await self._session.send(cut.events)
            if cut.reached_us is not None:
                await self._session.advance(cut.reached_us)
        else:
            self._session.counts.events += len(cut.events)
        if not cut.ends:
            return await self._tell_early()
        told, self._is_told = self._is_told, False
        return None if told else await self._session.decision(cut.duration_us)

    async def _tell_early(self) -> Decision | None:
        """The decision as soon as the stop rule has made it; the rest of the window is not read."""
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
        cutter.feed(part)
        async for decision in follower.follow(NEVER):
            yield decision
    if (last := await follower.end()) is not None:
        yield last


class Pace:
    """A stream's time: that of its clock, from the time of its first event on.

    Args:
        clock: what passes go by.
        timestep_us: of the network; 0: it is driven by events.
        late: what becomes of events that come after their pass has begun.
        counts: where they are counted.

    Attributes:
        done_us: passes before this time, µs, have begun.

    Raises:
        ValueError: ``late`` is none of the three.
    """

    def __init__(self, clock: Clock, timestep_us: int, late: Late, counts: Counts) -> None:
        if late not in get_args(Late):
            raise ValueError(f"late: {late!r:.80}, expected 'drop', 'merge' or 'stretch'")
        self._clock = clock
        self._tick_us = timestep_us or _TICK_US
        self._late = late
        self._counts = counts
        self._offset_us: int | None = None
        self._shift_us = 0
        self.done_us = 0

    def resume(self, first_us: int) -> None:
        """An event is here, and nothing was under way until now: no pass can have missed it."""
        if self._offset_us is None:
            self._offset_us = self._clock.now_us() - first_us
        self.done_us = max(self.done_us, self._floor(first_us + self._shift_us))

    async def tick(self) -> int:
        """Wait until the next pass is due; return the time before which passes are due."""
        offset_us, due_us = self._offset_us or 0, self.done_us + self._tick_us
        await self._clock.sleep_until(due_us + offset_us)
        limit_us = max(self._floor(self._clock.now_us() - offset_us), due_us)
        if missed := (limit_us - due_us) // self._tick_us:
            if not self._counts.missed_deadlines:
                behind_us = limit_us - due_us
                _log.warning(
                    "a pass began %d µs late; further ones are only counted",
                    behind_us,
                    extra={"behind_us": behind_us},
                )
            self._counts.missed_deadlines += missed
        return limit_us

    def placed(self, part: SpikeTrain) -> SpikeTrain:
        """The part at the times at which its events take part; late ones are counted."""
        t_us = part.t_us + self._shift_us
        late = int(np.searchsorted(t_us, self.done_us))
        if not late:
            return SpikeTrain(t_us, part.index)
        behind_us = self.done_us - int(t_us[0])
        if not self._counts.late:
            _log.warning(
                "an event came %d µs after its pass had begun (late=%r); further ones are only "
                "counted",
                behind_us,
                self._late,
                extra={"behind_us": behind_us},
            )
        self._counts.late += late
        if self._late == "drop":
            self._counts.dropped += late
            return SpikeTrain(t_us[late:], part.index[late:])
        if self._late == "stretch":
            self._shift_us += behind_us
            return SpikeTrain(part.t_us + self._shift_us, part.index)
        return SpikeTrain(np.maximum(t_us, self.done_us), part.index)

    def _floor(self, t_us: int) -> int:
        return t_us - t_us % self._tick_us


async def pace_stream(
    session: Streamed,
    source: AsyncIterable[Events] | Iterable[Events],
    cutter: Cutter,
    pace: Pace,
    tasks: asyncio.TaskGroup,
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
        tasks: where the task lives that reads the source.
    """
    parts: BoundedQueue[SpikeTrain] = BoundedQueue(_MOST_PARTS)
    failures: list[Exception] = []
    reader = tasks.create_task(_read(source, parts, failures), name="reader of a stream")
    follower = _Follower(session, cutter)
    try:
        while not (parts.is_closed and not parts and not cutter.waits):
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
                cutter.feed(pace.placed(parts.pop()))
            # The stream's end is that of its last event, whenever that is noticed.
            if parts.is_closed and not parts:
                limit_us = max(min(limit_us, cutter.last_us + 1), pace.done_us)
            async for decision in follower.follow(limit_us):
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
    failures: list[Exception],
) -> None:
    # The task never fails: in a task group, one stream's error would end all sessions.
    try:
        async for part in Parts(source):
            await parts.put(part)
    except ClosedError:  # nobody reads any more
        pass
    except Exception as error:  # raised by whoever reads
        failures.append(error)
    finally:
        parts.close()
