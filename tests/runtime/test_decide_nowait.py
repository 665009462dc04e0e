"""A decision without a wait is that of ``decide``, or None, which changes nothing."""

import asyncio

import pytest

import neuroasync as na
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()
SAMPLES = [sample(seed=k) for k in range(5)]


@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
async def test_decision_without_a_wait_is_the_same(input_mode, clock, no_leaks):
    network = na.Network(BUNDLE, input=input_mode)
    async with network, network.session() as waits, network.session() as session:
        for train in SAMPLES:
            await asyncio.sleep(0)
            expected = await waits.decide(train)
            assert session.decide_nowait(train) == expected  # the time slice never ends
        assert session.counts == waits.counts


async def test_decision_without_a_wait_is_recorded_with_its_events(monkeypatch, no_leaks):
    monkeypatch.setattr(TimeSlice, "work", lambda _: 10**9)
    network = na.Network(BUNDLE)
    recorder = network.recorder()
    async with network, network.session(recorder=recorder) as session:
        decision = session.decide_nowait(SAMPLES[0])
    recording = recorder.finish()
    assert recording.spikes.tolist() == [decision.total_spikes]
    assert recording.input_index.tolist() == SAMPLES[0].index.tolist()


async def test_decision_that_must_wait_leaves_the_session_as_it_was(monkeypatch, no_leaks):
    network = na.Network(BUNDLE)
    async with network, network.session() as session:
        expected = await network.decide(SAMPLES[0], seed=na.sample_seed(0, 0))
        with monkeypatch.context() as patch:
            patch.setattr(TimeSlice, "is_exhausted", lambda _: True)
            patch.setattr(TimeSlice, "must_wait", lambda _: False)
            patch.setattr(TimeSlice, "work", lambda _: 1)
            assert session.decide_nowait(SAMPLES[0]) is None
        with monkeypatch.context() as patch:
            patch.setattr(TimeSlice, "must_wait", lambda _: True)
            assert session.decide_nowait(SAMPLES[0]) is None
            assert session.decide_nowait(na.SpikeTrain([], [])) is None  # although it has no pass
        assert session.counts == na.Counts()
        assert session.sample == 0
        assert await session.decide(SAMPLES[0]) == expected


async def test_decision_without_a_wait_needs_a_new_sample_and_the_compiled_engine(no_leaks):
    async with na.Network(BUNDLE) as network:
        async with network.session() as session:
            await session.send(([0], [0]))
            assert session.decide_nowait(([10], [0])) is None
            assert session.waiting_events == 1
        async with network.session() as session:
            await session.advance("3ms")
            assert session.decide_nowait(SAMPLES[0]) is None
            assert (await session.finish_sample()).passes == 3
        async with network.session(engine="coroutines") as session:
            assert session.decide_nowait(SAMPLES[0]) is None


async def test_decision_without_a_wait_does_not_continue_a_restored_sample(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(([0, 1500], [0, 0]))
        snapshot = session.snapshot()
        session.restore(snapshot)
        assert session.decide_nowait(([2000], [0])) is None
        assert session.snapshot() == snapshot


@pytest.mark.parametrize(
    "invalid", [([0], [10**6]), ([5, 0], [0, 0]), ([10**12], [0]), ([0], [0], [1.0, 2.0])]
)
async def test_decision_without_a_wait_leaves_errors_to_one_that_waits(invalid, no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        assert session.decide_nowait(invalid) is None
        assert session.counts == na.Counts()
        with pytest.raises(na.NeuroasyncError):
            await session.decide(invalid)
        assert session.counts.refused == len(invalid[0])
        assert session.sample == 0


async def test_decision_without_a_wait_leaves_a_pass_that_fails_to_one_that_waits(no_leaks):
    network = na.Network(BUNDLE, max_forward_steps=1)
    async with network, network.session() as session:
        assert session.decide_nowait(SAMPLES[0]) is None
        assert session.counts == na.Counts()
        with pytest.raises(na.ForwardStepLimitError):
            await session.decide(SAMPLES[0])
