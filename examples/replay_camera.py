"""Replay a recording of an event camera at twice its speed, through a convolutional network.

This example needs the extra ``camera``. The network has four outputs and decides in which quarter
of the image most edges move. The first argument may name another recording.
"""

import asyncio
import contextlib
import sys
from pathlib import Path

import numpy as np

import neuroasync as na
from neuroasync.sources import CameraFileSource

SHORT_RECORDING = Path(__file__).parents[1] / "tests" / "data" / "camera" / "dvs.es"
FILE = sys.argv[1] if len(sys.argv) > 1 else SHORT_RECORDING
SPEED = 2.0
WINDOW_US = 50_000
SHAPE = (2, 24, 32)  # Polarity, y, x. The camera has 320 x 240 pixels.

# Each of 12 x 16 neurons sees 2 x 2 pixels and fires where both edges of an object pass.
edges = na.Conv2d("input", "edges", np.full((1, 2, 2, 2), 0.5, np.float32), stride=(2, 2))
quarters = np.zeros((4, 12, 16), np.float32)
for quarter in range(4):
    y, x = 6 * (quarter // 2), 8 * (quarter % 2)
    quarters[quarter, y : y + 6, x : x + 8] = 1.0
MODEL = na.Model(
    timestep_us=2000,
    input_shape=SHAPE,
    populations=(
        na.Population("edges", (1, 12, 16), na.LIF(tau_mem_us=3000.0, v_threshold=1.2)),
        na.Population("where", (4,), na.LIF(tau_mem_us=10_000.0, v_threshold=4.0)),
    ),
    connections=(edges, na.Dense("edges", "where", quarters.reshape(4, -1))),
    output="where",
)
CLASSES = ("top left", "top right", "bottom left", "bottom right")


async def main() -> None:
    clock = na.RealTimeClock(SPEED)
    async with (
        na.Network(na.Bundle(MODEL, classes=CLASSES), clock=clock) as network,
        network.session() as session,
        CameraFileSource(FILE, SHAPE) as camera,
    ):
        end_us = 0
        async for decision in session.stream(camera, window=f"time({WINDOW_US})", late="drop"):
            end_us += WINDOW_US
            print(f"{end_us // 1000:4} ms: {decision.class_name}, {decision.total_spikes} spikes")
        late, missed = session.counts.late, session.counts.missed_deadlines
    print(f"{session.counts.events} events; {late} late, {missed} passes a timestep late or more")


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
