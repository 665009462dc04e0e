"""Decide a data set on the workers of a Ray cluster, here of one on this machine."""

import asyncio

import numpy as np

from neuroasync import Network
from neuroasync.cluster import Cluster
from neuroasync.shipped import shipped_spikes


async def main() -> None:
    network, samples = Network.load("unlayered"), shipped_spikes()
    async with network:
        with Cluster("local", cpus=2) as cluster:
            decisions = await network.decide_all(samples, cluster=cluster)
        alike = decisions == await network.decide_all(samples)
    right = np.mean([d.label == label for d, label in zip(decisions, samples.labels, strict=True)])
    print(f"{right:.1%} of {len(decisions)} are right")
    print("the same decisions:", alike)


asyncio.run(main())
