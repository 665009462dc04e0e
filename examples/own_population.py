"""A population of your own: it asks a service before it lets a vote count."""

import asyncio

import numpy as np

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes

CURFEW_US = 5_000


async def ask_service(t_us: int) -> bool:
    """Stands for real I/O: a database, a robot, another machine."""
    await asyncio.sleep(0)
    return t_us < CURFEW_US


async def supervised_output(
    inbox: neuroasync.Inbox, fired: neuroasync.Fired, population: neuroasync.Population
) -> None:
    """Neurons without leak that may only fire while the service allows it."""
    v = np.zeros(population.size, np.float32)
    sample = 0
    async for events in inbox:
        if events.sample != sample:
            sample, v = events.sample, np.zeros_like(v)
        v += events.current
        fires = v > population.neuron.v_threshold
        if not await ask_service(events.t_us):
            fires[:] = False
        v[fires] = 0
        await fired.put(np.flatnonzero(fires))


async def main() -> None:
    samples = shipped_spikes()
    network = neuroasync.Network(
        shipped_bundle("unlayered"), populations={"output": supervised_output}
    )
    async with network, network.tap("output") as votes:
        decision = await network.decide(samples[0])
        votes.close()
        times = [vote.t_us async for vote in votes]
    print(f"decided: {decision.class_name}; the last vote came before {CURFEW_US} µs:", end=" ")
    print(max(times) < CURFEW_US)


asyncio.run(main())
