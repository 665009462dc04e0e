"""A source that reads recordings of event cameras.

Faery (https://aestream.github.io/faery, extra ``camera``) decodes the files: AEDAT4, Prophesee
``.raw`` (EVT 2 and 3) and ``.dat``, and Event Stream ``.es``.
"""

import asyncio
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.pixel_grid import PixelGrid, View
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import SourceError
from neuroasync.sources.base import Source
from neuroasync.sources.timestamps import ascending
from neuroasync.sources.worker_thread import ThreadedItems

__all__ = ["CameraFileSource", "CameraStream"]


_SUFFIXES: Final = (".aedat4", ".dat", ".es", ".raw")


class CameraStream(Protocol):
    """An events stream of Faery: a file, possibly filtered."""

    def dimensions(self) -> tuple[int, int]:
        """Return the width and height of the sensor."""
        ...

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Iterate over packets of events with the fields ``t`` (µs), ``x``, ``y`` and ``on``."""
        ...


class CameraFileSource(Source):
    """The events of a camera recording, decoded chunk by chunk in a thread, as fast as possible.

    Times count from the first event of the recording. Where times go back, as in damaged files,
    events are moved forward to the latest time before them and counted in ``counts.late``. Events
    of pixels that the network does not see are left out and counted in ``counts.outside``. Use
    :class:`~neuroasync.sources.Paced` to replay a recording in real time or N times as fast.

    Damaged files raise SourceError, with one exception: some AEDAT4 files with damaged headers make
    Faery 0.7 abort the whole process.

    Args:
        recording: path of a file, or a stream of Faery, for example
            ``faery.events_stream_from_file(path).remove_off_events()``.
        shape: input shape of the network: (2, H, W), (1, H, W) or (H, W); see
            :class:`~neuroasync.sources.PixelGrid`.
        view: the pixels that the network sees; None for the centre with the coarsest binning.
        sensor: width and height of the camera, if a ``.raw`` or ``.dat`` file does not contain
            them.

    Raises:
        ValueError: the shape is not valid.
        SourceError: on opening: the file is missing; while reading: the file is damaged, or the
            network has more pixels than the camera.
        ImportError: on opening: Faery is not installed.
    """

    def __init__(
        self,
        recording: str | os.PathLike[str] | CameraStream,
        shape: tuple[int, ...],
        *,
        view: View | None = None,
        sensor: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self._recording = recording
        self._grid = PixelGrid.of(shape)
        self._view = view
        self._sensor = sensor
        self._start_us: int | None = None
        self._latest_us = 0
        self._chunks = ThreadedItems(self._read)

    async def _open(self) -> None:
        if isinstance(self._recording, str | os.PathLike):
            await asyncio.to_thread(_check_readable, Path(self._recording))

    async def _next(self) -> SpikeTrain | None:
        item = await self._chunks.next()
        if item is None:
            return None
        chunk, late, outside = item
        self.counts.late += late
        self.counts.outside += outside
        return chunk

    async def _close(self) -> None:
        await self._chunks.close()

    def _read(self) -> Generator[tuple[SpikeTrain, int, int], None, None]:
        """Yield chunks, each with its numbers of late events and of events outside the view."""
        try:
            stream = self._stream()
            view = self._view or View.centred(stream.dimensions(), self._grid)
            for packet in stream:
                for start in range(0, len(packet), limits.MAX_CHUNK_EVENTS):
                    yield self._chunk(packet[start : start + limits.MAX_CHUNK_EVENTS], view)
        except (ImportError, SourceError):
            raise
        except BaseException as error:
            # Faery raises plain Exceptions; panics of its decoders are BaseExceptions.
            is_panic = type(error).__name__ == "PanicException"
            if not isinstance(error, Exception) and not is_panic:
                raise
            raise SourceError(f"{self._recording!s:.200}: {error}; cannot be read") from error

    def _stream(self) -> CameraStream:
        if not isinstance(self._recording, str | os.PathLike):
            return self._recording
        import faery

        path = Path(self._recording)
        known = {} if self._sensor is None else {"dimensions_fallback": self._sensor}
        stream: CameraStream = faery.events_stream_from_file(path, **known)
        return stream

    def _chunk(self, packet: NDArray[Any], view: View) -> tuple[SpikeTrain, int, int]:
        device_us = packet["t"].astype(np.int64)
        if self._start_us is None and device_us.size:
            self._start_us = int(device_us[0])
        t_us, late = ascending(device_us - (self._start_us or 0), self._latest_us)
        if t_us.size:
            self._latest_us = int(t_us[-1])
        x, y = view.to_network(packet["x"], packet["y"])
        is_inside = self._grid.sees(x, y)
        index = self._grid.index(x[is_inside], y[is_inside], packet["on"][is_inside])
        return SpikeTrain(t_us[is_inside], index), late, int(np.count_nonzero(~is_inside))


def _check_readable(path: Path) -> None:
    """Raise ImportError if Faery is missing, or SourceError if the file is."""
    try:
        import faery  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "reading camera files requires Faery: install neuroasync with its extra 'camera'"
        ) from error
    if path.suffix.lower() not in _SUFFIXES:
        raise SourceError(f"{str(path)!r}: the suffix must be one of {', '.join(_SUFFIXES)}")
    if not path.is_file():
        raise SourceError(f"{str(path)!r}: no such file")
