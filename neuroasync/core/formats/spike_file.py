"""Spike files: recorded input of many samples, as ``.npz``.

The file is a zip archive of these arrays, one ``NAME.npy`` each:

============ ======= =============== ===================================================
``t_us``     int64   [events]        times in µs since time 0 of the event's sample, from 0 on and
                                     ascending within each sample
``index``    uint32  [events]        flattened input indices, C order
``offsets``  int64   [samples + 1]   sample k has the events ``offsets[k]`` to
                                     ``offsets[k + 1] - 1``; the first offset is 0, the last is the
                                     number of events
``labels``   int64   [samples]       class of each sample, from 0 on; the array may be left out
``shape``    int64   [dimensions]    shape of the input
``value``    float32 [events]        what each event delivers, as a multiple of the weight; the
                                     array may be left out, and all events are spikes then
============ ======= =============== ===================================================

If the class changes within a sample, ``labels`` has a class for each interval of it, or -1 where
there is none, and the file has two more arrays. The intervals of a sample cover all of its events,
and the sample ends with its last interval:

================== ===== ============= =======================================================
``labels``         int64 [intervals]   classes of the intervals of all samples, one after the other
``label_offsets``  int64 [samples + 1] sample k has the labels ``label_offsets[k]`` to
                                       ``label_offsets[k + 1] - 1``
``label_every_us`` int64 [1]           length of an interval in µs
================== ===== ============= =======================================================

Types are little-endian. ``numpy.savez`` and ``numpy.savez_compressed`` write valid spike files.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bounded_open import PathOrBytes
from neuroasync.core.formats.file_kind import FileKind, name_file_in_errors
from neuroasync.core.formats.npz import Field, read_arrays, write_arrays
from neuroasync.core.model.checks import must_be
from neuroasync.errors import EventsError, SpikeFileError

__all__ = ["read_spikes", "write_spikes"]

_FIELDS: Final = {
    "t_us": Field("<i8"),
    "index": Field("<u4"),
    "offsets": Field("<i8"),
    "labels": Field("<i8", optional=True),
    "shape": Field("<i8"),
    "label_offsets": Field("<i8", optional=True),
    "label_every_us": Field("<i8", optional=True),
    "value": Field("<f4", optional=True),
}


def read_spikes(source: PathOrBytes, max_bytes: int = limits.MAX_SPIKE_FILE_BYTES) -> SpikeTrains:
    """Read a spike file. Its content is not trusted, and nothing in it is executed.

    Args:
        source: path of the file, or its bytes.
        max_bytes: maximum size of the file, and of its unpacked arrays together, in bytes. Reading
            needs about twice that in memory.

    Raises:
        SpikeFileError: the file is missing, damaged, too large, or breaks the rules of the format.
    """
    with name_file_in_errors(source, FileKind.SPIKES):
        arrays = read_arrays(source, _FIELDS, max_bytes, SpikeFileError)
        shape = tuple(arrays["shape"][: limits.MAX_DIMENSIONS + 1].tolist())
        try:
            labels, over = arrays.get("labels"), _labels_over_time(arrays)
            labels = labels if over is None else None
            return SpikeTrains(
                arrays["t_us"],
                arrays["index"],
                arrays["offsets"],
                labels,
                shape,
                over,
                arrays.get("value"),
            )
        except EventsError as error:
            raise SpikeFileError(str(error)) from error


def _labels_over_time(arrays: Mapping[str, NDArray[Any]]) -> LabelsOverTime | None:
    """Return the classes of the intervals of the samples, if the file has them."""
    needed = {"labels", "label_offsets", "label_every_us"}
    if not (needed - {"labels"}).intersection(arrays):
        return None
    if missing := sorted(needed.difference(arrays)):
        raise SpikeFileError(
            f"labels over time need the arrays labels, label_offsets and label_every_us, but "
            f"{missing[0]} is missing"
        )
    if (every_us := arrays["label_every_us"]).size != 1:
        raise SpikeFileError(must_be("label_every_us", "one integer", f"{every_us.size}"))
    return LabelsOverTime(arrays["labels"], arrays["label_offsets"], int(every_us[0]))


def write_spikes(spikes: SpikeTrains, path: str | os.PathLike[str]) -> None:
    """Write a spike file atomically. Equal spikes give equal bytes.

    Args:
        spikes: the samples to write.
        path: path of the file. An existing file is replaced; it stays as it was if writing fails.

    Raises:
        SpikeFileError: the file system refuses.
    """
    over = spikes.labels_over_time
    arrays = {
        "t_us": spikes.t_us,
        "index": spikes.index,
        "offsets": spikes.offsets,
        "labels": spikes.labels if over is None else over.labels,
        "shape": np.array(spikes.shape),
        "label_offsets": None if over is None else over.offsets,
        "label_every_us": None if over is None else np.array([over.every_us]),
        "value": spikes.value,
    }
    little_endian = {
        name: np.ascontiguousarray(array, _FIELDS[name].dtype)
        for name, array in arrays.items()
        if array is not None
    }
    write_arrays(path, little_endian, SpikeFileError)
