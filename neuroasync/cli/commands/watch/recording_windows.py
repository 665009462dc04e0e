"""Cut a recording into the samples of a spike file."""

import asyncio
from pathlib import Path

import numpy as np

from neuroasync import limits
from neuroasync.cli.exit_codes import CliError
from neuroasync.core.events.pixel_grid import View
from neuroasync.core.events.segmenter import NEVER, Segment, Segmenter
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.events.values import joined_values
from neuroasync.core.events.waiting_events import PlacedChunk
from neuroasync.core.events.window import Window
from neuroasync.sources import CameraFileSource
from neuroasync.sources.counts import SourceCounts

__all__ = ["recording_windows"]

_MAX_EVENTS = limits.MAX_SPIKE_FILE_BYTES // 32
"""Maximum number of events: a spike file has 16 bytes for each, and a copy is made."""


def recording_windows(
    path: Path,
    shape: tuple[int, ...],
    window_us: int,
    view: View | None,
    sensor: tuple[int, int] | None,
) -> tuple[SpikeTrains, SourceCounts]:
    """Return the windows of a recording as samples, and the counts of its events.

    The windows are those of ``neuroasync watch``: they follow each other without a gap, and times
    count from the start of a window.

    Args:
        path: path of the recording.
        shape: input shape of the network.
        window_us: length of a window, µs.
        view: pixels that the network sees, or None for the centre.
        sensor: width and height of the camera, or None.

    Raises:
        CliError: the recording has too many events, or none that the network sees.
        SourceError, ImportError, ValueError: the recording cannot be read.
    """
    source = CameraFileSource(path, shape, view=view, sensor=sensor)
    segmenter, windows = Segmenter(Window("time", window_us), 0), _Windows()

    async def read() -> None:
        async with source:
            async for chunk in source:
                segmenter.feed(PlacedChunk(chunk))
                while (segment := segmenter.next(NEVER, is_decided=False)) is not None:
                    windows.add(segment)
                if source.counts.accepted > _MAX_EVENTS:
                    raise CliError(
                        f"{str(path)!r}: must have at most {_MAX_EVENTS:,} events to fit in a "
                        "spike file; use `neuroasync watch`, or cut the recording"
                    )
        if (last := segmenter.close()) is not None:
            windows.add(last)

    asyncio.run(read())
    if not source.counts.accepted:
        raise CliError(
            f"{str(path)!r}: the view has none of the {source.counts.outside:,} events; choose "
            "other pixels with --view"
        )
    return SpikeTrains.from_trains(windows.done, shape), source.counts


class _Windows:
    """Collects the segments of each window.

    Attributes:
        done: the windows that are complete.
    """

    def __init__(self) -> None:
        self.done: list[SpikeTrain] = []
        self._parts: list[SpikeTrain] = []

    def add(self, segment: Segment) -> None:
        self._parts.append(segment.events)
        if segment.ends:
            t_us = np.concatenate([part.t_us for part in self._parts])
            index = np.concatenate([part.index for part in self._parts])
            value = joined_values((len(part), part.value) for part in self._parts)
            self.done.append(SpikeTrain(t_us, index, value))
            self._parts = []
