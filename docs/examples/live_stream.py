"""Cut an endless stream of events into samples, at the speed of a real sensor."""

import asyncio
import contextlib

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_file
from neuroasync.sources import Paced, SpikeFileSource


async def main() -> None:
    clock = neuroasync.RealTimeClock()
    with shipped_file("digits-test-rate.npz") as path:
        # A digit every 20 ms, each event at its time, as a camera would deliver them.
        camera = Paced(SpikeFileSource(path, period_us=20_000), clock)
        network = neuroasync.Network(shipped_bundle("unlayered"), clock=clock, until="margin(3)")
        async with network, camera, network.session() as session:
            decisions = session.stream(
                camera, window="time(20000)", late="drop", jitter_buffer_us=5000
            )
            async for decision in decisions:
                print(decision.class_name, "after", decision.rounds, "rounds")
                if session.counts.decisions == 5:
                    break
            print(session.counts)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
