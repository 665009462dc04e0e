"""Measure how much of a run can depend on the order of its spikes."""

import asyncio

import neuroasync as na
from neuroasync.metrics import order_dependence, summarise
from neuroasync.shipped import shipped_bundle, shipped_spikes

samples = shipped_spikes()[:50]


async def record(bundle: na.Bundle, policy: na.PolicyName) -> tuple[na.Recording, float]:
    """Run the samples; return the recording and the accuracy."""
    async with na.Network(bundle, policy=policy) as network:
        recorder = network.recorder()
        decisions = await network.decide_all(samples, recorder=recorder)
    return recorder.finish(), summarise(decisions, samples.labels).accuracy


for name in ("layered-paper", "unlayered"):
    bundle = shipped_bundle(name)
    for policy in ("layer-sync", "random"):
        recording, accuracy = asyncio.run(record(bundle, policy))
        share = order_dependence(recording, bundle)
        print(
            f"{name:13} {policy:10} {accuracy:.0%} right, "
            f"{share.inhibitory:.0%} inhibitory, {share.lost:.0%} lost"
        )
