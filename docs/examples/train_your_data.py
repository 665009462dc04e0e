"""Train a network on custom spike files, export it, and run it. Needs the extra ``train``."""

# --8<-- [start:data]
import asyncio

import numpy as np

import neuroasync as na
from neuroasync.train import TrainConfig, export_bundle, fit

CLASSES, INPUTS = 4, 32


def make_samples(count: int, seed: int) -> na.SpikeTrains:
    """Make labelled samples: in class c, the inputs from 8c to 8c + 7 are the busy ones."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count)
    trains = []
    for label in labels:
        rate = np.full(INPUTS, 0.05)
        rate[8 * label : 8 * label + 8] = 0.5
        timestep, index = np.nonzero(rng.random((10, INPUTS)) < rate)
        trains.append(na.SpikeTrain(timestep * 1000, index))
    return na.SpikeTrains.from_trains(trains, (INPUTS,), labels)


na.write_spikes(make_samples(400, seed=0), "my-train.npz")
na.write_spikes(make_samples(100, seed=1), "my-test.npz")
# --8<-- [end:data]

# --8<-- [start:train]
TOPOLOGY = """
timestep_us=1000 decay=0.9 v_threshold=1.0
input  32
hidden d16                          # 16 neurons, dense
output d4
input -> output                     # a skip connection
"""
train = na.read_spikes("my-train.npz")
config = TrainConfig(policy="momentum", group_size=8, epochs=6)
fitted = fit(na.parse_topology(TOPOLOGY), train, config, checkpoint="my.ckpt")
na.write_bundle(export_bundle(fitted, train, topology=TOPOLOGY), "my.nab")
# --8<-- [end:train]


# --8<-- [start:run]
async def main() -> None:
    test = na.read_spikes("my-test.npz")
    async with na.Network.load("my.nab") as network:
        decisions = await network.decide_all(test)
    right = [d.label == label for d, label in zip(decisions, test.labels, strict=True)]
    print(f"{np.mean(right):.0%} of {len(right)} test samples are right")


asyncio.run(main())
# --8<-- [end:run]
