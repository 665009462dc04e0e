"""An open network is used in its own event loop and thread only, and is opened and closed once."""

import asyncio
import threading

import pytest

import neuroasync as na
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample()
OTHER_LOOP = r"^the network is open in another event loop; create one network for each loop$"
OTHER_THREAD = r"^the network is open in the event loop of another thread; pass the call to that "
ENDED = r"^the network was opened in an event loop that has ended; create a new network"
NOT_RUNNING = r"^the network is open in an event loop that is not running; call it from there$"


async def endless():
    while True:
        yield SAMPLE
        await asyncio.sleep(0)


async def first(iterator):
    return await anext(iterator)


SESSION_CALLS = {
    "send": lambda session: session.send(SAMPLE),
    "finish_sample": lambda session: session.finish_sample(),
    "decide": lambda session: session.decide(SAMPLE),
    "watch": lambda session: first(session.watch(SAMPLE)),
    "watch a source": lambda session: first(session.watch(endless())),
    "stream": lambda session: first(session.stream(endless())),
    "stream with a window": lambda session: first(session.stream([SAMPLE], window="time(1ms)")),
    "advance": lambda session: session.advance("20ms"),
    "enter": lambda session: session.__aenter__(),
}
PLAIN_CALLS = {
    "snapshot": lambda session: session.snapshot(),
    "restore": lambda session: session.restore(b""),
    "skip": lambda session: session.skip(),
    "reset": lambda session: session.reset(),
    "close": lambda session: session.close(),
}
NETWORK_CALLS = {
    "decide": lambda network: network.decide(SAMPLE),
    "decide_all": lambda network: network.decide_all([SAMPLE]),
    "close": lambda network: network.close(),
}


async def in_another_thread(call):
    """Return the result of a function that runs in another thread."""
    return await asyncio.to_thread(call)


def run_here(call, subject):
    """Await the call in a new event loop of this thread."""

    async def main():
        return await call(subject)

    return asyncio.run(main())


@pytest.mark.parametrize("name", SESSION_CALLS)
async def test_a_session_refuses_another_event_loop(name, no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await session.decide(SAMPLE)
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await in_another_thread(lambda: run_here(SESSION_CALLS[name], session))
        async with network.session() as fresh:
            assert await fresh.decide(SAMPLE) == expected
        assert session.sample == 1  # the refused call has changed nothing


@pytest.mark.parametrize("name", PLAIN_CALLS)
async def test_plain_methods_of_a_session_refuse_another_thread(name, no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        await session.send(SAMPLE)
        with pytest.raises(RuntimeError, match=OTHER_THREAD):
            await in_another_thread(lambda: PLAIN_CALLS[name](session))
        assert (await session.finish_sample()).total_spikes > 0


@pytest.mark.parametrize("name", NETWORK_CALLS)
async def test_a_network_refuses_another_event_loop(name, no_leaks):
    async with na.Network(BUNDLE) as network:
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await in_another_thread(lambda: run_here(NETWORK_CALLS[name], network))
        await network.decide(SAMPLE)


async def test_opening_sessions_and_taps_refuses_another_thread(no_leaks):
    async with na.Network(BUNDLE) as network:
        for call in (network.session, lambda: network.tap("output")):
            with pytest.raises(RuntimeError, match=OTHER_THREAD):
                await in_another_thread(call)
        assert network.open_sessions == 0


async def test_a_tap_refuses_another_event_loop(no_leaks):
    async with na.Network(BUNDLE) as network, network.tap("output") as tap:
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await in_another_thread(lambda: run_here(first, tap))
        with pytest.raises(RuntimeError, match=OTHER_THREAD):
            await in_another_thread(tap.close)
        assert not tap.is_closed


STEPS = {
    "anext": lambda decisions: anext(decisions),
    "asend": lambda decisions: decisions.asend(None),
    "athrow": lambda decisions: decisions.athrow(ValueError("stop")),
    "aclose": lambda decisions: decisions.aclose(),
}
ITERATORS = {
    "watch": lambda session: session.watch(SAMPLE),
    "stream": lambda session: session.stream([SAMPLE] * 3),
    "stream with a window": lambda session: session.stream([SAMPLE], window="time(1ms)"),
}


async def outcome(decisions):
    """Return what does not depend on time of each decision."""
    return [(d.label, d.votes.tolist(), d.passes, d.is_final) async for d in decisions]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ITERATORS)
@pytest.mark.parametrize("steps_before", [0, 1])
async def test_a_refused_step_leaves_the_decisions_to_their_owner(
    step, name, steps_before, no_leaks
):
    async with na.Network(BUNDLE) as network, network.session() as session:
        expected = await outcome(ITERATORS[name](session))
        assert len(expected) > 1
        session = network.session()
        decisions = ITERATORS[name](session)
        for _ in range(steps_before):
            await anext(decisions)
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await in_another_thread(lambda: run_here(STEPS[step], decisions))
        assert await outcome(decisions) == expected[steps_before:]


async def test_a_refused_step_does_not_disturb_a_stream_that_a_clock_paces(no_leaks):
    clock = na.RealTimeClock(1000.0)
    async with na.Network(BUNDLE, clock=clock) as network, network.session() as session:
        expected = [d.passes async for d in session.stream([SAMPLE], window="time(1ms)")]
        assert len(expected) > 1
        decisions = session.stream([SAMPLE], window="time(1ms)")
        found = [(await anext(decisions)).passes]
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await in_another_thread(lambda: run_here(first, decisions))
        assert found + [d.passes async for d in decisions] == expected


async def test_the_owner_can_throw_into_its_decisions(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        decisions = session.stream([SAMPLE] * 3)
        await decisions.asend(None)
        with pytest.raises(ValueError, match=r"^stop$"):
            await decisions.athrow(ValueError("stop"))
        assert await outcome(decisions) == []
        decisions = session.watch(SAMPLE)
        await anext(decisions)
        await decisions.aclose()
        assert await outcome(decisions) == []
        assert await session.decide(SAMPLE) == await network.decide(
            SAMPLE, seed=na.sample_seed(0, session.sample - 1)
        )


async def test_decisions_of_a_closed_session_say_so_in_any_loop(no_leaks):
    async with na.Network(BUNDLE) as network:
        session = network.session()
        decisions = session.stream([SAMPLE] * 3)
        await anext(decisions)
        session.close()
        with pytest.raises(na.ClosedError):
            await in_another_thread(lambda: run_here(first, decisions))
        with pytest.raises(na.ClosedError):
            await anext(decisions)


async def test_a_closed_session_can_be_closed_again_anywhere(no_leaks):
    async with na.Network(BUNDLE) as network:
        session = network.session()
        session.close()
        session.close()
        await in_another_thread(session.close)
        with pytest.raises(na.ClosedError):
            await session.decide(SAMPLE)


def test_plain_methods_work_between_two_runs_of_the_loop():
    with asyncio.Runner() as runner:
        network = na.Network(BUNDLE)
        runner.run(network.open())

        async def begin():
            session = network.session()
            await session.send(SAMPLE)
            return session

        session = runner.run(begin())
        snapshot = session.snapshot()
        session.reset()
        session.restore(snapshot)
        decision = runner.run(session.finish_sample())
        assert decision.total_spikes > 0
        with pytest.raises(RuntimeError, match=NOT_RUNNING):
            network.session()
        session.close()
        runner.run(network.close())


def test_a_network_whose_loop_has_ended_says_so():
    network = na.Network(BUNDLE)
    asyncio.run(network.open())
    with pytest.raises(RuntimeError, match=ENDED):
        asyncio.run(network.decide(SAMPLE))
    for call in (network.close, network.open, network.__aenter__):
        with pytest.raises(RuntimeError, match=ENDED):
            asyncio.run(call())


async def test_open_and_close_do_what_the_block_does(no_leaks):
    async with na.Network(BUNDLE) as network:
        expected = await network.decide(SAMPLE)
    network = na.Network(BUNDLE)
    assert await network.open() is network
    session = network.session()
    assert await network.decide(SAMPLE) == expected
    await network.close()
    with pytest.raises(na.ClosedError):
        await session.decide(SAMPLE)
    with pytest.raises(na.ClosedError, match=r"or await its open\(\)$"):
        await network.decide(SAMPLE)


async def test_closing_again_has_no_effect(no_leaks):
    network = na.Network(BUNDLE)
    await network.close()
    await network.open()
    await network.close()
    await network.close()
    with pytest.raises(na.ClosedError, match="not open"):
        await network.decide(SAMPLE)
    async with network:
        await network.decide(SAMPLE)
        await network.close()
    with pytest.raises(na.ClosedError, match="not open"):
        await network.decide(SAMPLE)


async def test_opening_twice_is_an_error_and_reopening_is_not(no_leaks):
    network = na.Network(BUNDLE)
    results = await asyncio.gather(network.open(), network.open(), return_exceptions=True)
    assert results[0] is network
    assert str(results[1]) == "the network is already open"
    with pytest.raises(RuntimeError, match=r"^the network is already open$"):
        await network.open()
    await network.decide(SAMPLE)
    await network.close()
    await network.open()
    await network.decide(SAMPLE)
    await network.close()


async def test_opening_in_another_event_loop_is_refused(no_leaks):
    async with na.Network(BUNDLE) as network:
        with pytest.raises(RuntimeError, match=OTHER_LOOP):
            await in_another_thread(lambda: run_here(na.Network.open, network))
        await network.decide(SAMPLE)


async def test_a_second_close_waits_for_the_first(no_leaks):
    async def slow(inbox, fired, population):
        try:
            async for _ in inbox:
                await fired.put([])
        finally:
            ended.append(threading.get_ident())

    ended = []
    network = na.Network(BUNDLE, populations={"output": slow})
    await network.open()
    session = network.session()
    await session.decide(SAMPLE)
    await asyncio.gather(network.close(), network.close())
    assert ended == [threading.get_ident()]


async def test_a_cancelled_open_leaves_the_network_closed(no_leaks):
    network = na.Network(BUNDLE)
    opening = asyncio.create_task(network.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await network.close()
    async with network:
        await network.decide(SAMPLE)
