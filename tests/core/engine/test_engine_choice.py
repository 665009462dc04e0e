"""A network chooses the engine, and both engines give the same result."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.recording.recorder import Recorder
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from tests.helpers.small_networks import chain, sample
from tests.helpers.strategies import any_weight, models, spike_trains

BUNDLE, SAMPLE = chain(), sample()
RULES = ["quiet", "first-spike", "votes(2)", "margin(1)", "steps(3)"]


async def record(bundle, train, engine, **options):
    """Return the decision and the digest of the recording, with one engine."""
    async with na.Network(bundle, engine=engine, **options) as network:
        recorder = Recorder(bundle, network.settings)
        decision = await network.decide(train, recorder=recorder)
    return decision, recorder.finish().digest


@given(data=st.data(), policy=st.sampled_from(["layer-sync", "random", "momentum", "fifo"]))
@settings(max_examples=60, deadline=None)
def test_both_engines_give_identical_recordings_in_the_event_loop(data, policy):
    model = data.draw(models(weights=any_weight()))
    train = data.draw(spike_trains(model))
    options = {
        "policy": policy,
        "group_size": data.draw(st.integers(1, 12)),
        "input": data.draw(st.sampled_from(["prioritised", "queued"])),
        "until": data.draw(st.sampled_from(RULES)),
        "seed": data.draw(st.integers(0, 2**64 - 1)),
        "max_forward_steps": 200,
    }
    results = []
    for engine in ("coroutines", "compiled"):
        try:
            results.append(asyncio.run(record(na.Bundle(model), train, engine, **options)))
        except na.ForwardStepLimitError as error:
            results.append(str(error))
    assert results[0] == results[1]


@pytest.mark.parametrize("work", [1, 100, 3000])
async def test_yielding_to_the_event_loop_does_not_change_a_decision(work, monkeypatch, no_leaks):
    async with na.Network(BUNDLE, engine="compiled") as network:
        expected = await network.decide(SAMPLE)
        monkeypatch.setattr(TimeSlice, "work", lambda self: work)
        monkeypatch.setattr(TimeSlice, "is_exhausted", lambda self: True)
        assert await network.decide(SAMPLE) == expected


async def test_a_network_with_a_tap_uses_the_coroutine_engine(no_leaks):
    async with na.Network(BUNDLE) as network:
        untapped = await network.decide(SAMPLE)
        async with network.tap("output") as tap:
            assert await network.decide(SAMPLE) == untapped
            tap.close()
            assert sum([s.neurons.size async for s in tap]) == untapped.votes.sum()


class Backwards:
    """A custom policy that selects the highest neuron first."""

    def order(self, pending, group_size):
        return np.argsort(-pending.neuron)


@pytest.mark.parametrize(
    "options", [{"policy": Backwards()}, {"until": lambda progress: progress.spikes > 9}]
)
async def test_custom_policies_and_stop_rules_run_only_with_the_coroutine_engine(options, no_leaks):
    async with na.Network(BUNDLE, **options) as network:
        assert (await network.decide(SAMPLE)).total_spikes > 9
        with pytest.raises(ValueError, match="does not support a custom policy"):
            await network.decide(SAMPLE, engine="compiled")


async def test_a_tap_and_the_compiled_engine_exclude_each_other(no_leaks):
    async with na.Network(BUNDLE, engine="compiled") as network, network.tap("output"):
        with pytest.raises(ValueError, match="does not support a tap"):
            await network.decide(SAMPLE)


@pytest.mark.parametrize(
    ("options", "proposal"),
    [
        ({"policy": "async"}, "random"),
        ({"policy": "momentun"}, "momentum"),
        ({"input": "prioritized"}, "prioritised"),
    ],
)
def test_error_of_a_misspelt_option_proposes_the_right_name(options, proposal):
    with pytest.raises(ValueError, match=f"; did you mean '{proposal}'\\?"):
        na.Network.load("unlayered", **options)
