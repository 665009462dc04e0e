"""Compare ordering policies, group sizes and stop rules on the same samples."""

import asyncio

import numpy as np

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes


async def main() -> None:
    samples = shipped_spikes()[:100]
    print("order       F  stop rule  right  spikes  rounds")
    async with neuroasync.Network(shipped_bundle("unlayered")) as network:
        for policy in ("layer-sync", "random", "momentum"):
            for group_size in (1, 8):
                for until in ("quiet", "margin(3)"):
                    decisions = await network.decide_all(
                        samples, policy=policy, group_size=group_size, until=until
                    )
                    pairs = zip(decisions, samples.labels, strict=True)
                    right = np.mean([d.label == label for d, label in pairs])
                    spikes = np.mean([d.total_spikes for d in decisions])
                    rounds = np.mean([d.rounds for d in decisions])
                    print(
                        f"{policy:<10} {group_size:>2}  {until:<9} {right:>6.0%} {spikes:>7.1f}"
                        f" {rounds:>7.1f}"
                    )


asyncio.run(main())
