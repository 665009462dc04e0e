"""Snapshots of streams under a clock: waiting chunks, pauses, and the need for a clock."""

import asyncio

import numpy as np
import pytest

import neuroasync as na
from tests.helpers.relay_streams import RELAY
from tests.helpers.resumable_streams import BUNDLE, TRAIN, WINDOWS, Source


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
async def test_snapshot_includes_chunks_that_wait_for_the_clock(window, carry_state, no_leaks):
    async with na.Network(BUNDLE, until="votes(4)") as network, network.session(seed=3) as session:
        expected = [
            d
            async for d in session.stream(Source(TRAIN, 3), window=window, carry_state=carry_state)
        ]
    clock, source, found = na.ManualClock(), Source(TRAIN, 3), []

    async def read(session):
        found.extend(
            [d async for d in session.stream(source, window=window, carry_state=carry_state)]
        )

    async def read_on(session):
        async for decision in session.stream(source, window=window, carry_state=carry_state):
            found.append(decision)  # noqa: PERF401  # each as soon as it is here

    async with na.Network(BUNDLE, clock=clock, until="votes(4)") as network:
        async with network.session(seed=3) as session:
            reading = asyncio.create_task(read_on(session))
            for _ in range(31):
                await clock.advance(1000)
            data = session.snapshot()
            reading.cancel()
            await asyncio.wait([reading])
        await clock.advance(500_000)  # no session was open
        async with network.session(seed=3) as session:
            session.restore(data)
            assert session.snapshot() == data
            reading = asyncio.create_task(read(session))
            for _ in range(100):
                await clock.advance(1000)
            await reading
            assert session.counts.missed_deadlines == session.counts.late == 0
    assert found == expected


async def test_stream_driven_by_a_clock_needs_a_clock_to_continue(no_leaks):
    clock = na.ManualClock()
    async with na.Network(BUNDLE, clock=clock) as network, network.session() as session:
        feed: na.BoundedQueue[tuple[np.ndarray, np.ndarray]] = na.BoundedQueue(10)
        reading = asyncio.create_task(anext(session.stream(feed, window="time(5000)")))
        feed.push((TRAIN.t_us, TRAIN.index))
        await clock.advance(1000)
        await clock.advance(1000)
        data = session.snapshot()
        reading.cancel()
        await asyncio.wait([reading])
    async with na.Network(BUNDLE) as network, network.session() as session:
        session.restore(data)
        with pytest.raises(
            ValueError,
            match=r"^the session was restored with a stream that is driven by a clock; open the ne",
        ):
            await anext(session.stream([], window="time(5000)"))


async def test_first_event_after_a_pause_sets_the_time(no_leaks):
    """A sensor keeps running during a pause; afterwards decisions are on time at once."""
    clock, found = na.ManualClock(), []

    async def read(session, feed):
        async for decision in session.stream(feed, window="time(2000)", late="drop"):
            found.append((clock.now_us(), int(decision.votes[0])))  # noqa: PERF401

    async with na.Network(RELAY, clock=clock) as network:
        feed = na.BoundedQueue(10)
        async with network.session() as session:
            reading = asyncio.create_task(read(session, feed))
            feed.push(([0], [0]))
            await clock.advance(0)
            for _ in range(3):
                await clock.advance(1000)
            data = session.snapshot()
            reading.cancel()
            await asyncio.wait([reading])
        await clock.advance(6500)
        feed = na.BoundedQueue(10)
        async with network.session() as session:
            session.restore(data)
            reading = asyncio.create_task(read(session, feed))
            await clock.advance(500)
            feed.push(([10_000], [0]))  # the sensor's clock kept running
            await clock.advance(0)
            for _ in range(3):
                await clock.advance(1000)
            assert session.counts == na.Counts(events=1, decisions=5)
            feed.close()
            await clock.advance(1000)
            await reading
    # Past silent windows are decided at once, later ones at their end.
    assert found[:2] == [(2000, 1), (11_000, 0)]
    assert found[-2:] == [(12_000, 1), (14_000, 0)]
