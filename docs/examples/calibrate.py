"""Calibrate a network on validation samples, then stop early with a stated accuracy."""

import asyncio
from dataclasses import replace

import numpy as np

import neuroasync
from neuroasync import metrics
from neuroasync.datasets import load_dataset
from neuroasync.shipped import shipped_bundle, shipped_spikes

bundle = shipped_bundle("unlayered")
validation = load_dataset("digits").validation


async def record() -> neuroasync.Recording:
    """Record complete validation samples under the order that the guarantee is for."""
    async with neuroasync.Network(bundle) as network:
        recorder = network.recorder()
        await network.decide_all(validation, recorder=recorder)
    return recorder.finish()


calibration = metrics.calibrate(asyncio.run(record()), [0.9])
calibrated = replace(bundle, calibration=tuple(calibration))


async def main() -> None:
    test = shipped_spikes()
    async with neuroasync.Network(calibrated, until="confidence(0.9)") as network:
        decisions = await network.decide_all(test)
    right = np.mean([d.label == label for d, label in zip(decisions, test.labels, strict=True)])
    rounds = np.mean([d.rounds for d in decisions])
    print(f"promised 90 %, at most {100 * calibration[0].error:.1f} points lower")
    print(f"test: {right:.1%} right after {rounds:.1f} rounds")


asyncio.run(main())
