"""A session is usable after errors and refused calls, which change nothing."""

import asyncio

import numpy as np
import pytest

import neuroasync as na
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()
SAMPLES = [sample(seed=k) for k in range(5)]


async def test_rejected_events_leave_the_accepted_ones_unchanged(no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        await session.send(train)
        with pytest.raises(
            na.EventsError,
            match=r"^`t_us\[0\]` must be at least \d+, the time of the last event sent, got 0; ",
        ):
            await session.send(([0], [0]))
        assert await session.finish_sample() == expected


async def test_duration_before_the_last_event_is_rejected_without_loss(no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(train)
        with pytest.raises(
            ValueError,
            match=r"^`duration_us` must be an integer above \d+, the time of the last event",
        ):
            await session.finish_sample(duration_us=5)
        assert (await session.finish_sample(duration_us=20_000)).passes == 20


async def test_session_serves_one_caller_at_a_time(engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        first = asyncio.create_task(session.decide(SAMPLES[0]))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="open a session for each task"):
            await session.decide(SAMPLES[1])
        await first


async def test_closed_session_rejects_calls(no_leaks):
    async with na.Network(BUNDLE) as network:
        async with network.session() as session:
            pass
        with pytest.raises(na.ClosedError, match="the session is closed"):
            await session.decide(SAMPLES[0])
        with pytest.raises(na.ClosedError):
            session.reset()


@pytest.mark.parametrize("duration_us", [5, 2.5, 2**53])
async def test_rejected_duration_leaves_the_sample_unchanged(duration_us, no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        with pytest.raises((ValueError, na.LimitError)):
            await session.decide(train, duration_us=duration_us)
        assert session.sample == 0
        await session.send(train)
        with pytest.raises((ValueError, na.LimitError)):
            await session.finish_sample(duration_us=duration_us)
        assert await session.finish_sample() == expected


async def restored(session, snapshot):
    """Restore a session, as a coroutine like the other calls."""
    session.restore(snapshot)


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.decide(SAMPLES[0], duration_us="20"),
        lambda session: session.finish_sample(duration_us=-1),
        lambda session: session.advance("soon"),
        lambda session: anext(session.watch(SAMPLES[0], duration_us=2.5)),
        lambda session: anext(session.stream([SAMPLES[0]], window="time(5ms)", late="never")),
        lambda session: anext(session.stream([SAMPLES[0]], jitter_buffer_us="5")),
        lambda session: restored(session, b"damaged"),
    ],
)
async def test_a_call_with_an_invalid_argument_leaves_an_open_stream_alone(call, no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = [await session.decide(SAMPLES[0]) for _ in range(2)]
        session = network.session()
        decisions = session.stream([SAMPLES[0]] * 2)
        found = [await anext(decisions)]
        with pytest.raises((ValueError, na.SnapshotError)):
            await call(session)
        found.append(await anext(decisions))
        assert found == expected


async def test_session_is_usable_after_an_error_in_a_population(monkeypatch, no_leaks):
    def out_of_memory(context, p):
        raise MemoryError

    async with (
        na.Network(BUNDLE, engine="coroutines") as network,
        network.session() as session,
    ):
        expected = await network.decide(SAMPLES[0], seed=na.sample_seed(0, 0))
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(
                "neuroasync.runtime.populations.coroutine.integrate_and_fire", out_of_memory
            )
            await session.decide(SAMPLES[0])
        assert await session.decide(SAMPLES[0]) == expected


async def test_number_of_events_in_one_pass_is_bounded(monkeypatch, no_leaks):
    monkeypatch.setattr(na.limits, "MAX_QUEUED_EVENTS", 100)
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(([0] * 101, [0] * 101))
        with pytest.raises(
            na.LimitError,
            match=r"^101 events wait for one pass, the limit is 100; this sample accepts no more",
        ):
            await session.send(([0], [0]))
        assert (await session.finish_sample()).input_events == 101


@pytest.mark.parametrize("timestep_us", [1000, 0])
async def test_event_of_a_pass_that_has_run_is_rejected(timestep_us):
    lif = na.LIF(tau_mem_us=np.inf, v_threshold=0.5)
    one = np.ones((1, 1), np.float32)
    model = na.Model(
        timestep_us,
        (1,),
        (na.Population("output", (1,), lif),),
        (na.Dense("input", "output", one),),
        "output",
    )
    async with na.Network(na.Bundle(model)) as network, network.session() as session:
        await session.send(([1999], [0]))
        await session.advance(2000)
        with pytest.raises(
            na.EventsError,
            match=r"^`t_us\[0\]` must be at least 2000, because all passes before have",
        ):
            await session.send(([1999], [0]))
        await session.send(([2000], [0]))
        assert (await session.finish_sample()).votes[0] == 2
