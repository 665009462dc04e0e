"""Training on input events with values: spikes and gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.engine.policies import make_policy
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train import SpikingNetwork, make_batch
from tests.train.test_agrees_with_the_runtime import rows_or_error, runtime_rows, trainer_rows

POLICIES = ["layer-sync", "random", "momentum", "fifo"]
RNG = np.random.default_rng(2)
GAIN = 2.0 ** RNG.integers(-2, 3, 6)
"""Value of the events of each input: a power of 2, by which every product is exact."""


def network(first, kind):
    """Return a network whose input connection has the weights ``first`` [5, 6]."""
    neuron = na.LIF(tau_mem_us=4000.0, v_threshold=0.5)
    rng = np.random.default_rng(7)
    last = na.Dense("a", "b", rng.integers(-16, 32, (3, 5)) / 32)
    delay = 1000 if kind == "delayed" else 0
    inputs = na.Dense("input", "a", first, delay_us=delay)
    if kind == "sparse":
        indices = np.tile(np.arange(5), 6)
        inputs = na.Sparse("input", "a", np.arange(7) * 5, indices, np.ravel(first.T))
    populations = (na.Population("a", (5,), neuron), na.Population("b", (3,), neuron))
    return na.Model(1000, (6,), populations, (inputs, last), "b")


def samples(value):
    """Return two samples; ``value`` says whether the events have the values ``GAIN``."""
    rng, trains = np.random.default_rng(5), []
    for _ in range(2):
        t_us, index = np.sort(rng.integers(0, 6000, 40)), rng.integers(0, 6, 40)
        trains.append(na.SpikeTrain(t_us, index, GAIN[index] if value else None))
    return na.SpikeTrains.from_trains(trains, (6,))


def gradient(model, trains, run):
    """Return the votes of a batch, and the gradient of a loss by all weights."""
    module = SpikingNetwork(model, device="cpu", threads=1)
    batch = make_batch(model, trains, [0, 1], [3, 4], 8000)
    result = module(batch, run)
    weight = torch.arange(result.votes.numel()).reshape(result.votes.shape) % 5 - 1.5
    (result.votes * weight).sum().backward()
    return result.votes.detach().numpy(), module.values.grad.numpy()


@pytest.mark.parametrize("kind", ["dense", "sparse", "delayed"])
@pytest.mark.parametrize("mode", ["prioritised", "queued"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_value_scales_the_gradient_of_its_weight(policy, mode, kind):
    """Events of value x over the weights w are spikes over x * w; dL/dw is x * dL/d(x * w)."""
    first = np.random.default_rng(1).integers(-16, 48, (5, 6)) / 128
    run = RunSettings(make_policy(policy), 3, mode)
    votes, grad = gradient(network(first, kind), samples(value=True), run)
    same_votes, same_grad = gradient(network(first * GAIN, kind), samples(value=False), run)
    assert votes.tolist() == same_votes.tolist()
    assert votes.any()
    inputs = 30  # the weights of the input connection come first, source after source
    assert grad[inputs:].tolist() == same_grad[inputs:].tolist()
    scaled = same_grad[:inputs].reshape(6, 5) * GAIN[:, None].astype(np.float32)
    assert np.abs(scaled).max() > 0
    np.testing.assert_allclose(grad[:inputs].reshape(6, 5), scaled, rtol=1e-6)


@given(
    policy=st.sampled_from(POLICIES),
    mode=st.sampled_from(["prioritised", "queued"]),
    kind=st.sampled_from(["dense", "sparse", "delayed"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=25, deadline=None)
def test_trainer_and_runtime_fire_the_same_spikes_on_values(policy, mode, kind, seed):
    rng = np.random.default_rng(seed)
    train = na.SpikeTrain(
        np.sort(rng.integers(0, 5000, 30)), rng.integers(0, 6, 30), rng.integers(-8, 24, 30) / 16
    )
    model = network(rng.integers(-16, 48, (5, 6)) / 64, kind)
    arguments = (model, train, RunSettings(make_policy(policy), 2, mode), seed)
    assert rows_or_error(trainer_rows, *arguments) == rows_or_error(runtime_rows, *arguments)


def test_a_batch_sorts_and_drops_values_with_their_events():
    trains = na.SpikeTrains([5, 5, 9], [2, 0, 1], [0, 3], None, (6,), value=[0.5, -1.0, 2.0])
    batch = make_batch(network(np.zeros((5, 6)), "dense"), trains, [0], [0], 9)
    assert batch.index.tolist() == [0, 2]
    assert batch.value.tolist() == [-1.0, 0.5]
