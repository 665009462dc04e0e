"""Packets that a :class:`UdpSource` of a small image receives."""

import asyncio
import struct

SHAPE = (2, 4, 4)


def word(x, y, flag=1):
    """Return a SPIF event word as bytes."""
    return struct.pack("<I", flag << 31 | x << 16 | y)


async def take(source, count):
    """Return the next ``count`` events as (t in µs, index), across chunks."""
    found = []
    async with asyncio.timeout(10):
        while len(found) < count:
            received = await anext(source)
            found += zip(received.t_us.tolist(), received.index.tolist(), strict=True)
    return found


async def settled(source, count):
    """Yield to the event loop until the source has handled ``count`` packets."""
    async with asyncio.timeout(10):
        while handled(source) < count:
            await asyncio.sleep(0)


def handled(source):
    """Return the number of handled packets, which have one event each."""
    counts = source.counts
    lost = counts.dropped + counts.refused + counts.malformed
    return counts.accepted + lost + len(source._queue)
