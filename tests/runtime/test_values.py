"""Input events with values through sessions, streams, snapshots, recordings and replays."""

import numpy as np
import pytest

import neuroasync as na
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.recording.file import read_recording, write_recording
from neuroasync.explain.explanation import explain
from neuroasync.messages import EventMessage, format_events, parse_events
from neuroasync.replay import replay, rerun
from tests.helpers.recordings import record
from tests.helpers.small_networks import chain

RNG = np.random.default_rng(4)
T_US = np.sort(RNG.integers(0, 8000, 60))
SAMPLE = na.SpikeTrain(T_US, RNG.integers(0, 12, 60), RNG.integers(-4, 12, 60) / 8)
POLICIES = ("layer-sync", "random", "momentum", "fifo")


def delayed() -> na.Bundle:
    """Return a network whose input arrives at once and again two timesteps later."""
    first = na.Dense("input", "a", RNG.integers(-8, 24, (6, 12)) / 32)
    again = na.Dense("input", "a", RNG.integers(-8, 24, (6, 12)) / 32, delay_us=2000)
    last = na.Dense("a", "b", RNG.integers(-8, 24, (3, 6)) / 32)
    neuron = na.LIF(tau_mem_us=5000.0, v_threshold=0.5)
    populations = (na.Population("a", (6,), neuron), na.Population("b", (3,), neuron))
    return na.Bundle(na.Model(1000, (12,), populations, (first, again, last), "b"))


async def decision(bundle, train=SAMPLE, **options):
    async with na.Network(bundle) as network:
        return await network.decide(train, seed=na.sample_seed(0, 0), **options)


def same(one, other):
    return one.votes.tolist() == other.votes.tolist() and one.spikes == other.spikes


@pytest.mark.parametrize("mode", ["prioritised", "queued"])
@pytest.mark.parametrize("policy", POLICIES)
async def test_both_engines_and_batches_read_values(policy, mode, no_leaks):
    options = {"policy": policy, "group_size": 2, "input": mode}
    bundle = delayed()
    compiled = await decision(bundle, engine="compiled", **options)
    coroutines = await decision(bundle, engine="coroutines", **options)
    assert same(compiled, coroutines)
    plain = await decision(bundle, na.SpikeTrain(SAMPLE.t_us, SAMPLE.index), **options)
    assert not same(compiled, plain)
    async with na.Network(bundle, **options) as network:
        together = await network.decide_all([SAMPLE, SAMPLE])
        assert together[0].votes.tolist() == compiled.votes.tolist()
        async with network.session() as session:
            for k in range(0, 60, 7):
                events = slice(k, k + 7)
                await session.send(
                    (SAMPLE.t_us[events], SAMPLE.index[events], SAMPLE.value[events])
                )
            assert same(await session.finish_sample(), compiled)


async def test_a_custom_population_gets_the_values(no_leaks):
    seen = []

    async def silent(inbox, fired, population):
        async for events in inbox:
            seen.append(events)
            await fired.put([])

    train = na.SpikeTrain([0, 10, 500], [3, 3, 1], [0.5, 0.25, -2.0])
    async with na.Network(delayed(), populations={"a": silent}) as network:
        await network.decide(train, policy="fifo")
    (events,) = seen
    assert (events.origin - 9).tolist() == [1, 3]
    assert events.count.tolist() == [1, 2]
    assert events.value.tolist() == [-2.0, 0.75]
    weight = delayed_weight(network)
    assert events.current.tolist() == (weight[:, 1] * -2 + weight[:, 3] * 0.75).tolist()


def delayed_weight(network):
    return network.bundle.model.connections[0].weight


@pytest.mark.parametrize("at", [0, 13, 30, 59])
async def test_a_snapshot_keeps_values_that_wait_or_are_in_flight(at, no_leaks):
    async with na.Network(delayed()) as network:
        expected = await network.decide(SAMPLE, seed=na.sample_seed(0, 0))
        async with network.session() as session, network.session() as other:
            await session.send(SAMPLE.part(slice(0, at)))
            other.restore(session.snapshot())
            await other.send(SAMPLE.part(slice(at, 60)))
            assert same(await other.finish_sample(), expected)


async def test_windows_of_a_stream_keep_values(no_leaks):
    chunks = [SAMPLE.part(slice(k, k + 9)) for k in range(0, 60, 9)]
    async with na.Network(chain()) as network:
        async with network.session() as session:
            found = [d async for d in session.stream(chunks, window="time(4000)")]
        for k, window in enumerate(found):
            inside = slice(*np.searchsorted(SAMPLE.t_us, [4000 * k, 4000 * k + 4000]))
            train = SAMPLE.part(inside)
            train = na.SpikeTrain(train.t_us - 4000 * k, train.index, train.value)
            again = await network.decide(train, duration_us=4000, seed=na.sample_seed(0, k))
            assert window.votes.tolist() == again.votes.tolist()


@pytest.mark.parametrize("mode", ["prioritised", "queued"])
@pytest.mark.parametrize("policy", [na.LayerSync(), na.Random(), na.Fifo()], ids=repr)
def test_a_recording_with_values_is_read_replayed_and_explained(policy, mode, tmp_path):
    bundle, path = delayed(), tmp_path / "r.npz"
    spikes = na.SpikeTrain([0, 900], [0, 1])
    recording = record(bundle, [SAMPLE, spikes], RunSettings(policy, 2, mode))
    write_recording(recording, path)
    assert read_recording(path) == recording
    assert recording.events(0) == SAMPLE
    assert recording.events(1).value.tolist() == [1, 1]
    assert replay(recording, bundle) == recording.neuron.size
    assert rerun(recording, bundle) == recording
    for row in range(0, recording.rows_of(0).stop, 5):
        spike = explain(recording, bundle, row).spike
        assert spike.potential > spike.threshold


def test_messages_carry_values():
    message = EventMessage(SAMPLE, end=True)
    for binary in (False, True):
        assert parse_events(format_events(message, binary=binary)) == message
    assert "value" not in format_events(EventMessage(na.SpikeTrain([0], [1])))
