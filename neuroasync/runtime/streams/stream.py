"""Endless streams through a session: as fast as can be, or by a clock."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Self

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.segmenter import NEVER
from neuroasync.core.events.spike_train import Events, SpikeTrain, as_train
from neuroasync.errors import ClosedError
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.populations.report_timeout import StartTask
from neuroasync.runtime.streams.driver import StreamDriver

__all__ = ["ChunkIterator", "stream_by_clock", "stream_unpaced"]


class ChunkIterator:
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


async def stream_unpaced(
    follower: StreamDriver, source: AsyncIterable[Events] | Iterable[Events]
) -> AsyncGenerator[Decision, None]:
    """Decide on each sample of a stream, as fast as its parts come.

    Args:
        follower: of the stream, from its beginning or from a snapshot on.
        source: its parts, or the rest of them, each not earlier than those before.
    """
    while follower.ahead:
        follower.feed(follower.ahead.pop())
    while (decision := await follower.follow(NEVER)) is not None:
        yield decision
    async for part in ChunkIterator(source):
        follower.feed(part)
        while (decision := await follower.follow(NEVER)) is not None:
            yield decision
    if (last := await follower.end()) is not None:
        yield last


async def stream_by_clock(
    follower: StreamDriver,
    source: AsyncIterable[Events] | Iterable[Events],
    start: StartTask,
) -> AsyncGenerator[Decision, None]:
    """Decide on each sample of a stream, its passes at their time.

    A pass begins once its timestep is over, with the events of the timestep that have come by
    then; with ``timestep_us = 0`` it is looked every millisecond what has come. Events that are
    ahead of the clock wait, and so does the source.

    Args:
        follower: of the stream, from its beginning or from a snapshot on.
        source: its parts, or the rest of them, each not earlier than those before.
        start: starts the task that reads the source; it ends with the session at the latest.
    """
    parts, cutter, pace = follower.ahead, follower.cutter, follower.pace
    failures: list[BaseException] = []
    reader = start(_read(source, parts, failures), "reader of a stream")
    try:
        while not (parts.is_closed and not parts and not cutter.waits):
            if failures and isinstance(failures[0], ClosedError):  # no pass will take place
                raise failures[0]
            if not pace.is_anchored and cutter.waits:
                pace.resume(cutter.first_us)
            elif not pace.is_anchored or (cutter.is_idle and not follower.runs_on):
                try:
                    await parts.readable()
                except ClosedError:
                    break
                if not len(parts.first()):
                    parts.pop()
                    continue
                pace.resume(int(parts.first().t_us[0]) + pace.shift_us)
            limit_us = await pace.tick()
            while parts and cutter.last_us < limit_us:  # what is ahead of the clock waits
                follower.feed(pace.placed(parts.pop()))
            if parts.is_closed and not parts and cutter.last_us < limit_us:
                break  # its end is its last event, whenever it is noticed
            pace.done_us = limit_us
            while (decision := await follower.follow(limit_us)) is not None:
                yield decision
            if (early := await follower.reach(limit_us)) is not None:
                yield early
        while (decision := await follower.follow(NEVER)) is not None:
            yield decision
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
        coming = ChunkIterator(source)
        while True:
            await parts.writable()  # first: what was taken is in the queue, and in a snapshot
            parts.push(await anext(coming))
    except StopAsyncIteration:
        pass
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
