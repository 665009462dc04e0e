"""A source that reads recordings of event cameras.

:mod:`neuroasync.sources.cameras` decodes the files; h5py and Faery
(https://aestream.github.io/faery) read some of them (extra ``camera``).
"""

import asyncio
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.pixel_grid import PixelGrid, View
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.time_unit import MIN_EVENTS, UserCall, warn_of_time_unit
from neuroasync.core.model.checks import as_integer, must_be, shown
from neuroasync.errors import SourceError
from neuroasync.sources.base import Source
from neuroasync.sources.cameras.decoder import CameraEvents, Decoder
from neuroasync.sources.cameras.faery_streams import CameraStream, StreamDecoder
from neuroasync.sources.cameras.recording_files import open_recording
from neuroasync.sources.cameras.timeline import Timeline
from neuroasync.sources.counts import SourceCounts
from neuroasync.sources.worker_thread import ThreadedItems

__all__ = ["CameraFileSource"]


class CameraFileSource(Source):
    """The events of a camera recording, decoded chunk by chunk in a thread, as fast as possible.

    The format is recognised by the content of the file: AEDAT4, Prophesee ``.raw`` (EVT 2.0, 2.1
    and 3.0), ``.dat`` (CD and 2D events) and HDF5 (Metavision), the HDF5 files of DSEC, and Event
    Stream ``.es``. Use :class:`~neuroasync.sources.Paced` to replay a recording in real time or N
    times as fast.

    Times count from the first event of the recording. Time goes on where the clock of the camera
    does not, and ``counts`` tell what was changed:

    - Where times go back by up to 0.1 s, events are moved forward to the latest time before them.
      Events with damaged timestamps, far from those before and after them, get the latest time,
      too. Both are counted in ``late``.
    - Where the clock restarts or jumps, by more than a minute if it jumps forward, the stream
      continues without a gap. ``clock_jumps`` counts how often. A clock that wraps around is no
      jump.
    - Events without a time or a pixel, as at the start of a recording that was cut, and a word that
      the file ends in, are left out and counted in ``malformed``.
    - Events of pixels that the network does not see are left out and counted in ``outside``.

    Other damage raises SourceError, with two exceptions, which lie in libraries: some AEDAT4 files
    with damaged headers make Faery 0.7 abort the whole process, and some damaged HDF5 files make
    the HDF5 library run forever. Read files of these two formats only from sources that you trust.

    Args:
        recording: path of a file, or a stream of Faery, for example
            ``faery.events_stream_from_file(path).remove_off_events()``.
        shape: input shape of the network: (2, H, W), (1, H, W) or (H, W); see
            :class:`~neuroasync.sources.PixelGrid`.
        view: the pixels that the network sees; None for the centre with the largest binning.
        sensor: width and height of the camera; None to take them from the recording.

    Raises:
        ValueError: the shape or the size of the sensor is not valid.
        SourceError: on opening: the file is missing or no recording; while reading: the file is
            damaged, the network has more pixels than the camera, or the size of the sensor is
            needed and unknown.
        ImportError: on opening: the library that decodes the file is not installed.

    Warns:
        TimeUnitWarning: while reading: the times of an HDF5 file or a stream look like ms or ns.
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
        self._sensor = None if sensor is None else _checked_sensor(sensor)
        self._chunks = ThreadedItems(self._read)
        self._user_call = UserCall.current()

    async def _open(self) -> None:
        await asyncio.to_thread(self._check)

    async def _next(self) -> SpikeTrain | None:
        item = await self._chunks.next()
        if item is None:
            return None
        chunk, counts = item
        self.counts.late += counts.late
        self.counts.outside += counts.outside
        self.counts.malformed += counts.malformed
        self.counts.clock_jumps += counts.clock_jumps
        return chunk

    async def _close(self) -> None:
        await self._chunks.close()

    def _check(self) -> None:
        """Raise SourceError or ImportError if the recording cannot be opened."""
        with self._decoder():
            pass

    def _read(self) -> Generator[tuple[SpikeTrain, SourceCounts], None, None]:
        """Yield chunks, each with the counts that it adds."""
        with self._decoder() as decoder:
            view = self._view or self._centre(decoder.sensor)
            timeline = Timeline(decoder.clock_bits)
            waiting = np.empty(0, np.int64)
            is_unit_known = decoder.clock_bits < 64  # Other formats have any unit.
            for events in decoder.read():
                if not is_unit_known and events.device_us.size >= MIN_EVENTS:
                    pixel = np.asarray(events.y, np.int64) << 16 | np.asarray(events.x, np.int64)
                    warn_of_time_unit(events.device_us, pixel, self._user_call)
                    is_unit_known = True
                placed = timeline.place(events.device_us)
                inputs = np.concatenate([waiting, self._inputs(events, view)])
                count = placed.t_us.size
                counts = SourceCounts(
                    late=placed.late, malformed=events.malformed, clock_jumps=placed.jumps
                )
                yield from _chunks(placed.t_us, inputs[:count], counts)
                waiting = inputs[count:]
            placed = timeline.place(np.empty(0, np.int64), is_end=True)
            counts = SourceCounts(late=placed.late, clock_jumps=placed.jumps)
            yield from _chunks(placed.t_us, waiting, counts)

    @contextmanager
    def _decoder(self) -> Iterator[Decoder]:
        """Open the recording, and raise its errors as SourceError with its name."""
        recording = self._recording
        try:
            if isinstance(recording, str | os.PathLike):
                with open_recording(Path(recording)) as decoder:
                    yield decoder
            else:
                yield StreamDecoder(recording)
        except ImportError:
            raise
        except SourceError as error:
            name = repr(os.fspath(recording)) if isinstance(recording, str | os.PathLike) else ""
            if str(error).startswith(name):
                raise
            raise SourceError(f"{name}: {error}") from error
        except BaseException as error:
            # Faery raises plain Exceptions; panics of its decoders are BaseExceptions.
            is_panic = type(error).__name__ == "PanicException"
            if not isinstance(error, Exception) and not is_panic:
                raise
            raise SourceError(f"{recording!s:.200}: {error}; cannot be read") from error

    def _centre(self, sensor: tuple[int, int] | None) -> View:
        sensor = self._sensor or sensor
        if sensor is None:
            raise SourceError(
                "the recording does not contain the size of its sensor; state the sensor (width "
                "and height) or the view (x, y and binning)"
            )
        try:
            return View.centred(sensor, self._grid)
        except ValueError as error:
            raise SourceError(str(error)) from error

    def _inputs(self, events: CameraEvents, view: View) -> NDArray[np.int64]:
        """Return the input index of each event, -1 for pixels that the network does not see."""
        x, y = view.to_network(events.x, events.y)
        index = self._grid.index(x, y, events.is_on)
        return np.where(self._grid.sees(x, y), index, -1)


def _chunks(
    t_us: NDArray[np.int64], inputs: NDArray[np.int64], counts: SourceCounts
) -> Generator[tuple[SpikeTrain, SourceCounts], None, None]:
    """Yield the events inside in chunks of a bounded size, the first one with ``counts``."""
    is_seen = inputs >= 0
    counts.outside = int(np.count_nonzero(~is_seen))
    t_us, inputs = t_us[is_seen], inputs[is_seen]
    size = max(inputs.size, int(counts != SourceCounts()))
    for start in range(0, size, limits.MAX_CHUNK_EVENTS):
        chunk = slice(start, start + limits.MAX_CHUNK_EVENTS)
        yield SpikeTrain(t_us[chunk], inputs[chunk]), counts
        counts = SourceCounts()


def _checked_sensor(sensor: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height of a sensor; raise ValueError unless they are positive."""
    sizes = [as_integer(n) for n in sensor] if isinstance(sensor, tuple) else []
    match sizes:
        case [int(width), int(height)] if min(width, height) >= 1 and max(width, height) <= 2**16:
            return width, height
    raise ValueError(must_be("sensor", "(width, height), two integers", shown(sensor)))
