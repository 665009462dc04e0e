"""Follow one sample: a provisional decision for each new leader, then the decision."""

import asyncio

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


async def main() -> None:
    network = neuroasync.Network(shipped_bundle("layered-paper"), policy="random")
    async with network, network.session() as session:
        async for decision in session.watch(shipped_spikes()[3]):
            state = "decided" if decision.is_final else "leads"
            print(decision.class_name, state, "after", decision.rounds, "rounds")


asyncio.run(main())
