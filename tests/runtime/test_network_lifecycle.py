"""A network is opened, closed and copied; closing it ends what runs."""

import asyncio
import copy
import pickle
import subprocess
import sys

import pytest

import neuroasync as na
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample()


async def read_all(stream):
    return [decision async for decision in stream]


async def test_error_of_a_closed_network_explains_how_to_open_it(no_leaks):
    network = na.Network(BUNDLE)
    with pytest.raises(na.ClosedError, match="use it inside `async with`"):
        await network.decide(SAMPLE)
    async with network:
        await network.decide(SAMPLE)
    with pytest.raises(na.ClosedError):
        network.tap("hidden1")


async def test_network_can_be_opened_again(no_leaks):
    network = na.Network(BUNDLE)
    async with network:
        first = await network.decide(SAMPLE)
    async with network:
        assert await network.decide(SAMPLE) == first


@pytest.mark.parametrize("ticks", range(40))
async def test_cancelled_decision_leaves_the_network_usable(ticks, engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network:
        expected = await network.decide(SAMPLE)
        attempt = asyncio.create_task(network.decide(SAMPLE))
        for _ in range(ticks):
            await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert network.open_sessions == 0
        assert await network.decide(SAMPLE) == expected


async def test_closing_the_network_ends_running_decisions(engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network:
        attempts = [asyncio.create_task(network.decide(SAMPLE)) for _ in range(3)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(r) for r in results] == [na.ClosedError] * 3


async def test_exception_in_the_block_is_raised_unchanged(no_leaks):
    with pytest.raises(KeyError, match="mine"):
        async with na.Network(BUNDLE) as network:
            await network.decide(SAMPLE)
            raise KeyError("mine")


@pytest.mark.parametrize("engine_name", ["auto", "coroutines"])
def test_kernels_are_loaded_while_the_event_loop_runs(engine_name, monkeypatch):
    from neuroasync.core.engine import warm_up

    monkeypatch.setattr(warm_up, "_ready", set())

    async def open_beside_a_heartbeat():
        beats = 0

        async def heartbeat():
            nonlocal beats
            while True:
                await asyncio.sleep(0)
                beats += 1

        heart = asyncio.create_task(heartbeat())
        async with na.Network(BUNDLE, engine=engine_name):
            heart.cancel()
        return beats

    assert asyncio.run(open_beside_a_heartbeat()) > 0
    assert len(warm_up._ready) == 1


CHILD = """
import asyncio, pickle, sys
async def main():
    network, events = pickle.load(sys.stdin.buffer)
    async with network:
        print((await network.decide(events)).votes.tolist())
asyncio.run(main())
"""


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy])
async def test_a_network_that_is_being_opened_cannot_be_copied(copied, no_leaks):
    network = na.Network(chain())
    opening = asyncio.create_task(network.open())
    await asyncio.sleep(0)  # the task runs until it waits for its thread
    with pytest.raises(TypeError, match=r"^an open network and its sessions cannot be pickled"):
        copied(network)
    await opening
    await asyncio.gather(network.close(), network.close())  # one waits for the other
    twin = pickle.loads(pickle.dumps(network))
    async with twin:
        assert await twin.decide(([0], [0]))


async def test_a_network_can_be_pickled_and_copied_while_it_is_closed():
    network = na.Network(chain(), seed=3, until="votes(2)", group_size=2)
    events = na.SpikeTrain([0, 5, 9], [0, 1, 2])
    async with network:
        expected = await network.decide(events)
        with pytest.raises(TypeError, match=r"^an open network and its sessions cannot be pickled"):
            pickle.dumps(network)
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        async with twin:
            assert await twin.decide(events) == expected
    child = subprocess.run(  # noqa: ASYNC221  # nothing else runs in this loop
        [sys.executable, "-c", CHILD],
        input=pickle.dumps((network, events)),
        capture_output=True,
        check=True,
    )
    assert child.stdout.decode().strip() == str(expected.votes.tolist())


async def test_population_that_closes_its_network_fails_instead_of_hanging(no_leaks):
    async def impatient(inbox, fired, population):
        async for _ in inbox:
            await network.close()

    async with na.Network(BUNDLE, populations={"hidden1": impatient}) as network:
        with pytest.raises(na.PopulationError, match="cannot close it, because closing waits"):
            await network.decide(SAMPLE)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks need Python 3.12")
async def test_population_that_closes_its_network_at_once_fails_in_an_eager_task(no_leaks):
    async def impatient(inbox, fired, population):
        await network.close()

    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    async with na.Network(BUNDLE, populations={"hidden1": impatient}) as network:
        with pytest.raises(na.PopulationError, match="cannot close it, because closing waits"):
            await network.decide(SAMPLE)
    loop.set_task_factory(None)


async def test_population_may_close_its_network_in_another_task(no_leaks):
    closing = []

    async def impatient(inbox, fired, population):
        await inbox.get()
        closing.append(asyncio.create_task(network.close()))
        await asyncio.Event().wait()

    network = await na.Network(BUNDLE, populations={"hidden1": impatient}).open()
    with pytest.raises(na.ClosedError):
        await network.decide(SAMPLE)
    await asyncio.gather(*closing)


async def test_population_that_is_ended_cannot_close_its_network_again(no_leaks):
    errors = []

    async def tidy(inbox, fired, population):
        try:
            async for _ in inbox:
                await fired.put([])
        finally:
            try:
                await network.close()
            except RuntimeError as error:
                errors.append(str(error))

    async with na.Network(BUNDLE, populations={"hidden1": tidy}) as network:
        session = network.session()
        await session.decide(SAMPLE)
    assert ["cannot close it" in error for error in errors] == [True]


async def test_source_that_a_clock_paces_cannot_close_the_network(no_leaks):
    async def source():
        yield [0, 1000], [0, 1]
        await network.close()

    clock = na.ManualClock()
    async with na.Network(BUNDLE, clock=clock) as network, network.session() as session:
        stream = session.stream(source(), window="time(1ms)")
        reading = asyncio.create_task(read_all(stream))
        for _ in range(50):
            await clock.advance("1ms")
        assert reading.done()
        with pytest.raises(RuntimeError, match="cannot close it"):
            await reading
