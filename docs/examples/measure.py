"""Measure accuracy over cost, stop rules and energy from one recording of complete samples."""

import asyncio

import neuroasync
from neuroasync import metrics
from neuroasync.shipped import shipped_bundle, shipped_spikes

bundle = shipped_bundle("unlayered")


async def record() -> neuroasync.Recording:
    async with neuroasync.Network(bundle) as network:
        recorder = network.recorder()
        await network.decide_all(shipped_spikes(), recorder=recorder)
    return recorder.finish()


recording = asyncio.run(record())
work = metrics.workload(recording, bundle)
curve = metrics.anytime_curve(recording, "rounds")
first, margin = metrics.stop_points(recording, ["first-spike", "margin(3)"])
print(f"at the end: {curve.accuracy[-1]:.1%}")
print(f"first-spike: {first.accuracy:.1%} after {first.mean('rounds'):.1f} rounds")
print(f"margin(3): {margin.accuracy:.1%} after {margin.mean('rounds'):.1f} rounds")
print(metrics.estimate_energy(metrics.LOIHI, synops=work.synops))
