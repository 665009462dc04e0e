"""Snapshots of streams with a window: another session continues with the same decisions."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from tests.helpers.resumable_streams import BUNDLE, TRAIN, WINDOWS, Source
from tests.helpers.strategies import models, rule_for, streams


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
