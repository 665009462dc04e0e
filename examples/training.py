"""Train a small network for momentum order, export it as a bundle and measure its accuracy.

This example needs the extra ``train``. The first argument is the number of epochs.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import neuroasync
from neuroasync.datasets import load_dataset
from neuroasync.train import TrainConfig, export_bundle, fit

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 10


async def accuracy(path: Path, samples: neuroasync.SpikeTrains) -> float:
    async with neuroasync.Network.load(path) as network:
        decisions = [await network.decide(train) for train in samples]
    right = [d.label == label for d, label in zip(decisions, samples.labels, strict=True)]
    return sum(right) / len(right)


digits = load_dataset("digits")
topology = """
timestep_us=1000 decay=0.9 v_threshold=1.0
input  8x8
hidden d32
output d10
"""
model = neuroasync.parse_topology(topology)
config = TrainConfig(policy="momentum", group_size=8, epochs=EPOCHS)
with contextlib.suppress(KeyboardInterrupt), TemporaryDirectory() as folder:
    fitted = fit(model, digits.train, config)
    path = Path(folder) / "small.nab"
    bundle = export_bundle(fitted, digits.validation, topology=topology)
    neuroasync.write_bundle(bundle, path)
    share = asyncio.run(accuracy(path, digits.validation))
    print(f"validation accuracy after {EPOCHS} epochs: {100 * share:.0f} %")
