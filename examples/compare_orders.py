"""Run the same digits under four orders, and compare the results in a table and a figure.

This example needs the extra ``viz``. It saves the figure as ``orders.png``, or at the path in the
first argument. Read it from top to bottom; the ``# %%`` lines divide it into cells.
"""

import asyncio
import sys

import numpy as np

import neuroasync
from neuroasync import plot
from neuroasync.shipped import shipped_bundle, shipped_spikes

ORDERS = "layer-sync", "random", "momentum", "fifo"

# A network that was trained layer by layer, and digits that it has not seen in training.
bundle = shipped_bundle("layered-paper")
samples = shipped_spikes()


async def record(
    policy: str, first: int = 0, count: int = 100, until: str = "quiet"
) -> neuroasync.Recording:
    """Record every spike of ``count`` samples, delivered one by one in the order of ``policy``."""
    async with neuroasync.Network(bundle, policy=policy, group_size=1, until=until) as network:
        recorder = network.recorder()
        selected = samples[first : first + count]
        await network.decide_all(selected, first=first, recorder=recorder)
    return recorder.finish()


def recorded(
    policy: str, first: int = 0, count: int = 100, until: str = "quiet"
) -> neuroasync.Recording:
    """Run ``record`` in an event loop. Ctrl-C ends the script without a traceback."""
    try:
        return asyncio.run(record(policy, first, count, until))
    except KeyboardInterrupt:
        sys.exit(130)


recordings = {policy: recorded(policy) for policy in ORDERS}

# %% Compare the accuracy and the cost of the four orders.
print(f"{'order':<11}{'right':>6}{'spikes':>8}{'rounds':>8}")
for policy, recording in recordings.items():
    right = np.mean(recording.label == recording.target)
    spikes, rounds = np.mean(recording.spikes), np.mean(recording.rounds)
    print(f"{policy:<11}{right:>6.0%}{spikes:>8.0f}{rounds:>8.0f}")

# %% Plot the spikes for the first digit that layer-sync classifies correctly and momentum does not.
layer_sync, momentum = recordings["layer-sync"], recordings["momentum"]
differs = (layer_sync.label == layer_sync.target) & (momentum.label != momentum.target)
number = int(np.flatnonzero(differs)[0])
panels = []
for policy in ORDERS:
    recording = recorded(policy, number, 1)
    starts, step = plot.steps_of(recording)
    early = recorded(policy, number, 1, until="margin(3)")
    name = f"{policy}: {early.label[0]} after {early.rounds[0]} of {recording.rounds[0]} rounds"
    decided = plot.decided_at(early)
    panels.append(plot.RasterPanel(name, step, recording.neuron, starts, decided))
title = f"Digit {number} is a {layer_sync.target[number]}: one network, four orders, F = 1"
populations = [(p.name, p.size) for p in bundle.model.populations]
figure = plot.raster(panels, populations, bundle.model.output, title, "decided: margin(3)")
path = sys.argv[1] if len(sys.argv) > 1 else "orders.png"
plot.save_png(figure, path)
print(f"wrote {path}")
