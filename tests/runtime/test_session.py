"""A session runs one sample after another, each from rest."""

import asyncio
import gc

import pytest

import neuroasync as na
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()
SAMPLES = [sample(seed=k) for k in range(5)]


async def test_samples_of_a_session_use_the_seeds_of_a_data_set(no_leaks):
    async with na.Network(BUNDLE, seed=3) as network, network.session() as session:
        for k, train in enumerate(SAMPLES):
            expected = await network.decide(train, seed=na.sample_seed(3, k))
            assert await session.decide(train) == expected
        assert session.sample == 5


@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
@pytest.mark.parametrize("chunk", [1, 7, 60])
async def test_sending_in_chunks_gives_the_decision_of_the_complete_sample(
    chunk, input_mode, no_leaks
):
    train = SAMPLES[0]
    async with (
        na.Network(BUNDLE, input=input_mode) as network,
        network.session() as session,
    ):
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        for at in range(0, len(train), chunk):
            await session.send((train.t_us[at : at + chunk], train.index[at : at + chunk]))
        assert await session.finish_sample() == expected


async def test_pass_runs_when_an_event_of_a_later_pass_is_sent(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        async with network.tap("hidden1") as before:
            await session.send(([0] * 12, list(range(12))))
        assert [spikes async for spikes in before] == []
        async with network.tap("hidden1") as after:
            await session.send(([1500], [0]))
        assert {spikes.t_us async for spikes in after} == {0}


async def test_session_reads_no_input_after_its_decision(no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE, until="first-spike") as network, network.session() as session:
        sent = 0
        while not session.is_decided:
            await session.send((train.t_us[sent : sent + 1], train.index[sent : sent + 1]))
            sent += 1
        await session.send((train.t_us[sent:], train.index[sent:]))
        decision = await session.finish_sample()
    assert decision.stopped
    assert decision.input_events < sent < len(train)


async def test_stream_yields_one_decision_for_each_sample(no_leaks):
    async def source():
        for train in SAMPLES:
            await asyncio.sleep(0)
            yield train

    async with na.Network(BUNDLE) as network, network.session() as session:
        streamed = [decision async for decision in session.stream(source())]
        async with network.session() as other:
            assert [d async for d in other.stream(SAMPLES)] == streamed
    assert len(streamed) == 5


async def test_slow_consumer_slows_the_source(no_leaks):
    taken = 0

    async def source():
        nonlocal taken
        for train in SAMPLES:
            taken += 1
            yield train

    async with na.Network(BUNDLE) as network, network.session() as session:
        decisions = session.stream(source())
        for expected in (1, 2, 3):
            await anext(decisions)
            assert taken == expected
        await decisions.aclose()


async def test_reset_abandons_the_sample(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await session.decide(SAMPLES[0])
        session.reset()
        async with network.session() as other:
            await other.send(SAMPLES[1])
            other.reset()
            assert await other.decide(SAMPLES[0]) == expected


@pytest.mark.parametrize("ticks", range(0, 60, 3))
async def test_sample_after_a_cancelled_one_starts_from_rest(ticks, engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        expected = await network.decide(SAMPLES[0], seed=na.sample_seed(0, 0))
        attempt = asyncio.create_task(session.decide(SAMPLES[0]))
        for _ in range(ticks):
            await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert session.sample == 0
        assert await session.decide(SAMPLES[0]) == expected


@pytest.mark.parametrize("engine", ["compiled", "coroutines"])
@pytest.mark.parametrize("abandon", [None, "reset", "skip"])
async def test_sample_without_events_has_no_votes_of_the_sample_before(engine, abandon, no_leaks):
    nothing = na.SpikeTrain([], [])
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        assert (await session.decide(SAMPLES[0])).label is not None
        if abandon:
            await session.send(SAMPLES[1])
            getattr(session, abandon)()
        assert await session.decide(nothing) == await network.decide(nothing)


@pytest.mark.parametrize("chunk", [1, 7, 60])
async def test_passes_that_take_many_time_slices_read_each_event_once(chunk, monkeypatch, no_leaks):
    train = SAMPLES[0]
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        monkeypatch.setattr(TimeSlice, "is_exhausted", lambda _: True)
        monkeypatch.setattr(TimeSlice, "must_wait", lambda _: False)
        monkeypatch.setattr(TimeSlice, "work", lambda _: 1)
        for at in range(0, len(train), chunk):
            await session.send(train.part(slice(at, at + chunk)))
        assert await session.finish_sample() == expected
        assert (await session.decide(train)).input_events == len(train)
        assert await network.decide(train, seed=na.sample_seed(0, 0)) == expected


async def test_skipped_samples_use_up_their_numbers(no_leaks):
    async with na.Network(BUNDLE, policy="random") as network, network.session() as session:
        await session.send(SAMPLES[1])
        session.skip(10**9)
        assert session.sample == 10**9
        expected = await network.decide(SAMPLES[0], seed=na.sample_seed(0, 10**9))
        assert await session.decide(SAMPLES[0]) == expected
        for count in (0, -1, True, 1.0):
            with pytest.raises(ValueError, match="`samples` must be"):
                session.skip(count)
        assert session.sample == 10**9 + 1


async def test_closed_session_leaves_no_reference_cycle(no_leaks):
    async with na.Network(BUNDLE) as network:
        await network.decide(SAMPLES[0])
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await network.decide(SAMPLES[0])
            assert gc.collect() == 0
        finally:
            gc.enable()
