"""With the initial weights, every population fires at the chosen rate."""

import math

import numpy as np
import pytest
import torch

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.topology import parse_topology
from neuroasync.train import SpikingNetwork, firing_rates, scale_to_firing_rate

DEEP = "decay=0.9; input 1x8x8; " + "; ".join(f"p{k} d40" for k in range(8)) + "; output d10"
TOPOLOGIES = {
    "deep": DEEP,
    "convolutional": "decay=0.9; input 1x8x8; a c8k3s2p1; b c16k3s2p1; c d10",
    "high threshold": "decay=0.5 v_threshold=50; input 64; a d40; b d40; c d10",
    "recurrent": "decay=0.9; input 64; a d40; b d10; a -> a delay_us=1000; b -> a; input -> b",
    "never refractory": "decay=0.9 refractory=false; input 64; a d40; b d10; a -> a",
    "waits for 3 spikes": "decay=0.9 sync_threshold=3; input 64; a d40; b d10",
}


def network_of(text):
    """Return an untrained network with the given topology."""
    return SpikingNetwork(parse_topology(f"timestep_us=1000 {text}"), device="cpu", threads=1)


def weights_of(network):
    """Return the weights of each connection."""
    return [weight for weight, _ in network.parts(network.values.detach())]


def batch_of(network, events=15, samples=32):
    """Return samples with ``events`` input events in each of 10 timesteps."""
    rng = np.random.default_rng(0)
    t_us = np.repeat(np.arange(10) * 1000, events)
    trains = [SpikeTrain(t_us, rng.integers(0, 64, t_us.size)) for _ in range(samples)]
    data = SpikeTrains.from_trains(trains, (64,))
    return network.batch(data, range(samples), range(samples), duration_us=10_000)


@pytest.mark.parametrize("rate", [0.05, 0.2])
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_population_fires_at_the_chosen_rate(name, rate):
    network = network_of(TOPOLOGIES[name])
    batch = batch_of(network)
    scale_to_firing_rate(network, batch, rate, seed=0)
    assert firing_rates(network, batch) == pytest.approx(
        [rate] * len(network.model.populations), rel=0.15
    )


def test_xavier_weights_alone_leave_the_end_of_a_deep_network_silent():
    network = network_of(DEEP)
    network.reset_parameters(seed=0)
    assert firing_rates(network, batch_of(network))[-1] == 0


def test_weights_are_xavier_weights_times_one_factor_per_population():
    network = network_of(TOPOLOGIES["recurrent"])
    network.reset_parameters(seed=0)
    initial = [weight.clone() for weight in weights_of(network)]
    for c, weight in zip(network.model.connections, initial, strict=True):
        bound = math.sqrt(6 / sum(c.weight.shape))
        assert 0.9 * bound < float(weight.abs().max()) <= bound
    scale_to_firing_rate(network, batch_of(network), 0.1, seed=0)
    factors = {}
    for c, weight, start in zip(
        network.model.connections, weights_of(network), initial, strict=True
    ):
        factor = float((weight * start).sum() / start.square().sum())
        assert torch.allclose(weight, factor * start, rtol=1e-5)
        assert factor == pytest.approx(factors.setdefault(c.target, factor), rel=1e-5)
    assert factors["a"] != pytest.approx(factors["b"], rel=0.01)


def test_the_same_seed_and_samples_give_the_same_weights():
    def weights(seed):
        network = network_of(TOPOLOGIES["convolutional"])
        scale_to_firing_rate(network, batch_of(network), 0.1, seed)
        return network.values.detach().numpy().tobytes()

    assert weights(3) == weights(3)
    assert weights(3) != weights(4)


def test_a_population_that_cannot_fire_keeps_its_xavier_weights():
    network = network_of(DEEP)
    network.reset_parameters(seed=0)
    initial = [weight.clone() for weight in weights_of(network)]
    scale_to_firing_rate(network, batch_of(network, events=0), 0.1, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(network), initial, strict=True))


@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, "0.1"])
def test_a_rate_that_no_population_can_have_is_refused_before_the_weights_change(rate):
    network = network_of("decay=0.9; input 64; a d40; b d10")
    before = network.values.tolist()
    with pytest.raises(ValueError, match="`rate` must be a finite number above 0"):
        scale_to_firing_rate(network, batch_of(network, samples=1), rate, 0)
    assert network.values.tolist() == before
