"""Let input events deliver values, such as the pixels of an image, instead of spikes."""

import asyncio

import numpy as np

import neuroasync as na
from neuroasync.datasets import load_dataset
from neuroasync.encoders import encode_current
from neuroasync.train import TrainConfig, export_bundle, fit

# Each event delivers its value times the weight.
train = na.SpikeTrain([0, 500, 2000], [3, 1, 2], [0.5, 0.25, -1])
print(train)

# Two samples of a sensor with three channels, as a current during five timesteps of 1 ms.
samples = encode_current([[3.5, 0.25, -2], [0, 1, 0]], timesteps=5, timestep_us="1ms")
print(samples[0].value[:3])

# Images of digits, as a current during ten timesteps.
digits = load_dataset("digits", coding="current")
topology = """
timestep_us=1000 decay=0.9 v_threshold=1.0
input  8x8
hidden d48
output d10
"""
config = TrainConfig(policy="momentum", group_size=8, epochs=15, batch_size=32)
fitted = fit(na.parse_topology(topology), digits.train, config)


async def main() -> None:
    async with na.Network(export_bundle(fitted, digits.train, topology=topology)) as network:
        decisions = await network.decide_all(digits.test)
    right = [d.label == label for d, label in zip(decisions, digits.test.labels, strict=True)]
    print(f"{np.mean(right):.0%} of the test images are right")


asyncio.run(main())
