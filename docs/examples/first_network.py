"""Build a network by hand, run it, and explain one of its spikes."""

# --8<-- [start:model]
import asyncio

import numpy as np

import neuroasync as na
from neuroasync.explain import explain

# Two inputs excite two hidden neurons, which inhibit each other. The output votes 1 ms later.
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
BUNDLE = na.Bundle(MODEL, classes=("left", "right"), policy=na.PolicySpec("momentum", 1))
# --8<-- [end:model]

# --8<-- [start:events]
EVENTS = na.SpikeTrain(t_us=np.array([0, 400, 1200, 2500, 3100]), index=np.array([0, 0, 1, 0, 0]))
# --8<-- [end:events]


# --8<-- [start:run]
async def main() -> None:
    async with na.Network(BUNDLE) as network:
        recorder = network.recorder()
        decision = await network.decide(EVENTS, recorder=recorder)
        recording = recorder.finish()
    print(decision.class_name, decision.spikes)

    last_vote = int(np.flatnonzero(recording.neuron >= 2)[-1])
    print(explain(recording, BUNDLE, last_vote))


asyncio.run(main())
# --8<-- [end:run]
