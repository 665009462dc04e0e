"""Receive events over UDP and write decisions as lines of JSON over a slow link.

The sensor does not wait for the gateway, so packets are lost. The gateway counts them.
"""

import asyncio
import contextlib
import sys

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes
from neuroasync.sinks import JsonLines, pump
from neuroasync.sources import Paced, UdpSource, send_udp

PERIOD_US = 10_000  # One digit every 10 ms.
samples = shipped_spikes()[:60]


async def digits():
    for k, digit in enumerate(samples):
        yield digit.t_us + k * PERIOD_US, digit.index


async def sensor(gateway: UdpSource) -> int:
    """Send the digits in real time, like a remote camera that does not wait for the receiver."""
    async with Paced(digits(), neuroasync.RealTimeClock()) as chunks:
        sent = await send_udp(chunks, samples.shape, *gateway.address)
    await asyncio.sleep(0.1)  # Let the last packets arrive.
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
            if decision.label is not None:  # The window of a lost digit is empty.
                await lines(decision)
                await asyncio.sleep(0.015)

        # While the link is busy, no decision is made and no packet is read; at most 30 wait.
        decisions = session.stream(gateway, window=f"time({PERIOD_US})")
        await pump(decisions, slow_link, capacity=1)

    counts = gateway.counts
    total = counts.accepted + counts.dropped + counts.refused
    print(
        f"events: {counts.accepted} accepted + {counts.dropped} dropped + {counts.refused} refused"
    )
    print(f"= {total} of {sending.result()} sent")


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
