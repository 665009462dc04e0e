"""Yields the decisions of a stream: as fast as possible, or at the pace of a clock."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Self

import numpy as np

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.segmenter import NEVER
from neuroasync.core.events.spike_train import Events, SpikeTrain, as_train
from neuroasync.errors import ClosedError
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.populations.report_timeout import StartTask
from neuroasync.runtime.sample_ownership import Lease
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.streams.driver import StreamDriver

__all__ = ["ChunkIterator", "stream_by_clock", "stream_samples", "stream_unpaced"]


class ChunkIterator:
    """An async iterator over the chunks of a source, which may be async or not.

    Args:
        source: yields spike trains, or their (t_us, index).

    Raises:
        TypeError: ``source`` is not iterable.
        EventsError: a chunk is neither a spike train nor (t_us, index).
    """

    # This is a class and not an async generator, because a generator that is left early has to be
    # closed, and this iterator holds nothing that needs closing.
    def __init__(self, source: AsyncIterable[Events] | Iterable[Events]) -> None:
        self._iterator: Iterator[Events] | None = None
        self._async_iterator: AsyncIterator[Events] | None = None
        if isinstance(source, np.ndarray):
            raise TypeError(
                "`source` must be an iterable or async iterable of spike trains, got an array; "
                "neuroasync.sources.ArraySource(array, shape) reads arrays of camera events"
            )
        if isinstance(source, AsyncIterable):
            self._async_iterator = aiter(source)
        elif isinstance(source, Iterable):
            self._iterator = iter(source)
        else:
            raise TypeError(
                "`source` must be an iterable or async iterable of spike trains, got "
                f"{type(source).__name__}; put a single spike train into a list"
            )

    def __aiter__(self) -> Self:
        """Return this iterator."""
        return self

    async def __anext__(self) -> SpikeTrain:
        """Return the next chunk. Cancellation: as safe as the source is."""
        if self._async_iterator is not None:
            return as_train(await anext(self._async_iterator))
        for chunk in self._iterator or ():
            return as_train(chunk)
        raise StopAsyncIteration


async def stream_samples(
    runner: SampleRunner, lease: Lease, source: AsyncIterable[Events] | Iterable[Events]
) -> AsyncGenerator[Decision, None]:
    """Yield the decision of each chunk of a stream without a window: every chunk is one sample.

    Cancellation: the current sample is abandoned.

    Args:
        runner: runs the samples.
        lease: the stream's right to use the session; checked before each chunk.
        source: yields the samples.
    """
    async for chunk in ChunkIterator(source):
        lease.check()
        train, end_us = runner.check_events(chunk)
        with lease:
            runner.accept(train)
            await runner.run_until(end_us)
            decision = runner.finish(None)
        yield decision


async def stream_unpaced(
    driver: StreamDriver, source: AsyncIterable[Events] | Iterable[Events]
) -> AsyncGenerator[Decision, None]:
    """Yield the decision of each sample of a stream, as fast as its chunks come.

    Cancellation: the current sample is abandoned.

    Args:
        driver: drives the stream, from its beginning or from a snapshot.
        source: yields the (remaining) chunks, in order of time.
    """
    # A restored stream may have been paced by a clock and have read chunks ahead of it.
    while driver.lookahead:
        driver.feed(driver.lookahead.pop())
    while (decision := await driver.next_decision(NEVER)) is not None:
        yield decision
    async for chunk in ChunkIterator(source):
        driver.feed(chunk)
        while (decision := await driver.next_decision(NEVER)) is not None:
            yield decision
    if (last := await driver.end()) is not None:
        yield last


async def stream_by_clock(
    driver: StreamDriver,
    source: AsyncIterable[Events] | Iterable[Events],
    start_task: StartTask,
) -> AsyncGenerator[Decision, None]:
    """Yield the decision of each sample of a stream, whose passes run at their time by a clock.

    A pass begins when its timestep is over, with the events of the timestep that have arrived by
    then. An event-driven network (``timestep_us = 0``) checks for events every millisecond.
    Events that are ahead of the clock wait in a bounded queue; while it is full, the source is
    not read.

    Cancellation: the current sample is abandoned, and so are the chunks that wait for the clock.
    The task that reads the source is cancelled, which does to the source what cancelling it does.

    Args:
        driver: drives the stream, from its beginning or from a snapshot.
        source: yields the (remaining) chunks, in order of time.
        start_task: starts the task that reads the source; it ends with the session at the latest.

    Raises:
        EventsError: a chunk is not valid for the network, or goes back in time.
        RuntimeError: another call to the session has taken over the sample.
        ClosedError: the session is closed.
        Exception: the error of the source, after the decisions on all chunks before it; or an
            error of a pass.
    """
    lookahead, segmenter, stream_clock = driver.lookahead, driver.segmenter, driver.stream_clock
    failures: list[BaseException] = []
    reader = start_task(_read(source, lookahead, failures), "stream reader")
    try:
        while not (lookahead.is_closed and not lookahead and not segmenter.has_waiting):
            if failures and isinstance(failures[0], ClosedError):
                raise failures[0]  # the session is closed, so no further pass can run
            if not await _anchor_clock(driver):
                continue
            limit_us = await stream_clock.tick()
            while lookahead and segmenter.last_us < limit_us:  # later chunks wait for their time
                driver.feed(stream_clock.placed(lookahead.pop()))
            if lookahead.is_closed and not lookahead and segmenter.last_us < limit_us:
                break  # the stream ends with its last event, no matter when that is noticed
            stream_clock.done_us = limit_us
            while (decision := await driver.next_decision(limit_us)) is not None:
                yield decision
            if (early := await driver.run_until(limit_us)) is not None:
                yield early
        while (decision := await driver.next_decision(NEVER)) is not None:
            yield decision
        if failures:
            raise failures[0]
        if (last := await driver.end()) is not None:
            yield last
    finally:
        lookahead.close()
        reader.cancel()


async def _anchor_clock(driver: StreamDriver) -> bool:
    """Wait for an event, if there is nothing to do without one, and start the clock at its time.

    Returns:
        False if there was no event: the chunk was empty, or the stream has ended.
    """
    lookahead, segmenter, stream_clock = driver.lookahead, driver.segmenter, driver.stream_clock
    if not stream_clock.is_anchored and segmenter.has_waiting:
        stream_clock.resume(segmenter.next_event_us)
        return True
    if stream_clock.is_anchored and (not segmenter.is_idle or driver.must_keep_running):
        return True
    try:
        await lookahead.readable()
    except ClosedError:
        return False
    if not len(lookahead.first()):
        lookahead.pop()
        return False
    stream_clock.resume(int(lookahead.first().t_us[0]) + stream_clock.shift_us)
    return True


async def _read(
    source: AsyncIterable[Events] | Iterable[Events],
    lookahead: BoundedQueue[SpikeTrain],
    failures: list[BaseException],
) -> None:
    """Copy the chunks of ``source`` into a queue, and close the queue at the end.

    The task never fails, because an error of one stream would end the task group of all sessions.
    The consumer of the queue raises what is appended to ``failures``.
    """
    try:
        chunks = ChunkIterator(source)
        while True:
            # Waiting for room comes first, so that a chunk that was taken from the source is in
            # the queue at every `await`, and therefore in a snapshot.
            await lookahead.writable()
            lookahead.push(await anext(chunks))
    except StopAsyncIteration:
        pass
    except ClosedError:
        pass  # the consumer has stopped reading
    except asyncio.CancelledError as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            failures.append(ClosedError("the session was closed while it was reading a stream"))
            raise
        failures.append(error)  # the source was cancelled, not this task
    except Exception as error:
        failures.append(error)
    finally:
        lookahead.close()
