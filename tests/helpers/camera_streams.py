"""Short recordings for the tests of camera sources."""

import numpy as np

from neuroasync.sources import CameraFileSource, View

EVENT = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])


class TimedRecording:
    """A stream in the form of Faery, with one packet of events of one pixel per argument.

    Args:
        packets: times of the events, µs.
    """

    def __init__(self, *packets):
        self.packets = packets

    def dimensions(self):
        return 4, 4

    def __iter__(self):
        for times in self.packets:
            events = np.zeros(len(times), EVENT)
            events["t"] = np.array(times, np.int64).astype(np.uint64)
            yield events


async def played(recording, shape=(2, 8, 16), view=None):
    """Return the times, the pixels (x, y, polarity) and the counts of a whole recording."""
    source = CameraFileSource(recording, shape, view=view or View())
    async with source:
        chunks = [chunk async for chunk in source]
    t_us = [t for chunk in chunks for t in chunk.t_us.tolist()]
    index = [i for chunk in chunks for i in chunk.index.tolist()]
    pixels = [(i % shape[2], i // shape[2] % shape[1], i // (shape[1] * shape[2])) for i in index]
    return t_us, pixels, source.counts
