"""Small streams for the tests of sources and sinks."""

import numpy as np

from neuroasync.core.events.spike_train import SpikeTrain


def part(*pairs):
    """Events (t in µs, index)."""
    return SpikeTrain(
        np.array([t for t, _ in pairs], np.int64), np.array([i for _, i in pairs], np.int64)
    )


async def each(*items):
    """An async generator of them; what is an exception is raised."""
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item


async def all_of(source):
    """Its events in one list of (t in µs, index)."""
    return [
        pair async for p in source for pair in zip(p.t_us.tolist(), p.index.tolist(), strict=True)
    ]
