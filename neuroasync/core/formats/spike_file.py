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
============ ======= =============== ===================================================

Types are little-endian. ``numpy.savez`` and ``numpy.savez_compressed`` write valid spike files.
"""

import os
from typing import Final

import numpy as np

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bounded_open import PathOrBytes
from neuroasync.core.formats.file_kind import FileKind, name_file_in_errors
from neuroasync.core.formats.npz import Field, read_arrays, write_arrays
from neuroasync.errors import EventsError, SpikeFileError

__all__ = ["read_spikes", "write_spikes"]

_FIELDS: Final = {
    "t_us": Field("<i8"),
    "index": Field("<u4"),
    "offsets": Field("<i8"),
    "labels": Field("<i8", optional=True),
    "shape": Field("<i8"),
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
            return SpikeTrains(
                arrays["t_us"], arrays["index"], arrays["offsets"], arrays.get("labels"), shape
            )
        except EventsError as error:
            raise SpikeFileError(str(error)) from error


def write_spikes(spikes: SpikeTrains, path: str | os.PathLike[str]) -> None:
    """Write a spike file atomically. Equal spikes give equal bytes.

    Args:
        spikes: the samples to write.
        path: path of the file. An existing file is replaced; it stays as it was if writing fails.

    Raises:
        SpikeFileError: the file system refuses.
    """
    arrays = {
        "t_us": spikes.t_us,
        "index": spikes.index,
        "offsets": spikes.offsets,
        "labels": spikes.labels,
        "shape": np.array(spikes.shape),
    }
    little_endian = {
        name: np.ascontiguousarray(array, _FIELDS[name].dtype)
        for name, array in arrays.items()
        if array is not None
    }
    write_arrays(path, little_endian, SpikeFileError)
