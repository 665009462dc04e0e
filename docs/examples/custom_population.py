"""A custom population: a coroutine that awaits something before its neurons fire."""

# --8<-- [start:population]
import asyncio

import numpy as np

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


async def is_allowed(t_us: int) -> bool:
    """Stand in for a service that allows votes during the first 5 ms."""
    await asyncio.sleep(0)
    return t_us < 5_000


async def supervised_output(
    inbox: neuroasync.Inbox, fired: neuroasync.Fired, population: neuroasync.Population
) -> None:
    """Integrate without leak, and fire only while the service allows it."""
    v, sample = np.zeros(population.size, np.float32), 0
    async for events in inbox:
        if events.sample != sample:  # a new sample starts from rest
            sample, v = events.sample, np.zeros_like(v)
        v += events.current
        fires = v > population.neuron.v_threshold
        if fires.any() and not await is_allowed(events.t_us):
            fires[:] = False
        v[fires] = 0
        await fired.put(np.flatnonzero(fires))  # exactly one report for each group


# --8<-- [end:population]


# --8<-- [start:run]
async def main() -> None:
    network = neuroasync.Network(
        shipped_bundle("unlayered"), populations={"output": supervised_output}
    )
    async with network, network.tap("output") as votes:
        decision = await network.decide(shipped_spikes()[0])
        votes.close()
        times = [vote.t_us async for vote in votes]
    print(decision.class_name, "with the last vote at", max(times), "µs")


asyncio.run(main())
# --8<-- [end:run]
