"""Large numbers of events are validated and sorted in a thread, with the same result."""

import asyncio
import threading

import numpy as np
import pytest

import neuroasync as na
from neuroasync.runtime.input import many_events
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    """Let 10 events count as many."""
    monkeypatch.setattr(many_events, "_MANY", 10)


@pytest.fixture
def paused_check(monkeypatch):
    """Hold the check in its thread until the test sets the second event."""
    began, may_end = threading.Event(), threading.Event()
    as_train = many_events.as_train

    def checked(events):
        began.set()
        assert may_end.wait(30)
        return as_train(events)

    monkeypatch.setattr(many_events, "as_train", checked)
    return began, may_end


@pytest.mark.parametrize("input_mode", ["prioritised", "queued"])
@pytest.mark.parametrize("as_pair", [False, True])
async def test_many_events_give_the_decision_of_few(input_mode, as_pair, monkeypatch, no_leaks):
    train = sample(seed=1)
    assert len(train) > 10
    events = (train.t_us, train.index) if as_pair else train
    decisions = []
    for many in (10**9, 10):
        monkeypatch.setattr(many_events, "_MANY", many)
        async with na.Network(BUNDLE, input=input_mode) as network, network.session() as session:
            decisions.append(await network.decide(events, seed=na.sample_seed(0, 0)))
            decisions.append(await session.decide(events))
            session.reset()
            await session.send((train.t_us[:15], train.index[:15]))
            await session.send((train.t_us[15:], train.index[15:]))
            decisions.append((await session.finish_sample()).votes.tolist())
    assert decisions[:3][:2] == decisions[3:][:2]
    assert decisions[2] == decisions[5]


async def test_invalid_events_are_refused_and_the_sample_continues(no_leaks):
    train = sample(seed=1)
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send((train.t_us[:20], train.index[:20]))
        with pytest.raises(na.EventsError, match="t_us"):
            await session.send((np.zeros(20, np.int64) - 1, np.zeros(20, np.int64)))
        assert session.counts.refused == 20
        assert session.counts.events == 20
        await session.send((train.t_us[20:], train.index[20:]))
        expected = await network.decide(train, seed=na.sample_seed(0, 0))
        assert (await session.finish_sample()).votes.tolist() == expected.votes.tolist()


async def test_session_is_busy_while_events_are_checked(paused_check, no_leaks):
    began, may_end = paused_check
    async with na.Network(BUNDLE) as network, network.session() as session:
        task = asyncio.create_task(session.decide(sample(seed=1)))
        await asyncio.to_thread(began.wait, 30)
        with pytest.raises(RuntimeError, match="busy"):
            await session.decide(sample(seed=2))
        may_end.set()
        assert (await task).is_final


async def test_session_that_is_closed_while_events_are_checked_raises(paused_check, no_leaks):
    began, may_end = paused_check
    async with na.Network(BUNDLE) as network:
        session = network.session()
        task = asyncio.create_task(session.decide(sample(seed=1)))
        await asyncio.to_thread(began.wait, 30)
        session.close()
        may_end.set()
        with pytest.raises(na.ClosedError):
            await task


async def test_cancelled_check_abandons_the_sample(paused_check, no_leaks):
    began, may_end = paused_check
    train = sample(seed=1)
    async with na.Network(BUNDLE) as network, network.session() as session:
        task = asyncio.create_task(session.decide(train))
        await asyncio.to_thread(began.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_end.set()
        assert await session.decide(train) == await network.decide(train, seed=na.sample_seed(0, 0))


async def test_watch_decides_many_events_and_counts_refused_ones(no_leaks):
    train = sample(seed=1)
    async with na.Network(BUNDLE) as network, network.session() as session:
        decisions = [decision async for decision in session.watch((train.t_us, train.index))]
        assert decisions[-1] == await network.decide(train, seed=na.sample_seed(0, 0))
        with pytest.raises(na.EventsError, match="index"):
            await anext(session.watch((train.t_us, train.index + 10**6)))
        assert session.counts.refused == len(train)
