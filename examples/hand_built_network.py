"""Build a network by hand, run it on a few events, and explain one of its spikes.

The network and its input are written to files and read again. The run is recorded, the recording is
replayed, and the last output spike is traced back to the input.
"""

import asyncio
import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import neuroasync as na
from neuroasync.explain import explain
from neuroasync.replay import replay

# Each input excites its hidden neuron. The hidden neurons inhibit each other, and each excites its
# output neuron, with a delay of one millisecond.
MODEL = na.Model(
    timestep_us=1000,
    input_shape=(2,),
    populations=(
        na.Population("hidden", (2,), na.LIF(tau_mem_us=5000.0, v_threshold=1.0)),
        na.Population("output", (2,), na.LIF(v_threshold=1.0, reset="subtract")),
    ),
    connections=(
        na.Dense("input", "hidden", np.array([[0.75, 0.0], [0.0, 0.75]], np.float32)),
        na.Dense("hidden", "hidden", np.array([[0.0, -0.5], [-0.5, 0.0]], np.float32)),
        na.Dense("hidden", "output", np.eye(2, dtype=np.float32) * 1.5, delay_us=1000),
    ),
    output="output",
)
EVENTS = na.SpikeTrain(t_us=np.array([0, 400, 1200, 2500, 3100]), index=np.array([0, 0, 1, 0, 0]))


async def main(folder: Path) -> None:
    bundle = na.Bundle(MODEL, classes=("left", "right"), policy=na.PolicySpec("momentum", 1))
    na.write_bundle(bundle, folder / "hand.nab")
    na.write_spikes(na.SpikeTrains.from_trains([EVENTS], (2,)), folder / "events.npz")

    async with na.Network.load(folder / "hand.nab") as network:
        recorder = network.recorder()
        for train in na.read_spikes(folder / "events.npz"):
            decision = await network.decide(train, recorder=recorder)
        print(f"{decision.class_name}, {decision.spikes}, {decision.undelivered} in flight")
        recording = recorder.finish()

    print(f"replayed {replay(recording, network.bundle)} spikes, all identical")
    vote = int(np.flatnonzero(recording.neuron >= 2)[-1])  # The row of the last output spike.
    print(explain(recording, network.bundle, vote))


with contextlib.suppress(KeyboardInterrupt), TemporaryDirectory() as name:
    asyncio.run(main(Path(name)))
