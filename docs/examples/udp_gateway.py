"""Listen for address events over UDP, and write one line of JSON for each decision."""

import asyncio
import contextlib
import sys

import neuroasync
from neuroasync.shipped import shipped_bundle, shipped_spikes
from neuroasync.sinks import JsonLines, pump
from neuroasync.sources import UdpSource, send_udp


async def send_three_digits(gateway: UdpSource) -> None:
    """Stand in for a camera: send three digits, 100 ms of camera time apart."""
    digits = shipped_spikes()[:3]
    shifted = [(digit.t_us + 100_000 * number, digit.index) for number, digit in enumerate(digits)]
    await send_udp(shifted, digits.shape, *gateway.address)
    await asyncio.sleep(0.2)
    await gateway.aclose()


# --8<-- [start:gateway]
async def main() -> None:
    network = neuroasync.Network(shipped_bundle("unlayered"), until="margin(3)")
    shape = network.bundle.model.input_shape
    async with (
        network,
        network.session() as session,
        UdpSource(shape, port=0, when_full="drop-oldest") as camera,
        JsonLines(sys.stdout) as lines,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(send_three_digits(camera))
        await pump(session.stream(camera, window="time(100000)"), lines)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
# --8<-- [end:gateway]
