"""Snapshots of streams with a window: another session continues with the same decisions."""

import asyncio
import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from tests.helpers.malformed_files import sealed, unsealed
from tests.helpers.small_networks import chain, sample
from tests.helpers.strategies import models, rule_for, streams

BUNDLE = chain()
TRAIN = sample(events=120, duration_us=60_000)
WINDOWS = ["time(5000)", "events(9)", "silence(2000)", "decided"]


class Source:
    """An async source of the chunks of a train; it continues where it was left."""

    def __init__(self, train, at):
        self._parts = [
            (train.t_us[k : k + at], train.index[k : k + at]) for k in range(0, len(train), at)
        ]
        self.taken = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if self.taken == len(self._parts):
            raise StopAsyncIteration
        self.taken += 1
        return self._parts[self.taken - 1]


async def moved(network, make_source, after, **options):
    """Return all decisions of a stream, without and with a move to another session."""
    async with network.session(seed=3) as session:
        expected = [d async for d in session.stream(make_source(), **options)]
    source = make_source()
    async with network.session(seed=3) as session:
        stream = session.stream(source, **options)
        found = [await anext(stream) for _ in range(min(after, len(expected)))]
        data = session.snapshot()
        await stream.aclose()
    async with network.session(seed=3) as session:
        session.restore(data)
        assert session.snapshot() == data
        found += [d async for d in session.stream(source, **options)]
    return expected, found


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("at", [1, 7, 120])
async def test_stream_continues_in_another_session(window, carry_state, at, no_leaks):
    async with na.Network(BUNDLE, until="votes(4)") as network:
        for after in range(12):
            expected, found = await moved(
                network, lambda: Source(TRAIN, at), after, window=window, carry_state=carry_state
            )
            assert found == expected
            assert len(expected) > 2


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("window", WINDOWS)
async def test_stream_moves_to_another_session_after_each_decision(window, carry_state, no_leaks):
    options = {"window": window, "carry_state": carry_state}
    async with na.Network(BUNDLE, until="votes(4)") as network:
        async with network.session(seed=3) as session:
            expected = [d async for d in session.stream(Source(TRAIN, 7), **options)]
        source, data, found = Source(TRAIN, 7), None, []
        while len(found) < len(expected):
            async with network.session(seed=3) as session:
                if data is not None:
                    session.restore(data)
                found.append(await anext(session.stream(source, **options)))
                data = session.snapshot()
    assert found == expected


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    model=models(refractory=True, max_populations=3, max_neurons=6, extended=True),
    window=st.sampled_from(["time(2)", "events(1)", "events(4)", "silence(3)"]),
    carry_state=st.booleans(),
    policy=st.sampled_from(["random", "momentum"]),
    rule=st.sampled_from(["quiet", "first-spike"]),
)
def test_any_stream_continues_spike_for_spike(data, model, window, carry_state, policy, rule):
    window, train = data.draw(streams(model, window))
    rule = rule_for(model, rule)
    after, at = data.draw(st.integers(0, 6)), data.draw(st.integers(1, 6))

    async def run():
        network = na.Network(na.Bundle(model), policy=policy, group_size=2, until=rule)
        async with network:
            return await moved(
                network, lambda: Source(train, at), after, window=window, carry_state=carry_state
            )

    expected, found = asyncio.run(run())
    assert found == expected


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


async def test_restored_stream_continues_only_with_its_window(no_leaks):
    async with na.Network(BUNDLE) as network:
        async with network.session() as session:
            stream = session.stream(Source(TRAIN, 7), window="events(9)")
            await anext(stream)
            data = session.snapshot()
            await stream.aclose()
        async with network.session() as session:
            session.restore(data)
            with pytest.raises(
                ValueError,
                match=r"^the session was restored with a stream of window='events\(9\)', "
                r"carry_state=False, got window='events\(8\)', carry_state=False; call reset\(\)",
            ):
                await anext(session.stream([], window="events(8)"))
            with pytest.raises(
                ValueError,
                match=r"^the session was restored with a stream of window='events\(9\)', carry_sta",
            ):
                await anext(session.stream([TRAIN]))
            session.restore(data)
            assert session.sample == 1
            expected = await session.decide(TRAIN)  # abandons the stream
            session.reset()
            await session.stream([], window="events(8)").aclose()
        async with network.session() as session:
            session.skip()
            assert await session.decide(TRAIN) == expected


async def damaged(change):
    """Restore a stream snapshot after ``change`` has modified its fields."""
    async with na.Network(BUNDLE) as network, network.session() as session:
        stream = session.stream(Source(TRAIN, 50), window="events(9)")
        await anext(stream)
        fields = unsealed(session.snapshot())
        await stream.aclose()
        change(fields)
        session.restore(sealed(fields))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["stream"].pop("ahead"), r"^this is not a snapshot, or it is damaged: `stream"),
        (
            lambda f: f["stream"].update(window="weekly"),
            r"^`stream\.window` must be time\(t\) or silence\(t\) with a time of",
        ),
        (lambda f: f["stream"].update(carries=1), r"^`stream\.carries` must be true or false, got"),
        (lambda f: f["stream"].update(carries=True), r"^`counters\.carries` must be equal to `str"),
        (
            lambda f: f["stream"]["counters"].update(count=-2),
            r"^`stream\.counters\.count` must be an integer of at least -1, got -2$",
        ),
        (
            lambda f: f["stream"]["counters"].update(last_us=3),
            r"^`stream\.waiting\.t_us` must be from the start of the sample \(0\) to the last",
        ),
        (
            lambda f: f["stream"].update(ahead=[{}] * 65),
            r"^`stream\.ahead` must be a list of at most 64 chunks, got 65$",
        ),
        (lambda f: f.update(stream=5), r"^this is not a snapshot, or it is damaged: `stream` must"),
    ],
)
async def test_damaged_stream_state_is_rejected(change, message):
    with pytest.raises(na.SnapshotError, match=message):
        await damaged(change)


@pytest.mark.parametrize("carry_state", [False, True])
async def test_a_snapshot_from_another_task_while_others_are_busy_loses_no_decision(
    carry_state, no_leaks
):
    """The decisions before and after any snapshot are all decisions of the stream."""
    options = {"window": "time(3000)", "carry_state": carry_state}
    async with na.Network(BUNDLE, until="first-spike") as network:

        async def busy():
            async with network.session() as other:
                while True:
                    await other.decide(TRAIN)

        async with network.session(seed=3) as session:
            expected = [d async for d in session.stream(Source(TRAIN, 2), **options)]
        others = [asyncio.create_task(busy()) for _ in range(4)]
        source, found, snapshots = Source(TRAIN, 2), [], []

        async def read(session):
            async for decision in session.stream(source, **options):
                found.append(decision)  # noqa: PERF401  # each as soon as it is here

        async with network.session(seed=3) as session:
            reading = asyncio.create_task(read(session))
            while not reading.done():
                await asyncio.sleep(0)
                with contextlib.suppress(RuntimeError):  # it is deciding
                    snapshots.append((source.taken, len(found), session.snapshot()))
            await reading
        for other in others:
            other.cancel()
        await asyncio.wait(others)
        assert found == expected
        assert len(snapshots) > 5
        for taken, before, data in snapshots[:: max(len(snapshots) // 40, 1)]:
            rest = Source(TRAIN, 2)
            rest.taken = taken
            async with network.session(seed=3) as session:
                session.restore(data)
                after = [d async for d in session.stream(rest, **options)]
            # A decision that was emitted but not received yet is in neither.
            assert after == expected[len(expected) - len(after) :]
            assert len(expected) - 1 <= before + len(after) <= len(expected)


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


async def test_rest_of_a_decided_window_keeps_its_sample_number(no_leaks):
    async with na.Network(BUNDLE, until="first-spike") as network:
        async with network.session(seed=3) as session:
            source = Source(TRAIN, 7)
            stream = session.stream(source, window="time(30000)", carry_state=True)
            await anext(stream)
            data, taken = session.snapshot(), source.taken
            assert session.sample == 0
            tap = network.tap("output")
            decisions = [d async for d in stream]
            tap.close()
            expected = [(item.sample, item.t_us) async for item in tap]
        async with network.session(seed=3) as session:
            session.restore(data)
            assert session.sample == 0
            source = Source(TRAIN, 7)
            source.taken = taken
            tap = network.tap("output")
            stream = session.stream(source, window="time(30000)", carry_state=True)
            assert [d async for d in stream] == decisions
            tap.close()
            assert [(item.sample, item.t_us) async for item in tap] == expected
    assert {k for k, _ in expected} == {0, 1}


async def test_first_event_after_a_pause_sets_the_time(no_leaks):
    """A sensor keeps running during a pause; afterwards decisions are on time at once."""
    clock, found = na.ManualClock(), []
    lif = na.LIF(tau_mem_us=np.inf, v_threshold=0.5)
    wire = na.Dense("input", "output", np.ones((1, 1), np.float32))
    relay = na.Bundle(
        na.Model(1000, (1,), (na.Population("output", (1,), lif),), (wire,), "output")
    )

    async def read(session, feed):
        async for decision in session.stream(feed, window="time(2000)", late="drop"):
            found.append((clock.now_us(), int(decision.votes[0])))  # noqa: PERF401

    async with na.Network(relay, clock=clock) as network:
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


async def test_stream_of_samples_detects_another_call(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        stream = session.stream([TRAIN] * 3)
        await anext(stream)
        await session.send(([0, 500], [1, 2]))
        with pytest.raises(RuntimeError, match=r"^the session was used by another call"):
            await anext(stream)
        assert (await session.finish_sample()).input_events == 2
