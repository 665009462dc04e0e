"""A custom ordering policy: the newest spike first."""

import asyncio

import numpy as np
from numpy.typing import NDArray

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


# --8<-- [start:policy]
class NewestFirst:
    """The opposite of fifo. Ties go to the lower neuron index."""

    name = "newest-first"

    def order(self, pending: neuroasync.PendingSpikes, group_size: int) -> NDArray[np.int64]:
        return np.lexsort((pending.neuron, -pending.arrival))


# --8<-- [end:policy]


async def main() -> None:
    samples = shipped_spikes()[:40]
    async with neuroasync.Network(shipped_bundle("layered-paper")) as network:
        for policy in (neuroasync.Fifo(), NewestFirst()):
            decisions = await network.decide_all(samples, policy=policy)
            pairs = zip(decisions, samples.labels, strict=True)
            right = sum(decision.label == label for decision, label in pairs)
            print(f"{policy.name}: {right} of 40 right")


asyncio.run(main())
