"""Decide every 50 ms on the events of a structured array, as the driver of a camera returns it."""

import asyncio

import numpy as np

import neuroasync as na
from neuroasync.shipped import shipped_spikes
from neuroasync.sources import ArraySource, PixelGrid, View

# Stand-in for a camera of 128 x 128 pixels, in whose middle a digit moves.
sample = shipped_spikes("nmnist")[0]
x, y, polarity = PixelGrid.of((2, 34, 34)).pixels(sample.index)
events = np.zeros(len(sample), [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
events["x"], events["y"], events["p"], events["t"] = x + 47, y + 47, polarity, sample.t_us


async def main() -> None:
    async with (
        na.Network.load("nmnist-unlayered") as network,
        network.session() as session,
        ArraySource(events, (2, 34, 34), view=View(x=47, y=47)) as camera,
    ):
        async for decision in session.stream(camera, window="time(50ms)"):
            print(decision.class_name, decision.votes)
    print(camera.counts.accepted, "events,", camera.counts.outside, "outside")


asyncio.run(main())
