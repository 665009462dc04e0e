"""Record a run, write it to a file, reproduce it, and trace a vote to its causes."""

import asyncio

import numpy as np

import neuroasync
from neuroasync.explain import explain
from neuroasync.replay import replay
from neuroasync.shipped import shipped_bundle, shipped_spikes

bundle = shipped_bundle("unlayered")


async def record() -> neuroasync.Recording:
    async with neuroasync.Network(bundle) as network:
        recorder = network.recorder()
        await network.decide_all(shipped_spikes()[:3], recorder=recorder)
    return recorder.finish()


neuroasync.write_recording(asyncio.run(record()), "run.npz")

recording = neuroasync.read_recording("run.npz")
print("replayed", replay(recording, bundle), "spikes, all of them equal")

# Neurons are numbered through the whole network, and the output population is the last.
first_output = sum(population.size for population in bundle.model.populations[:-1])
vote = int(np.flatnonzero(recording.neuron >= first_output)[0])
print(explain(recording, bundle, vote))
