"""Read events from HDF5 files, in the layouts of Metavision and DSEC.

Metavision keeps events in one data set ``CD/events`` with the fields ``x``, ``y``, ``p`` and ``t``.
DSEC keeps them in four: ``events/x``, ``events/y``, ``events/p`` and ``events/t``. Times are in µs.
``t_offset`` of DSEC is the time of the first event by another clock; it does not matter here,
because times count from the first event. ``ms_to_idx`` and ``CD/indexes`` are not needed to read a
file from its start.

Source: https://docs.prophesee.ai/stable/data/file_formats/hdf5.html,
https://dsec.ifi.uzh.ch/data-format/.
"""

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from neuroasync import limits
from neuroasync.errors import SourceError
from neuroasync.sources.cameras.decoder import CameraEvents

if TYPE_CHECKING:
    import h5py

__all__ = ["Hdf5Decoder", "open_hdf5"]

_FIELDS: Final = ("t", "x", "y", "p")

_ECF: Final = 0x8ECF
"""Number of the HDF5 filter that Metavision compresses events with."""

_DSEC_SENSOR: Final = (640, 480)


class Hdf5Decoder:
    """The events of an HDF5 file.

    Args:
        rows: returns the times, x, y and polarities of a slice.
        count: number of events.
        sensor: width and height of the sensor, if known.
    """

    clock_bits = 64

    def __init__(
        self, rows: Callable[[slice], list[Any]], count: int, sensor: tuple[int, int] | None
    ) -> None:
        self._rows = rows
        self._count = count
        self.sensor = sensor

    def read(self) -> Generator[CameraEvents, None, None]:
        """Yield the events, a bounded number at a time."""
        for start in range(0, self._count, limits.MAX_CHUNK_EVENTS):
            t, x, y, p = self._rows(slice(start, start + limits.MAX_CHUNK_EVENTS))
            yield CameraEvents(t.astype(np.int64), x, y, p > 0)


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5Decoder]:
    """Open an HDF5 file of events.

    Raises:
        SourceError: the file has another layout or cannot be decompressed.
        ImportError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "reading HDF5 files requires h5py: pip install 'neuroasync[camera]'"
        ) from error
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  # Registers the filters that files of DSEC need.
    # A block that is larger than the cache would be decompressed again for each chunk.
    with h5py.File(path, "r", locking=False, rdcc_nbytes=limits.MAX_HDF5_BLOCK_BYTES) as file:
        yield _metavision(file) or _dsec(file)


def _metavision(file: "h5py.File") -> Hdf5Decoder | None:
    """Return the decoder of a file in the layout of Metavision; None for another layout."""
    if "CD/events" not in file:
        return None
    events = file["CD/events"]
    names = getattr(events, "dtype", np.dtype(int)).names or ()
    if not set(_FIELDS) <= set(names):
        raise SourceError("`CD/events` must be a data set with the fields x, y, p and t")
    _check("CD/events", events, [events.dtype[name] for name in _FIELDS])

    def rows(chunk: slice) -> list[Any]:
        found = events[chunk]
        return [found[name] for name in _FIELDS]

    return Hdf5Decoder(rows, len(events), _geometry(file))


def _dsec(file: "h5py.File") -> Hdf5Decoder:
    """Return the decoder of a file in the layout of DSEC."""
    paths = [f"events/{name}" for name in _FIELDS]
    if not all(hasattr(file.get(path), "dtype") for path in paths):
        raise SourceError(
            "an HDF5 file must have events in `CD/events` (Metavision), or in `events/x`, "
            "`events/y`, `events/p` and `events/t` (DSEC); this one has "
            f"{', '.join(map(repr, file)) or 'nothing':.200}"
        )
    columns = [file[path] for path in paths]
    for path, column in zip(paths, columns, strict=True):
        _check(path, column, [column.dtype])
        if len(column) != len(columns[0]):
            raise SourceError(f"`{path}` must have {len(columns[0])} events, as `events/t` has")
    is_dsec = "ms_to_idx" in file and "t_offset" in file
    sensor = _geometry(file) or (_DSEC_SENSOR if is_dsec else None)
    return Hdf5Decoder(lambda chunk: [column[chunk] for column in columns], len(columns[0]), sensor)


def _geometry(file: "h5py.File") -> tuple[int, int] | None:
    """Return width and height by the attribute ``geometry`` of the file, such as "640x480"."""
    text = file.attrs.get("geometry", "")
    size = re.fullmatch(r"(\d+)x(\d+)", text.decode() if isinstance(text, bytes) else str(text))
    return (int(size[1]), int(size[2])) if size else None


def _check(path: str, data: "h5py.Dataset", types: list[np.dtype[Any]]) -> None:
    """Raise SourceError unless the data set can be read as one column of integers."""
    import h5py

    if data.ndim != 1 or any(kind.kind not in "iub" for kind in types):
        raise SourceError(
            f"`{path}` must be one-dimensional, of integers, got {data.ndim} dimensions of "
            f"{data.dtype!s:.80}"
        )
    block_bytes = (data.chunks or (0,))[0] * data.dtype.itemsize
    if block_bytes > limits.MAX_HDF5_BLOCK_BYTES:
        raise SourceError(
            f"`{path}` must be stored in blocks of at most {limits.MAX_HDF5_BLOCK_BYTES} bytes, "
            f"got {block_bytes}"
        )
    settings = data.id.get_create_plist()
    for number, _, _, name in map(settings.get_filter, range(settings.get_nfilters())):
        if h5py.h5z.filter_avail(number):
            continue
        if number == _ECF:
            raise SourceError(
                f"`{path}` is compressed with Prophesee's ECF: install its HDF5 plugin from "
                "https://github.com/prophesee-ai/hdf5_ecf and set HDF5_PLUGIN_PATH to its folder"
            )
        raise SourceError(
            f"`{path}` is compressed with the HDF5 filter {name.decode() or number}, which is not "
            "installed: python -m pip install hdf5plugin"
        )
