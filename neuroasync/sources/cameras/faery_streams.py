"""Read events from streams of Faery, which decodes AEDAT4 and Event Stream files."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroasync.sources.cameras.decoder import CameraEvents

__all__ = ["CameraStream", "StreamDecoder", "open_with_faery"]


class CameraStream(Protocol):
    """An events stream of Faery: a file, possibly filtered."""

    def dimensions(self) -> tuple[int, int]:
        """Return the width and height of the sensor."""
        ...

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Iterate over packets of events with the fields ``t`` (µs), ``x``, ``y`` and ``on``."""
        ...


class StreamDecoder:
    """The events of a stream."""

    clock_bits = 64

    def __init__(self, stream: CameraStream) -> None:
        self._stream = stream
        self.sensor: tuple[int, int] | None = stream.dimensions()

    def read(self) -> Generator[CameraEvents, None, None]:
        """Yield the events, packet by packet."""
        for packet in self._stream:
            yield CameraEvents(
                packet["t"].astype(np.int64), packet["x"], packet["y"], packet["on"].astype(bool)
            )


def open_with_faery(path: Path, file_type: str) -> StreamDecoder:
    """Open a file with Faery.

    Args:
        path: path of the file.
        file_type: "aedat" or "es".

    Raises:
        ImportError: Faery is not installed.
        Exception: the file is damaged.
    """
    try:
        import faery
    except ImportError as error:
        raise ImportError(
            "reading camera files requires Faery: pip install 'neuroasync[camera]'"
        ) from error
    return StreamDecoder(faery.events_stream_from_file(path, file_type=file_type))
