"""A tap receives the spikes of one population."""

import asyncio

import numpy as np
import pytest

import neuroasync as na
from tests.helpers.small_networks import chain, sample

BUNDLE, SAMPLE = chain(), sample()


@pytest.mark.parametrize("population", ["hidden1", "hidden2", "output"])
async def test_tap_receives_every_spike_of_its_population(population, no_leaks):
    async with na.Network(BUNDLE) as network, network.tap(population) as tap:
        decision = await network.decide(SAMPLE)
        tap.close()
        seen = [spikes async for spikes in tap]
    assert sum(s.neurons.size for s in seen) == decision.spikes[population] > 0
    assert [(s.pass_index, s.step) for s in seen] == sorted((s.pass_index, s.step) for s in seen)
    assert all(s.t_us == 1000 * s.pass_index for s in seen)
    assert max(s.neurons.max() for s in seen) < BUNDLE.model.populations[0].size


async def test_tap_ends_with_its_network(no_leaks):
    async def read(tap):
        return [spikes async for spikes in tap]

    async with na.Network(BUNDLE) as network:
        reader = asyncio.create_task(read(network.tap("output")))
        await asyncio.sleep(0)
        decision = await network.decide(SAMPLE)
    assert sum(s.neurons.size for s in await reader) == decision.spikes["output"]


async def test_slow_reader_of_a_tap_loses_the_oldest_items(no_leaks):
    async with na.Network(BUNDLE) as network:
        all_of_it, few = network.tap("hidden1"), network.tap("hidden1", capacity=3)
        await network.decide(SAMPLE)
    whole, rest = [s async for s in all_of_it], [s async for s in few]
    assert few.dropped == len(whole) - 3 > 0
    assert [s.step for s in rest] == [s.step for s in whole[-3:]]


async def test_tap_without_references_is_removed(no_leaks):
    async with na.Network(BUNDLE) as network:
        network.tap("hidden1")
        # An open tap would make the compiled engine raise ValueError.
        await network.decide(SAMPLE, engine="compiled")


async def test_tap_on_an_unknown_population_names_the_known_ones(no_leaks):
    async with na.Network(BUNDLE) as network:
        with pytest.raises(
            na.ModelError,
            match=r"^`population` must be one of \['hidden1', 'hidden2', 'output'\], got",
        ):
            network.tap("hidden9")


async def test_taps_distinguish_sessions_and_samples(no_leaks):
    async with na.Network(BUNDLE) as network, network.tap("hidden1") as tap:
        async with network.session() as session:
            await session.decide(SAMPLE)
            await session.decide(SAMPLE)
        await network.decide(SAMPLE)
        tap.close()
        assert {(s.session, s.sample) async for s in tap} == {(0, 0), (0, 1), (1, 0)}


async def test_tapped_neurons_are_positions_in_the_population(no_leaks):
    async with na.Network(BUNDLE) as network, network.tap("output") as tap:
        decision = await network.decide(SAMPLE)
        tap.close()
        votes = np.zeros(4, np.int64)
        async for spikes in tap:
            votes[spikes.neurons] += 1
    assert votes.tolist() == decision.votes.tolist()


async def test_two_readers_of_a_tap_share_its_items(no_leaks):
    async with na.Network(BUNDLE) as network:
        tap = network.tap("output")
        readers = [asyncio.create_task(anext(tap)) for _ in range(2)]
        await asyncio.sleep(0)
        await network.decide(SAMPLE)
        async with asyncio.timeout(5):
            seen = await asyncio.gather(*readers)
    assert seen[0].step != seen[1].step or seen[0].pass_index != seen[1].pass_index


async def test_compiled_engine_runs_again_after_a_tap_is_closed(no_leaks):
    async with na.Network(BUNDLE, engine="compiled") as network:
        async with network.tap("output") as tap:
            pass
        assert (await network.decide(SAMPLE)).spikes["output"] > 0
        assert tap.is_closed


async def test_a_reader_of_a_tap_cannot_change_what_others_read(no_leaks):
    async with na.Network(BUNDLE) as network, network.tap("output") as one, network.tap("output"):
        await network.decide(SAMPLE)
        with pytest.raises(ValueError, match="read-only"):
            (await anext(one)).neurons[0] = 3
