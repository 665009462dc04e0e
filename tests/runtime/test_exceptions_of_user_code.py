"""What user code raises ends its own decision or stream, and nothing else."""

import asyncio
import subprocess
import sys

import pytest

import neuroasync as na
from neuroasync.sources import buffered
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample()


class MineError(BaseException):
    """An exception that ``except Exception`` does not catch."""


ERRORS = [ZeroDivisionError, MineError, asyncio.CancelledError]


def failing(error):
    """Return a population that raises ``error`` in its second sample."""

    async def population(inbox, fired, population):
        async for events in inbox:
            if events.sample == 1:
                raise error
            await fired.put([])

    return population


@pytest.mark.parametrize("error", ERRORS)
async def test_a_population_fails_its_own_decision(error, no_leaks):
    network = na.Network(BUNDLE, populations={"hidden2": failing(error)})
    async with network, network.session() as bad, network.session() as good:
        expected = await good.decide(SAMPLE)
        await bad.decide(SAMPLE)
        others = asyncio.gather(*(network.decide(SAMPLE) for _ in range(3)))
        with pytest.raises(na.PopulationError) as caught:
            await bad.decide(SAMPLE)
        assert [d.votes.tolist() for d in await others] == [expected.votes.tolist()] * 3
        assert bad.sample == 1
    assert str(caught.value) == f"population 'hidden2' raised {error.__name__}"
    assert isinstance(caught.value.__cause__, error)


class Policy:
    """A policy that raises an exception at its third call."""

    def __init__(self, error):
        self._error, self._calls = error, 0

    def order(self, pending, group_size):
        self._calls += 1
        if self._calls == 3:
            raise self._error
        return range(len(pending.neuron))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", ["policy", "until"])
async def test_a_policy_or_a_rule_fails_its_own_decision_unchanged(kind, error, no_leaks):
    raised = error("mine")

    def rule(progress):
        if progress.steps == 3:
            raise raised
        return False

    options = {"policy": Policy(raised)} if kind == "policy" else {"until": rule}
    async with na.Network(BUNDLE) as network, network.session(**options) as bad:
        others = asyncio.gather(*(network.decide(SAMPLE) for _ in range(3)))
        with pytest.raises(error) as caught:
            await bad.decide(SAMPLE)
        assert caught.value is raised
        assert len(await others) == 3
        assert bad.sample == 0
        assert await network.decide(SAMPLE) == (await others)[0]


class Stopping(na.ManualClock):
    """A clock whose sleepers get an exception."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    async def sleep_until(self, t_us):
        await asyncio.sleep(0)
        raise self._error


@pytest.mark.parametrize("error", ERRORS)
async def test_a_clock_fails_the_decision_whose_report_it_times(error, no_leaks):
    async def waiting(inbox, fired, population):
        await asyncio.Event().wait()

    raised = error("mine")
    network = na.Network(BUNDLE, populations={"hidden1": waiting}, clock=Stopping(raised))
    async with network:
        with pytest.raises(error) as caught:
            await network.decide(SAMPLE)
        assert caught.value is raised
        assert network.open_sessions == 0


async def broken_source(error):
    yield SAMPLE
    raise error


@pytest.mark.parametrize("error", ERRORS)
async def test_a_source_that_is_read_ahead_fails_its_own_stream(error, no_leaks):
    raised, clock = error("mine"), na.ManualClock()
    async with na.Network(BUNDLE, clock=clock) as network, network.session() as session:
        stream = session.stream(broken_source(raised), window="time(2ms)")
        reading = asyncio.ensure_future(anext(stream))
        for _ in range(20):
            await clock.advance(1000)
        assert (await reading).input_events
        with pytest.raises(error) as caught:
            async for _ in stream:
                await clock.advance(20_000)
        assert caught.value is raised
        assert (await network.decide(SAMPLE)).passes


@pytest.mark.parametrize("error", ERRORS)
async def test_a_buffered_source_passes_on_what_it_raised(error, no_leaks):
    raised = error("mine")
    async with buffered(broken_source(raised)) as chunks:
        assert await anext(chunks) == SAMPLE
        with pytest.raises(error) as caught:
            await anext(chunks)
    assert caught.value is raised


CHILD = """
import asyncio, sys
import neuroasync as na
from tests.helpers.small_networks import chain, sample
from tests.runtime.test_exceptions_of_user_code import failing

error = {"KeyboardInterrupt": KeyboardInterrupt(), "SystemExit": SystemExit(3)}[sys.argv[1]]
network = na.Network(chain(), populations={"hidden2": failing(error)})

async def main():
    async with network, network.session() as session:
        await session.decide(sample())
        await session.decide(sample())

try:
    asyncio.run(main())
except BaseException as raised:
    print(raised is error, network.open_sessions, network)
"""


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_an_exception_that_ends_the_event_loop_closes_the_network(error):
    child = subprocess.run([sys.executable, "-c", CHILD, error], capture_output=True, text=True)
    assert child.stdout.startswith("True 0 <Network ")
    assert child.stdout.endswith("not open>\n")
