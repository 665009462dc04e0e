"""The length of samples that a bundle states is the default of every call."""

from dataclasses import replace

import numpy as np
import pytest

import neuroasync as na
from neuroasync.replay import replay, rerun, verify
from tests.helpers.small_networks import chain, sample

LENGTH_US = 12_000
BUNDLE = replace(chain(), duration_us=LENGTH_US)
SAMPLES = na.SpikeTrains.from_trains([sample(seed=k) for k in range(3)], (12,))
"""The samples' last events are before 8 ms."""

engines = pytest.mark.parametrize("engine", ["compiled", "coroutines"])


@pytest.fixture
async def expected():
    """The decisions that an explicit duration gives in a network without one."""
    async with na.Network(chain()) as network:
        return await network.decide_all(SAMPLES, duration_us=LENGTH_US)


@engines
async def test_every_call_runs_the_passes_of_the_bundles_duration(expected, engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network:
        seed = na.sample_seed(0, 0)
        assert await network.decide(SAMPLES[0], seed=seed) == expected[0]
        assert await network.decide_all(SAMPLES) == expected
        async with network.session() as session:
            assert await session.decide(SAMPLES[0]) == expected[0]
            await session.send(SAMPLES[1])
            assert await session.finish_sample() == expected[1]
            assert [d async for d in session.watch(SAMPLES[2])][-1] == expected[2]
        async with network.session() as session:
            assert [d async for d in session.stream(SAMPLES)] == expected
    assert {decision.passes for decision in expected} == {12}


@engines
async def test_a_duration_in_the_call_has_priority(engine, no_leaks):
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        decisions = [
            await network.decide(SAMPLES[0], duration_us="20ms"),
            (await network.decide_all(SAMPLES, duration_us=20_000))[0],
            await session.decide(SAMPLES[0], duration_us=20_000),
        ]
        await session.send(SAMPLES[0])
        decisions.append(await session.finish_sample("20ms"))
    assert [decision.passes for decision in decisions] == [20] * 4


@engines
async def test_an_event_after_the_bundles_duration_is_refused(engine, no_leaks):
    late = ([0, LENGTH_US], [0, 0])
    error = "`duration_us` must be an integer above 12000, the time of the last event in µs, got "
    async with na.Network(BUNDLE, engine=engine) as network, network.session() as session:
        for call in (
            lambda: network.decide(late),
            lambda: network.decide_all([na.SpikeTrain(*late)]),
            lambda: session.decide(late),
        ):
            with pytest.raises(na.EventsError, match=f"{error}12000, which the call or the netw"):
                await call()
        assert (await session.decide(late, duration_us=LENGTH_US + 1)).passes == 13


async def test_windows_have_their_own_length(no_leaks):
    async with na.Network(BUNDLE) as network, network.session() as session:
        stream = session.stream([sample(duration_us=20_000)], window="time(10ms)")
        assert [decision.passes async for decision in stream] == [10, 10]


async def test_recordings_are_replayed_and_rerun_with_the_bundles_duration(expected, no_leaks):
    async with na.Network(BUNDLE) as network:
        recorder = network.recorder()
        await network.decide_all(SAMPLES, recorder=recorder)
    recording = recorder.finish()
    assert recording.duration_us.tolist() == [LENGTH_US] * 3
    assert replay(recording, BUNDLE) == sum(decision.total_spikes for decision in expected)
    assert rerun(recording, BUNDLE).digest == recording.digest


def delayed(duration_us=None):
    """Return a network whose neuron fires 3 ms after its input."""
    weight = np.full((1, 1), 2, np.float32)
    connection = na.Dense("input", "a", weight, delay_us=3000)
    model = na.Model(1000, (1,), (na.Population("a", (1,)),), (connection,), "a")
    return na.Bundle(model, duration_us=duration_us)


@pytest.mark.parametrize(("duration_us", "spikes"), [(None, 0), (3000, 0), (3001, 1)])
def test_golden_samples_last_as_long_as_the_bundle_says(duration_us, spikes):
    golden = na.GoldenSample(na.SpikeTrain([0], [0]))
    (result,) = verify(replace(delayed(duration_us), golden=(golden,)))
    assert result.spikes == spikes


async def test_delayed_spikes_arrive_within_the_bundles_duration(no_leaks):
    async with na.Network(delayed(4000)) as network:
        assert (await network.decide(([0], [0]))).label == 0
        assert (await network.decide(([0], [0]), duration_us=3000)).label is None
