"""A tiny network, tiny samples and a short training of one on the other."""

import hashlib

import numpy as np

from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.topology import parse_topology
from neuroasync.train import Fit, TrainConfig

TINY = parse_topology("timestep_us=1000 decay=0.9; input 6; hidden d5; output d3")
SHORT = TrainConfig(
    epochs=3, batch_size=8, lr=0.01, policy="random", group_size=2, seed=3, device="cpu"
)


def tiny_samples(samples: int = 24, seed: int = 0) -> SpikeTrains:
    """Return samples of three classes: class k fires most at the inputs 2k and 2k + 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, samples)
    trains = []
    for label in labels:
        rate = np.full(6, 0.2)
        rate[2 * label : 2 * label + 2] = 0.8
        t, index = np.nonzero(rng.random((4, 6)) < rate)
        trains.append(SpikeTrain(t * 1000, index))
    return SpikeTrains.from_trains(trains, (6,), labels)


def outcome(fitted: Fit) -> str:
    """Return a digest of the weights and the history of a training."""
    digest = hashlib.sha256(repr(fitted.history).split(", seconds")[0].encode())
    for connection in fitted.model.connections:
        digest.update(connection.weight.tobytes())
    return digest.hexdigest()
