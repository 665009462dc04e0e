"""A stream ends by an error, a cancellation, a closed network or another call."""

import asyncio
import gc

import pytest

import neuroasync as na
from neuroasync.runtime.streams.driver import StreamDriver
from tests.helpers.relay_streams import RELAY, opened, settle
from tests.helpers.resumable_streams import BUNDLE, TRAIN
from tests.helpers.small_networks import sample


async def test_error_of_the_source_is_raised_by_the_stream(no_leaks):
    async def source():
        yield [0], [0]
        raise OSError("unplugged")

    for clock in (na.ManualClock(), na.VirtualClock()):
        async with na.Network(RELAY, clock=clock) as network, network.session() as session:
            stream = session.stream(source(), window="time(5000)")
            reading = asyncio.create_task(anext(stream))
            await settle()
            if isinstance(clock, na.ManualClock):
                await clock.advance(1000)
            with pytest.raises(OSError, match="unplugged"):
                await reading


@pytest.mark.parametrize("ticks", range(1, 12))
async def test_cancelled_stream_leaves_nothing_behind(ticks, no_leaks):
    clock = na.ManualClock()
    network, stream = await opened(clock, window="time(3000)")
    stream.feed.give(0, 100)
    for _ in range(ticks):
        await asyncio.sleep(0)
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream.ended()
    assert not network.open_sessions
    await network.__aexit__(None, None, None)


async def ticking(parts=1000):
    """Yield an event in each timestep."""
    for k in range(parts):
        yield [1000 * k], [0]


async def test_unfinished_stream_does_not_keep_the_network_open(no_leaks):
    clock, source = na.ManualClock(), ticking()
    async with asyncio.timeout(10):
        async with na.Network(RELAY, clock=clock) as network, network.session() as session:
            stream = session.stream(source, window="events(2)")
            first = asyncio.create_task(anext(stream))
            await settle()
            await clock.advance(2000)
            assert (await first).votes[0] == 2
        with pytest.raises(na.ClosedError):
            await anext(stream)
    await source.aclose()


async def test_closing_the_network_ends_a_stream_that_waits_for_its_source(no_leaks):
    async with asyncio.timeout(10):
        async with na.Network(RELAY, clock=na.ManualClock()) as network:
            stream = network.session().stream(na.BoundedQueue(), window="events(2)")
            waiting = asyncio.create_task(anext(stream))
            await settle()
        with pytest.raises(na.ClosedError, match=r"^the session was closed while it was reading"):
            await waiting


async def test_late_finalisation_of_a_stream_leaves_the_next_sample_unchanged(no_leaks):
    async with na.Network(RELAY) as network, network.session() as session:
        async for _ in session.stream(ticking(), window="events(2)"):
            break  # The event loop closes the generator later.
        await session.send(([0, 1000, 2000], [0, 0, 0]))
        await settle()
        assert (await session.finish_sample()).input_events == 3


async def test_stream_raises_after_another_call_has_evicted_it(no_leaks):
    async with na.Network(RELAY) as network, network.session() as session:
        stream = session.stream(ticking(), window="events(3)")
        await anext(stream)
        assert (await session.decide(([0], [0]))).input_events == 1
        await session.send(([0, 1000], [0, 0]))
        with pytest.raises(RuntimeError, match=r"^the session was used by another call"):
            await anext(stream)
        assert (await session.finish_sample()).input_events == 2


async def test_cancelled_source_does_not_end_the_stream_normally(no_leaks):
    async def source():
        yield [0], [0]
        raise asyncio.CancelledError  # as by a task of its own that it waits for

    clock = na.ManualClock()
    async with na.Network(RELAY, clock=clock) as network, network.session() as session:
        reading = asyncio.create_task(anext(session.stream(source(), window="events(2)")))
        await settle()
        await clock.advance(1000)
        with pytest.raises(asyncio.CancelledError):
            await reading


def stream_drivers():
    """Return the ids of all stream drivers that are still in memory."""
    gc.collect()
    return {id(item) for item in gc.get_objects() if type(item) is StreamDriver}


async def test_a_session_releases_a_stream_that_has_ended(no_leaks):
    async with na.Network(RELAY) as network, network.session() as session:
        before = stream_drivers()
        decisions = session.stream([sample(inputs=1)], window="events(1)")
        await anext(decisions)
        assert len(stream_drivers() - before) == 1
        await decisions.aclose()
        del decisions
        assert stream_drivers() <= before


async def test_stream_of_samples_detects_another_call(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        stream = session.stream([TRAIN] * 3)
        await anext(stream)
        await session.send(([0, 500], [1, 2]))
        with pytest.raises(RuntimeError, match=r"^the session was used by another call"):
            await anext(stream)
        assert (await session.finish_sample()).input_events == 2
