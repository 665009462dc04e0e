"""Streams under a clock: passes on time, late events, silence."""

import asyncio

import pytest

import neuroasync as na
from tests.helpers.relay_streams import LIF, ONE, RELAY, Feed, Stream, opened, settle
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()


async def test_pass_runs_when_its_timestep_is_over(no_leaks):
    clock = na.ManualClock()
    network, stream = await opened(clock, window="time(3000)")
    stream.feed.give(0)  # at clock time 0: the stream's time begins
    await settle()
    stream.feed.give(1200, 2500)
    await clock.advance(2999)
    assert stream.votes == []
    await clock.advance(1)
    assert stream.votes == [(3000, 3)]
    await clock.advance(6000)
    assert stream.votes == [(3000, 3), (6000, 0), (9000, 0)]
    stream.feed.end()
    await clock.advance(3000)
    await stream.ended()
    assert stream.counts == na.Counts(events=3, decisions=4)
    await network.__aexit__(None, None, None)


async def test_stream_time_begins_with_the_first_event(no_leaks):
    clock = na.ManualClock()
    await clock.advance(777)
    network, stream = await opened(clock, window="silence(2000)")
    stream.feed.give(1_000_000)
    await settle()
    await clock.advance(1999)
    assert stream.votes == []
    await clock.advance(1)
    assert stream.votes == [(2777, 1)]
    stream.feed.end()
    await settle()
    await stream.ended()
    await network.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("late", "accepted", "votes"),
    [
        # Passes before 3000 have begun when 500, 600, 2900 and 3100 come.
        ("drop", 3, [2, 1]),  # 0; 3100
        ("merge", 6, [2, 1]),  # 0; all four in the pass at 3000
        ("shift", 6, [3, 1]),  # 0; 3000 and 3100; 5400 and 5600
    ],
)
async def test_late_events_are_dropped_merged_or_shift_the_stream(late, accepted, votes, no_leaks):
    clock = na.ManualClock()
    network, stream = await opened(clock, window="silence(4000)", late=late)
    stream.feed.give(0)
    await settle()
    await clock.advance(3000)
    stream.feed.give(500, 600, 2900, 3100)
    await clock.advance(1500)
    stream.feed.give(11_000)
    await clock.advance(20_000)
    stream.feed.end()
    await clock.advance(20_000)
    await stream.ended()
    assert [count for _, count in stream.votes] == votes
    assert stream.counts == na.Counts(events=accepted, late=3, dropped=6 - accepted, decisions=2)
    await network.__aexit__(None, None, None)


async def test_pass_that_begins_too_late_is_a_missed_deadline(no_leaks):
    clock = na.ManualClock()
    network, stream = await opened(clock, window="time(10000)")
    stream.feed.give(0)
    await settle()
    clock._now_us = 5300  # the loop was held
    await clock.advance(0)
    assert stream.counts.missed_deadlines == 4  # due at 1000, 2000, 3000, 4000; 5000 is in time
    stream.feed.end()
    await clock.advance(10_000)
    await stream.ended()
    await network.__aexit__(None, None, None)


async def test_delayed_spikes_can_decide_without_further_events(no_leaks):
    model = na.Model(
        1000, (1,), (na.Population("slow", (1,), LIF), na.Population("output", (1,), LIF)),
        (na.Dense("input", "slow", ONE), na.Dense("slow", "output", ONE, delay_us=4000)), "output",
    )  # fmt: skip
    clock = na.ManualClock()
    network = na.Network(na.Bundle(model), clock=clock, until="first-spike")
    async with network:
        stream = Stream(network, clock, Feed(), window="time(100000)")
        stream.feed.give(0)
        await settle()
        await clock.advance(4999)
        assert stream.votes == []
        await clock.advance(1)
        assert stream.votes == [(5000, 1)]
        stream.feed.end()
        await clock.advance(100_000)
        await stream.ended()


async def test_source_ahead_of_the_clock_has_to_wait(no_leaks):
    given = []

    async def source():
        for k in range(1000):
            given.append(k)
            yield [1000 * k], [0]

    clock = na.ManualClock()
    async with na.Network(RELAY, clock=clock) as network, network.session() as session:
        stream = session.stream(source(), window="time(10000)")
        first = asyncio.create_task(anext(stream))
        await settle()
        await clock.advance(9000)
        assert len(given) < 100
        await clock.advance(1000)
        assert (await first).votes[0] == 10
        assert len(given) < 100
        await stream.aclose()
        await settle()


async def test_real_time_clock_gives_the_decisions_of_the_virtual_clock(no_leaks):
    train = sample(events=100, duration_us=20_000)

    async def source():
        yield train

    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = [d async for d in session.stream(source(), window="time(5000)")]
    clock = na.RealTimeClock(speed=1000.0)
    async with na.Network(BUNDLE, clock=clock) as network, network.session() as session:
        assert [d async for d in session.stream(source(), window="time(5000)")] == expected
        assert session.counts.late == 0


async def test_decision_is_yielded_with_the_pass_that_makes_it(no_leaks):
    clock = na.ManualClock()
    async with na.Network(RELAY, clock=clock, until="votes(2)") as network:
        stream = Stream(network, clock, Feed(), window="decided")
        stream.feed.give(0)
        await settle()
        await clock.advance(1100)
        stream.feed.give(1100)
        await clock.advance(899)
        assert stream.votes == []
        await clock.advance(1)
        assert stream.votes == [(2000, 2)]
        stream.feed.end()
        await settle()
        await stream.ended()


async def test_jitter_buffer_delays_passes_so_that_jitter_is_not_late(no_leaks):
    for jitter_buffer_us, late in ((0, 1), (2000, 0)):
        clock = na.ManualClock()
        network = na.Network(RELAY, clock=clock)
        async with network:
            stream = Stream(
                network, clock, Feed(), window="silence(5000)", jitter_buffer_us=jitter_buffer_us
            )
            stream.feed.give(0)
            await settle()
            await clock.advance(2500)
            stream.feed.give(1900)  # 600 µs on the way; its pass is due at 2000
            await clock.advance(20_000)
            stream.feed.end()
            await clock.advance(20_000)
            await stream.ended()
        assert (stream.counts.late, stream.votes[0][1]) == (late, 2)
