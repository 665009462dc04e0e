"""Custom populations fire, fail, wait and are cancelled without harm to the network."""

import asyncio
import contextlib

import numpy as np
import pytest

import neuroasync as na
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample()


async def copy_of_hidden2(inbox: na.Inbox, fired: na.Fired, population: na.Population) -> None:
    """Compute in a custom population what the network's neurons would compute."""
    v, blocked, last = np.zeros(population.size, np.float32), None, None
    decay = np.float32(np.exp(-1000 / 5000.0))
    async for events in inbox:
        if (events.sample, events.pass_index) != last:
            fresh = last is None or last[0] != events.sample
            passes = 0 if fresh else events.pass_index - last[1]
            v = np.zeros_like(v) if fresh else v
            for _ in range(passes):
                v *= decay
            blocked, last = np.zeros(v.size, bool), (events.sample, events.pass_index)
        v[~blocked] += events.current[~blocked]
        fires = (v > 0.5) & ~blocked
        v[fires] = 0
        blocked |= fires
        await asyncio.sleep(0)  # real I/O would be awaited here
        await fired.put(np.flatnonzero(fires))


async def test_custom_population_can_replace_neurons(no_leaks):
    async with na.Network(BUNDLE) as network:
        expected = await network.decide(SAMPLE)
    async with na.Network(BUNDLE, populations={"hidden2": copy_of_hidden2}) as network:
        assert await network.decide(SAMPLE) == expected
        async with network.session() as session:
            assert (await session.decide(SAMPLE)).spikes == (
                await network.decide(SAMPLE, seed=na.sample_seed(0, 0))
            ).spikes


async def test_other_decisions_continue_while_a_custom_population_waits(no_leaks):
    answer = asyncio.Event()

    async def waits(inbox, fired, population):
        async for _ in inbox:
            await answer.wait()
            await fired.put([])

    async with na.Network(BUNDLE, populations={"hidden2": waits}) as network:
        blocked = asyncio.create_task(network.decide(SAMPLE))
        async with na.Network(BUNDLE) as other:
            await other.decide(SAMPLE)
        assert not blocked.done()
        answer.set()
        assert (await blocked).spikes["output"] == 0


async def raises(inbox, fired, population):
    """Raise an exception when the first group arrives."""
    async for _ in inbox:
        raise ConnectionError("the service is gone")


async def ends(inbox, fired, population):
    """Return without a report."""
    await inbox.get()


async def reports_too_high(inbox, fired, population):
    """Report a neuron that the population does not have."""
    async for _ in inbox:
        await fired.put([8])


async def reports_twice(inbox, fired, population):
    """Report the same neuron twice."""
    async for _ in inbox:
        await fired.put([1, 1])


async def reports_numbers(inbox, fired, population):
    """Report a number that is not an integer."""
    async for _ in inbox:
        await fired.put([0.5])


@pytest.mark.parametrize(
    ("population", "message"),
    [
        (raises, "population 'hidden2' raised ConnectionError: the service is gone"),
        (ends, "population 'hidden2' ended without a report"),
        (
            reports_too_high,
            r"report of population 'hidden2' must contain positions from 0 to 7, got \[8\]",
        ),
        (reports_twice, "population 'hidden2' contains a neuron twice"),
        (reports_numbers, r"population 'hidden2' must contain positions from 0 to 7, got \[0.5\]"),
    ],
)
async def test_error_in_a_custom_population_fails_the_decision(population, message, no_leaks):
    async with na.Network(BUNDLE, populations={"hidden2": population}) as network:
        for _ in range(2):  # the second time on new coroutines
            with pytest.raises(na.PopulationError, match=message):
                await network.decide(SAMPLE)


@pytest.mark.parametrize("ticks", range(0, 40, 2))
async def test_session_is_usable_after_a_cancellation_within_a_custom_population(ticks, no_leaks):
    async with (
        na.Network(BUNDLE, populations={"hidden2": copy_of_hidden2}) as network,
        network.session() as session,
    ):
        expected = await network.decide(SAMPLE, seed=na.sample_seed(0, 0))
        attempt = asyncio.create_task(session.decide(SAMPLE))
        for _ in range(ticks):
            await asyncio.sleep(0)
        attempt.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attempt
        if session.sample == 0:
            assert await session.decide(SAMPLE) == expected


def test_custom_population_with_an_unknown_name_is_rejected():
    with pytest.raises(na.ModelError, match="hidden7"):
        na.Network(BUNDLE, populations={"hidden7": ends})


async def test_closing_the_network_ends_a_population_that_waits_forever(no_leaks):
    async def hangs(inbox, fired, population):
        await asyncio.get_running_loop().create_future()

    async with na.Network(BUNDLE, populations={"hidden2": hangs}) as network:
        attempt = asyncio.create_task(network.decide(SAMPLE))
        for _ in range(5):
            await asyncio.sleep(0)
    with pytest.raises(na.ClosedError):
        await attempt


async def test_report_before_the_group_is_taken_is_rejected(no_leaks):
    async def hasty(inbox, fired, population):
        while True:
            await inbox.readable()
            await fired.put([0])
            await asyncio.sleep(0)
            inbox.pop()

    async def twice(inbox, fired, population):
        async for _ in inbox:
            await fired.put([0])
            await fired.put([0])

    for population in (hasty, twice):
        async with na.Network(BUNDLE, populations={"hidden2": population}) as network:
            with pytest.raises(na.PopulationError, match="'hidden2' reported before it took the"):
                await network.decide(SAMPLE)


async def test_report_that_is_no_array_is_rejected(no_leaks):
    async def ragged(inbox, fired, population):
        async for _ in inbox:
            await fired.put([[1], [2, 3]])

    async with na.Network(BUNDLE, populations={"hidden2": ragged}) as network:
        with pytest.raises(na.PopulationError, match=r"got \[\[1\], \[2, 3\]\]"):
            await network.decide(SAMPLE)


async def awaits_forever(inbox, fired, population):
    """Wait forever for an event that is never set."""
    await inbox.get()
    await asyncio.Event().wait()


async def takes_two_groups(inbox, fired, population):
    """Wait for a second group without reporting the first."""
    await inbox.get()
    await inbox.get()


@pytest.mark.parametrize(
    ("population", "waits"),
    [
        (awaits_forever, r"waits in awaits_forever \(.*\.py:\d+\)$"),
        (
            takes_two_groups,
            r"waits for its next group, but has not reported on the one that it took",
        ),
    ],
)
async def test_report_timeout_error_names_the_line_where_the_population_waits(
    population, waits, no_leaks
):
    own = {"hidden2": population}
    async with na.Network(BUNDLE, populations=own, report_timeout_s=0) as network:
        with pytest.raises(
            na.PopulationError,
            match=rf"^no report within 0 s .* at t = \d+ µs: population 'hidden2' {waits}",
        ):
            await network.decide(SAMPLE)


@pytest.mark.parametrize("report_timeout_s", [-1, "1", float("nan"), float("inf"), 1e308, 10**400])
async def test_invalid_report_timeout_is_rejected(report_timeout_s):
    with pytest.raises(
        ValueError, match=r"^`report_timeout_s` must be a number of seconds of at least 0, "
    ):
        na.Network(BUNDLE, report_timeout_s=report_timeout_s)


async def test_report_timeout_uses_the_clock_of_the_network(no_leaks):
    """With a manual clock, a timeout of an hour ends exactly when the clock has advanced by it."""
    clock, own = na.ManualClock(), {"hidden2": awaits_forever}
    async with na.Network(BUNDLE, populations=own, clock=clock, report_timeout_s=3600) as network:
        deciding = asyncio.create_task(network.decide(SAMPLE))
        await clock.advance(0)
        await clock.advance(3_599_000_000)
        assert not deciding.done()
        await clock.advance(1_000_000)
        with pytest.raises(na.PopulationError, match=r"^no report within 3600 s for the group"):
            await deciding


async def test_report_timeout_starts_again_for_each_wait(no_leaks):
    clock, waits = na.ManualClock(), 0

    async def slow(inbox, fired, population):
        nonlocal waits
        async for _ in inbox:
            waits += 1
            await clock.sleep_until(clock.now_us() + 700_000)
            await fired.put([])

    own = {"hidden2": slow}
    async with na.Network(BUNDLE, populations=own, clock=clock, report_timeout_s=1) as network:
        deciding = asyncio.create_task(network.decide(SAMPLE))
        while not deciding.done():
            await clock.advance(100_000)
        assert (await deciding).spikes["hidden2"] == 0
        assert waits > 2


async def test_under_layer_sync_a_custom_population_gets_all_groups_at_its_turn(no_leaks):
    """b is reached by the input and by a; another population c has its turn in between."""
    seen = []

    async def notes(inbox, fired, population):
        async for events in inbox:
            seen.append((events.sample, events.pass_index, events.step, events.origin.tolist(),
                         events.count.tolist(), events.current.tolist()))  # fmt: skip
            await fired.put([0])

    def dense(source, target, weight):
        return na.Dense(source, target, np.array(weight, np.float32))

    lif = na.LIF()
    names = ("a", "c", "b", "d")
    model = na.Model(
        1000,
        (2,),
        tuple(na.Population(name, (1,), lif) for name in names),
        (
            dense("input", "a", [[2, 0]]),
            dense("input", "b", [[0.25, 0.5]]),
            dense("a", "c", [[2]]),
            dense("a", "b", [[1]]),
            dense("c", "d", [[2]]),
            dense("b", "d", [[2]]),
        ),
        "d",
    )
    bundle = na.Bundle(model)
    train = na.SpikeTrain([0, 0, 0, 2000], [0, 1, 1, 1])
    async with (
        na.Network(bundle, populations={"b": notes}) as network,
        network.session() as session,
    ):
        for _ in range(2):
            decision = await session.decide(train)
            assert decision.spikes == {"a": 1, "c": 1, "b": 2, "d": 2}
    # Inputs 0 and 1 are origins 4 and 5. Nothing reaches b in pass 1.
    first = (0, 2, [4, 5, 0], [1, 2, 1], [2.25])
    second = (2, 0, [5], [1], [0.5])
    assert seen == [(sample, *turn) for sample in (0, 1) for turn in (first, second)]
