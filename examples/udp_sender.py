"""Send handwritten digits over UDP in real time, like a camera, until Ctrl-C.

The arguments are the host and port of a gateway (by default 127.0.0.1 and 3333), and the number of
digits to send. The gateway of the camera tutorial receives them if it listens on port 3333.
"""

import asyncio
import contextlib
import sys
from itertools import count, islice

import neuroasync
from neuroasync.shipped import shipped_spikes
from neuroasync.sources import Paced, send_udp

HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 3333
DIGITS = int(sys.argv[3]) if len(sys.argv) > 3 else None
PERIOD_US = 100_000  # One digit every 100 ms.
samples = shipped_spikes()


async def digits():
    for number in islice(count(), DIGITS):
        digit = samples[number % len(samples)]
        yield digit.t_us + number * PERIOD_US, digit.index


async def main() -> None:
    print(f"sending to {HOST}:{PORT}", flush=True)
    async with Paced(digits(), neuroasync.RealTimeClock()) as chunks:
        sent = await send_udp(chunks, samples.shape, HOST, PORT)
    print(f"sent {sent} events")


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
