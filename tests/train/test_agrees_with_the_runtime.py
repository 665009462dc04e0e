"""The trainer and the coroutine runtime fire the same spikes in the same forward steps."""

import asyncio
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine.policies import make_policy
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.recording.recorder import Recorder
from neuroasync.train import make_batch
from neuroasync.train.event_record import EventRecordRunner
from tests.helpers.strategies import dyadic, models, spike_trains
from tests.semantics.test_reference_vectors import CASES, TIMESTEP_US, model_of, train_of

POLICIES = ["layer-sync", "random", "momentum", "fifo"]


def trainer_rows(model, train, run_settings, seed, duration_us=None, keep=True):
    """Return (pass, step, neuron) of each spike in the trainer's forward passes.

    With ``keep``, they are those of training, which record what the backward pass needs.
    """
    trains = na.SpikeTrains.from_trains([train], model.input_shape)
    recorder = EventRecordRunner(model, threads=1)
    batch = make_batch(model, trains, [0], [seed], duration_us)
    record = recorder.run(recorder.packed.arrays.weights, batch, run_settings, keep=keep)
    return record.rows()[0].tolist()


def runtime_rows(model, train, run_settings, seed, duration_us=None):
    """Return the same from an event loop with one coroutine per population."""

    async def decide():
        options = {
            "policy": run_settings.policy,
            "group_size": run_settings.group_size,
            "input": run_settings.input,
            "max_forward_steps": run_settings.max_forward_steps,
        }
        async with na.Network(na.Bundle(model), engine="coroutines", **options) as network:
            recorder = Recorder(network.bundle, network.settings)
            await network.decide(train, seed=seed, duration_us=duration_us, recorder=recorder)
            return recorder.finish()

    recording = asyncio.run(decide())
    return np.stack((recording.pass_, recording.step, recording.neuron), 1).tolist()


def rows_or_error(run, *arguments):
    """Return the result, or a text if a forward pass did not end."""
    try:
        return run(*arguments)
    except na.ForwardStepLimitError:
        return "did not end"


def any_float():
    """Return weights that are not dyadic, so that sums depend on their order."""
    return st.floats(-1.0, 1.0, width=32)


@given(
    data=st.data(),
    policy=st.sampled_from(POLICIES),
    seed=st.integers(0, 2**64 - 1),
    weights=st.sampled_from([dyadic(), any_float()]),
    keep=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_trainer_and_runtime_fire_the_same_spikes(data, policy, seed, weights, keep):
    model = data.draw(models(weights=weights, extended=True).filter(_can_be_trained))
    train = data.draw(spike_trains(model))
    run_settings = RunSettings(
        make_policy(policy),
        data.draw(st.integers(1, 64)),
        data.draw(st.sampled_from(["prioritised", "queued"])),
        max_forward_steps=200,
    )
    arguments = (model, train, run_settings, seed)
    trainer = rows_or_error(partial(trainer_rows, keep=keep), *arguments)
    assert trainer == rows_or_error(runtime_rows, *arguments)


def _can_be_trained(model):
    """Return whether the trainer supports the delays of the model."""
    return model.timestep_us > 0 or not any(c.delay_us for c in model.connections)


@pytest.mark.parametrize("run", [trainer_rows, runtime_rows])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_trainer_and_runtime_fire_the_spikes_of_the_reference_implementation(case, run):
    policy = {"layer_sync": "layer-sync", "momentum": "momentum"}[case["policy"]]
    counts = np.array(case["expect"]["spike_counts"])
    run_settings = RunSettings(make_policy(policy), case["F"])
    rows = run(model_of(case), train_of(case), run_settings, 0, len(counts) * TIMESTEP_US)
    fired = np.zeros_like(counts)
    for pass_index, _, neuron in rows:
        fired[pass_index, neuron] += 1
    assert fired.tolist() == counts.tolist()
