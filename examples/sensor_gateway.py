"""Events in over UDP, decisions out as lines of JSON; the way out is slow, losses are counted."""

import asyncio
import sys

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes
from neuroasync.sinks import JsonLines, pump
from neuroasync.sources import Paced, UdpSource, send_udp

PERIOD_US = 10_000  # a digit every 10 ms
samples = shipped_spikes()[:60]


async def digits():
    for k, digit in enumerate(samples):
        yield digit.t_us + k * PERIOD_US, digit.index


async def sensor(gateway: UdpSource) -> int:
    """Stands for a camera elsewhere: it sends what it sees, and does not ask who can take it."""
    async with Paced(digits(), neuroasync.RealTimeClock()) as seen:
        sent = await send_udp(seen, samples.shape, *gateway.address)
    await asyncio.sleep(0.1)  # the last packets arrive
    await gateway.aclose()
    return sent


async def main() -> None:
    async with (
        neuroasync.Network(shipped_bundle("unlayered")) as network,
        network.session(until="margin(9,8)") as session,
        UdpSource(samples.shape, capacity=30, when_full="drop-oldest") as gateway,
        JsonLines(sys.stdout) as lines,
        asyncio.TaskGroup() as tasks,
    ):
        sending = tasks.create_task(sensor(gateway))

        async def slow_link(decision: neuroasync.Decision) -> None:
            if decision.label is not None:  # else that window was lost
                await lines(decision)
                await asyncio.sleep(0.015)

        # While the link is at work no decision is made, no packet is read, and 30 may wait.
        decisions = session.stream(gateway, window=f"time({PERIOD_US})")
        await pump(decisions, slow_link, capacity=1)

    counts = gateway.counts
    total = counts.accepted + counts.dropped + counts.refused
    print(
        f"events: {counts.accepted} accepted + {counts.dropped} dropped + {counts.refused} refused"
    )
    print(f"= {total} of {sending.result()} sent")


asyncio.run(main())
