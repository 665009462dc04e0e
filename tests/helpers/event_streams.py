"""Short streams for the tests of sources and sinks."""

import numpy as np

from neuroasync.core.events.spike_train import SpikeTrain


def chunk(*pairs):
    """Return a chunk with the given events, (t in µs, index) each."""
    return SpikeTrain(
        np.array([t for t, _ in pairs], np.int64), np.array([i for _, i in pairs], np.int64)
    )


async def each(*items):
    """Yield the items of a stream; raise those that are exceptions."""
    for item in items:
        if isinstance(item, BaseException):
            raise item
        yield item


async def all_of(source):
    """Return all events of a source as a list of (t in µs, index)."""
    return [
        pair async for p in source for pair in zip(p.t_us.tolist(), p.index.tolist(), strict=True)
    ]
