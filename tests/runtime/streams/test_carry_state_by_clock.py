"""By a clock, windows that carry state give the decisions of the virtual clock."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from tests.helpers.relay_streams import at, collected, relay
from tests.helpers.small_networks import chain, sample
from tests.helpers.strategies import models, rule_for, streams


async def test_passes_without_input_run_on_time_by_the_clock(no_leaks):
    clock, found = na.ManualClock(), []
    feed: na.BoundedQueue[tuple[np.ndarray, np.ndarray]] = na.BoundedQueue(10)
    async with na.Network(relay(), clock=clock, until="first-spike") as network:

        async def read():
            async with network.session() as session:
                stream = session.stream(feed, window="time(3000)")
                found.extend([(clock.now_us(), d.label) async for d in stream])

        reading = asyncio.create_task(read())
        feed.push(at(0))
        await clock.advance(0)
        for _ in range(10):
            await clock.advance(1000)
        feed.close()
        await clock.advance(20_000)
        await reading
    # The pass of 5 ms, of the second window, takes place once its timestep is over; then the
    # stream ends.
    assert found == [(3000, None), (6000, 0), (9000, None), (11_000, None)]


@pytest.mark.parametrize("window", ["time(5000)", "events(7)", "silence(2000)", "decided"])
async def test_real_time_windows_that_carry_state_give_the_same_decisions(window, no_leaks):
    bundle, train = chain(), sample(events=100, duration_us=100_000)

    async def found(clock):
        network = na.Network(bundle, clock=clock, until="votes(4)")
        async with network, network.session() as session:
            return [d async for d in session.stream([train], window=window, carry_state=True)]

    decisions = await found(na.VirtualClock())
    assert len(decisions) > 3
    assert await found(na.RealTimeClock(speed=1000.0)) == decisions


@pytest.mark.parametrize("window", ["events(5)", "decided", "silence(3000)", "time(7000)"])
@pytest.mark.parametrize("timestep_us", [0, 1000])
async def test_real_time_stream_may_end_long_after_its_last_event(window, timestep_us, no_leaks):
    clock = na.ManualClock()
    feed: na.BoundedQueue[tuple[np.ndarray, np.ndarray]] = na.BoundedQueue(10)
    network = na.Network(relay(2000, timestep_us), clock=clock, until="votes(3)")
    async with network, network.session() as session:
        reading = asyncio.create_task(
            asyncio.wait_for(collected(session.stream(feed, window=window, carry_state=True)), 10)
        )
        feed.push(at(0, 1000))
        for _ in range(50):
            await clock.advance(1000)
        feed.close()
        await clock.advance(1000)
        assert sum(int(d.votes[0]) for d in await reading) == 2


async def test_delayed_spike_arrives_on_time_between_real_time_windows(no_leaks):
    clock = na.ManualClock()
    feed: na.BoundedQueue[tuple[np.ndarray, np.ndarray]] = na.BoundedQueue(10)
    async with na.Network(relay(8000), clock=clock) as network, network.session() as session:
        tap = network.tap("output")
        reading = asyncio.create_task(collected(session.stream(feed, window="silence(2000)")))
        feed.push(at(0))
        await clock.advance(0)
        for _ in range(8):
            await clock.advance(1000)
        feed.push(at(8500))  # of the pass that the spike comes in; it begins a window there
        await clock.advance(1000)
        item = await asyncio.wait_for(anext(tap), 10)
        assert (item.sample, item.t_us) == (1, 0)
        for _ in range(8):
            await clock.advance(1000)
        item = await asyncio.wait_for(anext(tap), 10)
        assert (item.sample, item.t_us) == (1, 8000)  # its window is over
        feed.close()
        await clock.advance(1000)
        assert [int(d.votes[0]) for d in await reading] == [0, 1]


async def test_last_event_of_a_real_time_window_begins_no_new_window(no_leaks):
    clock = na.RealTimeClock(speed=1000.0)
    for carry_state in (False, True):
        network = na.Network(relay(0), clock=clock)
        async with network, network.session() as session:
            stream = session.stream([at(0, 2999)], window="time(3000)", carry_state=carry_state)
            assert [int(d.votes[0]) for d in await collected(stream)] == [2]


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    model=models(refractory=True, max_populations=3, max_neurons=6, extended=True),
    window=st.sampled_from(["time(2)", "time(7)", "events(1)", "events(4)", "silence(3)"]),
    carry_state=st.booleans(),
    rule=st.sampled_from(["quiet", "first-spike"]),
)
def test_real_time_stream_gives_the_decisions_of_the_virtual_clock(
    data, model, window, carry_state, rule
):
    """This includes a pause after which another session continues the stream."""
    unit = model.timestep_us or 1000
    window, train = data.draw(streams(model, window, max_events=15))
    rule = rule_for(model, rule)
    size = data.draw(st.integers(1, 5))
    parts = [
        (train.t_us[k : k + size], train.index[k : k + size]) for k in range(0, len(train), size)
    ]
    pause = data.draw(st.integers(0, 40))
    options = {"window": window, "carry_state": carry_state}

    async def check():
        bundle = na.Bundle(model)
        async with na.Network(bundle, until=rule) as network, network.session() as session:
            expected = await collected(session.stream(parts, **options))
        clock, source, found = na.ManualClock(), iter(parts), []

        async def read(session):
            async for decision in session.stream(source, **options):
                found.append(decision)  # noqa: PERF401  # each as soon as it is here

        async def run(session, ticks):
            reading = asyncio.create_task(read(session))
            for _ in range(ticks):
                if reading.done():
                    break
                await clock.advance(unit)
            return reading

        async with na.Network(bundle, clock=clock, until=rule) as network:
            async with network.session() as session:
                reading = await run(session, pause)
                done, snapshot = reading.done(), session.snapshot()
                reading.cancel()
                await asyncio.wait([reading])
            if not done:
                async with network.session() as session:
                    session.restore(snapshot)
                    await (await run(session, 300))
        assert found == expected

    asyncio.run(check())
