"""Define a custom ordering policy that delivers the newest spike first."""

import asyncio
import contextlib

import numpy as np
from numpy.typing import NDArray

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


class NewestFirst:
    """The reverse of fifo. Spikes that fired together are ordered by neuron."""

    name = "newest-first"

    # Return the positions of the pending spikes, in the order of their delivery.
    def order(self, pending: neuroasync.PendingSpikes, group_size: int) -> NDArray[np.int64]:
        return np.lexsort((pending.neuron, -pending.arrival))


async def main() -> None:
    samples = shipped_spikes()
    async with neuroasync.Network(shipped_bundle("layered-paper")) as network:
        for policy in (neuroasync.Fifo(), NewestFirst()):
            decisions = [await network.decide(train, policy=policy) for train in samples[:40]]
            right = sum(
                d.label == label for d, label in zip(decisions, samples.labels[:40], strict=True)
            )
            print(f"{policy.name}: {right} of 40 right")


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
