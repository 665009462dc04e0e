import asyncio

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


async def main():
    samples = shipped_spikes()  # 360 handwritten digits as spikes
    network = neuroasync.Network(shipped_bundle("unlayered"), until="margin(3)")
    async with network, network.session() as session:
        async for decision in session.stream(samples[:5]):  # or any async iterator
            print(decision.class_name, "after", decision.rounds, "rounds", decision.votes)


asyncio.run(main())
