"""Yields the decisions of a stream: as fast as possible, or at the pace of a clock."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.segmenter import NEVER
from neuroasync.core.events.spike_train import Events
from neuroasync.core.events.waiting_events import PlacedChunk
from neuroasync.errors import ClosedError
from neuroasync.runtime.cancellation import ends_this_task
from neuroasync.runtime.populations.report_timeout import StartTask
from neuroasync.runtime.sample_ownership import Lease
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.streams.chunks import ChunkIterator
from neuroasync.runtime.streams.driver import StreamDriver

__all__ = ["stream_by_clock", "stream_samples", "stream_unpaced"]


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
    length_us = runner.length_us(None)
    async for chunk in ChunkIterator(source, runner.input.thread_calls):
        lease.check()
        train, end_us = runner.input.checked_sample(chunk, length_us)
        with lease:
            runner.accept(train)
            if not runner.passes.run_now(end_us):
                await runner.passes.run_until(end_us)
            decision = runner.finish(length_us)
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
        driver.feed(PlacedChunk(driver.lookahead.pop()))
    while (decision := await driver.next_decision(NEVER)) is not None:
        yield decision
    async for chunk in driver.read(source):
        driver.feed(PlacedChunk(chunk))
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
    reader = start_task(_read(driver, source, failures), "stream reader")
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
    driver: StreamDriver,
    source: AsyncIterable[Events] | Iterable[Events],
    failures: list[BaseException],
) -> None:
    """Copy the chunks of ``source`` into the driver's queue, and close the queue at the end.

    The task never fails, because an error of one stream would end the task group of all sessions.
    The consumer of the queue raises what is appended to ``failures``.
    """
    lookahead = driver.lookahead
    try:
        chunks = driver.read(source)
        while True:
            # Waiting for room comes first, so that at every `await` a chunk that was taken from
            # the source is in the queue, or is being checked, and therefore in a snapshot.
            await lookahead.writable()
            lookahead.push(await anext(chunks))
    except StopAsyncIteration:
        pass
    except ClosedError:
        pass  # the consumer has stopped reading
    except BaseException as error:
        if ends_this_task(error):
            failures.append(ClosedError("the session was closed while it was reading a stream"))
            raise
        failures.append(error)
    finally:
        lookahead.close()
