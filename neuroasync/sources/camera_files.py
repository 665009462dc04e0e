"""Recordings of event cameras as a source.

Faery (https://aestream.github.io/faery, the extra ``camera``) reads the files: AEDAT4, Prophesee
``.raw`` (EVT 2 and 3) and ``.dat``, and Event Stream ``.es``.
"""

import asyncio
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import SourceError
from neuroasync.sources.base import Source
from neuroasync.sources.pixel_grid import PixelGrid
from neuroasync.sources.timestamps import ascending
from neuroasync.sources.worker_thread import ThreadedItems

__all__ = ["CameraFileSource", "CameraStream", "View"]


_SUFFIXES: Final = (".aedat4", ".dat", ".es", ".raw")


class CameraStream(Protocol):
    """What Faery calls an events stream: a file, maybe filtered."""

    def dimensions(self) -> tuple[int, int]:
        """Width and height of the sensor."""
        ...

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Packets of events with the fields ``t`` (µs), ``x``, ``y`` and ``on``."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """Which pixels of a sensor the network sees.

    Attributes:
        x, y: the sensor's pixel that is the network's first.
        binning: this many pixels, each way, are one of the network's.

    Raises:
        ValueError: one of them is out of range.
    """

    x: int = 0
    y: int = 0
    binning: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, least in (("x", 0), ("y", 0), ("binning", 1)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value < 2**16:
                raise ValueError(f"{name}: {value!r:.80}, expected {least} to {2**16 - 1}")

    @classmethod
    def centred(cls, sensor: tuple[int, int], plane: PixelGrid) -> "View":
        """The middle of a sensor (width, height), with the coarsest binning that fits into it.

        Raises:
            ValueError: the network has more pixels than the sensor.
        """
        width, height = sensor
        binning = min(width // plane.width, height // plane.height)
        if not binning:
            raise ValueError(
                f"the sensor has {width} x {height} pixels, the network {plane.width} x "
                f"{plane.height}; expected no more"
            )
        return cls(
            (width - binning * plane.width) // 2, (height - binning * plane.height) // 2, binning
        )


class CameraFileSource(Source):
    """The events of a camera's recording, as fast as they are decoded: chunk by chunk, in a thread.

    Times count from the first event of the recording. Where they go back, as they may in damaged
    files, events are moved up to the latest time before them, and counted in ``counts.late``.
    Events of pixels that the network does not see are left out, and counted in
    ``counts.outside``. For its own pace, or N times that, read it through
    :class:`~neuroasync.sources.Paced`.

    Damaged files are refused, but for one kind: there are AEDAT4 files, damaged in their headers,
    at which Faery 0.7 ends the whole process.

    Args:
        recording: path of a file, or what Faery makes of one and you have filtered, say
            ``faery.events_stream_from_file(path).remove_off_events()``.
        shape: of the network's input: (2, H, W), (1, H, W) or (H, W); see
            :class:`~neuroasync.sources.PixelGrid`.
        view: which pixels the network sees; None for the middle, binned as far as it fits.
        sensor: width and height of the camera, where a ``.raw`` or ``.dat`` file does not say.

    Raises:
        ValueError: the shape is none of these.
        SourceError: on opening, if the file is missing; while reading, if it is damaged, or the
            network has more pixels than the camera.
        ImportError: on opening, if Faery is not installed.
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
        self._plane = PixelGrid.of(shape)
        self._view = view
        self._sensor = sensor
        self._start_us: int | None = None
        self._latest_us = 0
        self._parts = ThreadedItems(self._read)

    async def _open(self) -> None:
        if isinstance(self._recording, str | os.PathLike):
            await asyncio.to_thread(_check_readable, Path(self._recording))

    async def _next(self) -> SpikeTrain | None:
        found = await self._parts.next()
        if found is None:
            return None
        part, late, outside = found
        self.counts.late += late
        self.counts.outside += outside
        return part

    async def _close(self) -> None:
        await self._parts.close()

    def _read(self) -> Generator[tuple[SpikeTrain, int, int], None, None]:
        """Parts, each with the events that were late and outside."""
        try:
            stream = self._stream()
            view = self._view or View.centred(stream.dimensions(), self._plane)
            for packet in stream:
                for start in range(0, len(packet), limits.MAX_PART_EVENTS):
                    yield self._part(packet[start : start + limits.MAX_PART_EVENTS], view)
        except (ImportError, SourceError):
            raise
        except BaseException as error:
            # Faery raises plain Exceptions, and a panic of its decoders is not even one of them.
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

    def _part(self, packet: NDArray[Any], view: View) -> tuple[SpikeTrain, int, int]:
        device_us = packet["t"].astype(np.int64)
        if self._start_us is None and device_us.size:
            self._start_us = int(device_us[0])
        t_us, late = ascending(device_us - (self._start_us or 0), self._latest_us)
        if t_us.size:
            self._latest_us = int(t_us[-1])
        x, y = (
            (packet[axis].astype(np.int64) - offset) // view.binning
            for axis, offset in (("x", view.x), ("y", view.y))
        )
        sees = self._plane.sees(x, y)
        index = self._plane.index(x[sees], y[sees], packet["on"][sees])
        return SpikeTrain(t_us[sees], index), late, int(np.count_nonzero(~sees))


def _check_readable(path: Path) -> None:
    """Raise ImportError without Faery, or SourceError if there is no such file."""
    try:
        import faery  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "camera files are read by Faery: install neuroasync with its extra 'camera'"
        ) from error
    if path.suffix.lower() not in _SUFFIXES:
        raise SourceError(f"{str(path)!r}: expected one of {', '.join(_SUFFIXES)}")
    if not path.is_file():
        raise SourceError(f"{str(path)!r}: no such file")
