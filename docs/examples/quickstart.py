"""Decide on a few handwritten digits with a network that ships with the package."""

import asyncio

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


async def main() -> None:
    samples = shipped_spikes()
    async with neuroasync.Network(shipped_bundle("unlayered"), until="margin(3)") as network:
        decision = await network.decide(samples[0])
        print(decision.class_name, "after", decision.rounds, "rounds")

        async with network.session() as session:
            async for decision in session.stream(samples[:5]):
                print(decision.class_name, decision.votes)


asyncio.run(main())
