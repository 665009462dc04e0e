"""Classify a few handwritten digits, and stop as soon as the network has decided."""

import asyncio
import contextlib

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


async def main() -> None:
    samples = shipped_spikes()
    async with neuroasync.Network(shipped_bundle("unlayered")) as network:
        decision = await network.decide(samples[0], until="first-spike")
        print(f"first guess: {decision.class_name} after {decision.total_spikes} spikes")

        async with network.session(until="margin(3)") as session:
            async for decision in session.stream(samples[:5]):
                print(f"decided: {decision.class_name} after {decision.rounds} rounds")


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
