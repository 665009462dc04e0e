"""Streams under a clock: passes on time, late events, silence. No test waits for real time."""

import asyncio
import gc

import numpy as np
import pytest

import neuroasync as na
from neuroasync.runtime.streams.driver import StreamDriver
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()
LIF = na.LIF(tau_mem_us=np.inf, v_threshold=0.5)
ONE = np.ones((1, 1), np.float32)
RELAY = na.Bundle(
    na.Model(
        1000, (1,), (na.Population("output", (1,), LIF),), (na.Dense("input", "output", ONE),),
        "output",
    )
)  # fmt: skip
"""A neuron that fires once in each pass that has an event."""


class Feed:
    """A source that yields each chunk when the test passes it to :meth:`give`."""

    def __init__(self):
        self._parts = na.BoundedQueue(1000)

    def give(self, *times):
        self._parts.push((list(times), [0] * len(times)))

    def end(self):
        self._parts.close()

    def __aiter__(self):
        return self._parts


class Stream:
    """A stream of RELAY that a separate task reads, under a clock that the test advances."""

    def __init__(self, network, clock, feed, **options):
        self.decisions, self.clock, self.feed = [], clock, feed
        self.session = network.session()
        self._task = asyncio.create_task(self._read(options))

    async def _read(self, options):
        async with self.session as session:
            async for decision in session.stream(self.feed, **options):
                self.decisions.append((self.clock.now_us(), decision))

    @property
    def votes(self):
        return [(t_us, int(d.votes[0])) for t_us, d in self.decisions]

    @property
    def counts(self):
        return self.session.counts

    async def ended(self):
        await self._task


async def opened(clock, bundle=RELAY, **options):
    """Return an open network and a stream that runs on the clock."""
    network = na.Network(bundle, clock=clock)
    await network.__aenter__()
    feed = Feed()
    return network, Stream(network, clock, feed, **options)


async def settle():
    """Let all tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


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
    stream._task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream.ended()
    assert not network.open_sessions
    await network.__aexit__(None, None, None)


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": "weekly"}, r"^`window` must be time\(t\) or silence\(t\)"),
        ({"window": "time(1)", "late": "skip"}, r"^`late` must be 'drop', 'merge' or 'shift', got"),
    ],
)
async def test_unknown_window_or_late_option_is_rejected(options, message):
    async with na.Network(RELAY) as network, network.session() as session:
        with pytest.raises(ValueError, match=message):
            await anext(session.stream([], **options))


async def test_rejected_events_are_counted(no_leaks):
    async with na.Network(RELAY) as network:
        async with network.session() as session:
            with pytest.raises(na.EventsError):
                await session.send(([0, 1], [0, 7]))
            await session.send(([5], [0]))
            with pytest.raises(na.EventsError):
                await session.send(([1], [0]))
            assert session.counts == na.Counts(events=1, refused=3)
        assert network.counts == na.Counts(events=1, refused=3)


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


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (([3, 4], [0, 0]), r"^`t_us\[0\]` must be at least 5, the time of the stream"),
        (([9, 9], [0, 7]), r"^`index\[1\]` must be at most 0"),
    ],
)
async def test_rejected_events_are_counted_after_the_window_is_decided(part, message):
    async with na.Network(RELAY, until="first-spike") as network, network.session() as session:
        stream = session.stream([([0, 1000], [0, 0]), ([1000], [0]), part], window="time(9000)")
        if part[0][0] < 5:
            stream = session.stream([([0, 5], [0, 0]), part], window="time(9000)")
        with pytest.raises(na.EventsError, match=message):
            _ = [decision async for decision in stream]
        assert session.counts.refused == 2


async def test_unread_events_let_the_event_loop_run(no_leaks):
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with na.Network(RELAY, until="first-spike") as network, network.session() as session:
        other = asyncio.create_task(others())
        parts = (([k], [0]) for k in range(3000))
        found = [d async for d in session.stream(parts, window="time(100000)")]
        other.cancel()
        assert len(found) == 1
        assert turns > 3
        with pytest.raises(asyncio.CancelledError):
            await other


async def test_manual_clock_advanced_by_two_tasks_never_goes_back():
    clock = na.ManualClock()

    async def woken():
        await clock.sleep_until(1000)
        await clock.advance(5000)

    other = asyncio.create_task(woken())
    await settle()
    await clock.advance(2000)
    await other
    assert clock.now_us() == 6000


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


@pytest.mark.parametrize(
    ("options", "source", "error", "message"),
    [
        ({"window": "decided"}, [], ValueError, r"^window 'decided' never ends with until='quiet"),
        ({"late": "drop"}, [], ValueError, r"^`carry_state`, `late` and `jitter_buffer_us` need"),
        (
            {"jitter_buffer_us": -1, "window": "time(1)"},
            [],
            ValueError,
            r"^`jitter_buffer_us` must be an integer of at least 0, got -1",
        ),
        (
            {"window": "time(1)"},
            sample(),
            TypeError,
            r"^`source` must be an iterable .*, got SpikeT",
        ),
        ({}, 5, TypeError, r"^`source` must be an iterable .*, got int"),
    ],
)
async def test_invalid_stream_arguments_are_rejected(options, source, error, message):
    async with na.Network(RELAY) as network, network.session() as session:
        with pytest.raises(error, match=message):
            await anext(session.stream(source, **options))


@pytest.mark.parametrize("clock", [10, na.RealTimeClock])
def test_invalid_clock_is_rejected(clock):
    with pytest.raises(
        TypeError, match=r"^`clock` must be a clock, such as RealTimeClock\(\), got "
    ):
        na.Network(RELAY, clock=clock)


async def test_unknown_option_is_rejected_with_the_valid_ones():
    with pytest.raises(
        TypeError, match=r"^'untill' is not an option; the options are policy, group"
    ):
        na.Network(RELAY, untill="quiet")
    async with na.Network(RELAY) as network:
        with pytest.raises(TypeError, match=r"^'untill' is not an option; the options are policy"):
            await network.decide(sample(), untill="quiet")


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
