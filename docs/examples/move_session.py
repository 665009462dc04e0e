"""Take a snapshot of a session in the middle of a sample, and continue in another session."""

import asyncio

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


async def main() -> None:
    digit = shipped_spikes()[0]
    half = len(digit.t_us) // 2
    first = neuroasync.SpikeTrain(digit.t_us[:half], digit.index[:half])
    second = neuroasync.SpikeTrain(digit.t_us[half:], digit.index[half:])
    bundle = shipped_bundle("unlayered")

    async with neuroasync.Network(bundle) as here, here.session() as session:
        await session.send(first)
        snapshot = session.snapshot()
    print(len(snapshot), "bytes")

    # Another process or machine would load the same bundle and receive the bytes.
    async with neuroasync.Network(bundle) as there, there.session() as session:
        session.restore(snapshot)
        await session.send(second)
        moved = await session.finish_sample()

    async with neuroasync.Network(bundle) as network, network.session() as session:
        print("same decision:", moved == await session.decide(digit))


asyncio.run(main())
