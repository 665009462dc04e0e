"""Small networks and samples for the tests of the runtime, the server and the commands."""

from dataclasses import replace

import numpy as np

from neuroasync import (
    LI,
    LIF,
    Bundle,
    Dense,
    Model,
    PolicySpec,
    Population,
    SpikeTrain,
    SpikeTrains,
)
from neuroasync.encoders import uniforms


def chain(sizes=(12, 8, 8, 4), policy="random", group_size=2, seed=0, gain=24) -> Bundle:
    """Return a layered network in which every layer fires.

    The weights are multiples of 1/64, so that sums do not depend on their order.
    """
    names = ["input", *(f"hidden{k}" for k in range(1, len(sizes) - 1)), "output"]
    populations = tuple(
        Population(name, (size,), LIF(tau_mem_us=5000.0, v_threshold=0.5))
        for name, size in zip(names[1:], sizes[1:], strict=True)
    )
    connections = []
    for k in range(len(sizes) - 1):
        random = uniforms(seed + k, sizes[k + 1] * sizes[k]).reshape(sizes[k + 1], sizes[k])
        weight = (np.round((random - 0.35) * 2 * gain) / 64).astype(np.float32)
        connections.append(Dense(names[k], names[k + 1], weight))
    model = Model(1000, (sizes[0],), populations, tuple(connections), "output")
    return Bundle(model, policy=PolicySpec(policy, group_size))


def readout() -> Bundle:
    """Return the network ``chain`` with leaky integrators as output."""
    bundle = chain()
    *hidden, output = bundle.model.populations
    populations = (*hidden, replace(output, neuron=LI(tau_mem_us=5000.0)))
    return replace(bundle, model=replace(bundle.model, populations=populations))


def sample(events=60, inputs=12, duration_us=8000, seed=7) -> SpikeTrain:
    """Return a spike train with times and indices that are computed from the seed."""
    t_us = np.sort((uniforms(seed, events) * duration_us).astype(np.int64))
    return SpikeTrain(t_us, (uniforms(seed + 1, events) * inputs).astype(np.int64))


def samples(count: int) -> SpikeTrains:
    """Return so many spike trains of :func:`sample`, with the seeds 0, 1, 2 and so on."""
    return SpikeTrains.from_trains([sample(seed=k) for k in range(count)], (12,))


def loop() -> Bundle:
    """Return a network of two neurons that excite each other without end."""
    both = np.full((2, 2), 2, np.float32)
    neurons = Population("pair", (2,), LIF(refractory=False))
    connections = (Dense("input", "pair", both), Dense("pair", "pair", both))
    return Bundle(Model(1000, (2,), (neurons,), connections, "pair"))
