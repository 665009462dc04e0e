"""Large numbers of events are validated and sorted in a thread, with the same result."""

import asyncio

import numpy as np
import pytest

import neuroasync as na
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.runtime.input import many_events
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    """Let 10 events count as many."""
    monkeypatch.setattr(many_events, "_MANY", 10)


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


async def test_error_in_a_long_list_of_values_names_the_position(monkeypatch, no_leaks):
    monkeypatch.setattr(many_events, "_CONVERTED_AT_ONCE", 8)
    values = [1.0] * 20
    values[17] = np.inf
    async with na.Network(BUNDLE) as network:
        with pytest.raises(na.EventsError, match=r"^`value\[17\]` must be a number from"):
            await network.decide(([0] * 20, [0] * 20, values))


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


@pytest.mark.parametrize("engine", ["compiled", "coroutines"])
async def test_decision_fails_if_its_network_closes_while_events_are_checked(
    paused_check, engine, no_leaks
):
    began, may_end = paused_check
    network = await na.Network(BUNDLE, engine=engine).open()
    task = asyncio.create_task(network.decide(sample(seed=1)))
    await asyncio.to_thread(began.wait, 30)
    closing = asyncio.create_task(network.close())
    await asyncio.sleep(0)  # it waits for the thread
    may_end.set()
    await closing
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


async def test_watch_reads_chunks_of_many_events(no_leaks):
    train = sample(seed=1)

    async def chunks():
        yield train.t_us[:30].tolist(), train.index[:30].tolist()
        yield train.t_us[30:], train.index[30:]

    async with na.Network(BUNDLE) as network, network.session() as session:
        decisions = [decision async for decision in session.watch(chunks())]
        assert decisions[-1] == await network.decide(train, seed=na.sample_seed(0, 0))


@pytest.mark.parametrize("kind", [list, tuple])
async def test_lists_are_converted_in_time_slices(kind, monkeypatch, no_leaks):
    monkeypatch.setattr(many_events, "_CONVERTED_AT_ONCE", 8)
    loop, train, turns = asyncio.get_running_loop(), sample(seed=1), []
    monkeypatch.setitem(TimeSlice._by_loop, loop, TimeSlice(0.0))
    converted = many_events._converted
    monkeypatch.setattr(
        many_events, "_converted", lambda *args: turns.append(turn) or converted(*args)
    )
    turn = 0

    def count():
        nonlocal turn
        turn += 1
        if not deciding.done():
            loop.call_soon(count)

    events = (kind(train.t_us.tolist()), kind(train.index.tolist()))
    async with na.Network(BUNDLE) as network:
        deciding = asyncio.create_task(network.decide(events))
        loop.call_soon(count)
        assert await deciding == await network.decide(train)
    assert len(turns) == 2 * -(-len(train) // 8)
    assert len(set(turns)) == len(turns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, i: i.__setitem__(13, 0.5), r"^`index\[8:16\]` must be one-dimensional integers"),
        (lambda t, i: i.__setitem__(30, "x"), r"^`index\[24:32\]` must be "),
        (lambda t, i: i.pop(), r"^`index` must be of the same length as `t_us` \(60\), got 59"),
        (lambda t, i: t.__setitem__(20, 10**6), r"^`t_us\[21\]` must be at least 1000000"),
        (lambda t, i: i.__setitem__(5, -1), r"^`index\[5\]` must be at least 0, got -1"),
        (lambda t, i: i.__setitem__(5, 12), r"^`index\[5\]` must be at most 11"),
    ],
)
async def test_invalid_lists_are_refused(change, message, monkeypatch, no_leaks):
    monkeypatch.setattr(many_events, "_CONVERTED_AT_ONCE", 8)
    train = sample(seed=1)
    t_us, index = train.t_us.tolist(), train.index.tolist()
    change(t_us, index)
    async with na.Network(BUNDLE) as network, network.session() as session:
        with pytest.raises(na.EventsError, match=message):
            await session.send((t_us, index))
        assert (session.counts.refused, session.counts.events) == (60, 0)


async def test_list_that_becomes_shorter_meanwhile_is_refused(monkeypatch, no_leaks):
    monkeypatch.setattr(many_events, "_CONVERTED_AT_ONCE", 8)
    loop = asyncio.get_running_loop()
    monkeypatch.setitem(TimeSlice._by_loop, loop, TimeSlice(0.0))
    train = sample(seed=1)
    t_us = train.t_us.tolist()
    async with na.Network(BUNDLE) as network, network.session() as session:
        sending = asyncio.create_task(session.send((t_us, train.index)))
        loop.call_soon(t_us.clear)
        with pytest.raises(na.EventsError, match=r"^`t_us` must be left unchanged until the call"):
            await sending


async def test_a_range_that_is_too_long_for_an_array_is_refused(no_leaks):
    events = (range(10**20), [0])
    async with na.Network(chain()) as network, network.session() as session:
        for call in (session.send, session.decide, network.decide):
            with pytest.raises(na.EventsError, match=r"^`t_us` must be one-dimensional integers"):
                await call(events)
