"""Spike files: recorded input, as ``.npz``.

Arrays: ``t_us`` int64 [events], ``index`` uint32 [events], ``offsets`` int64 [samples + 1],
``labels`` int64 [samples] (optional), ``shape`` int64 [dimensions]. Any tool that writes these with
``numpy.savez`` or ``numpy.savez_compressed`` writes a spike file.
"""

import os
from typing import Final

import numpy as np

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bounded_open import Source, errors_name_file
from neuroasync.core.formats.npz import Field, read_arrays, write_arrays
from neuroasync.errors import SpikeFileError

__all__ = ["read_spikes", "write_spikes"]

_FIELDS: Final = {
    "t_us": Field("<i8"),
    "index": Field("<u4"),
    "offsets": Field("<i8"),
    "labels": Field("<i8", optional=True),
    "shape": Field("<i8"),
}


def read_spikes(source: Source, max_bytes: int = limits.MAX_SPIKE_FILE_BYTES) -> SpikeTrains:
    """Read a spike file; nothing in it is trusted or executed.

    Args:
        source: path of the file, or its bytes.
        max_bytes: limit for the file and for the sum of its unpacked arrays, in bytes. Reading
            needs about twice that in memory.

    Raises:
        SpikeFileError: the file is missing, damaged, too large, or breaks the rules of the format.
    """
    with errors_name_file(source):
        arrays = read_arrays(source, _FIELDS, max_bytes, SpikeFileError)
        shape = arrays["shape"]
        if not 1 <= shape.size <= limits.MAX_DIMENSIONS:
            raise SpikeFileError(
                f"shape: {shape.size} dimensions, expected 1 to {limits.MAX_DIMENSIONS}"
            )
        return SpikeTrains(
            arrays["t_us"],
            arrays["index"],
            arrays["offsets"],
            arrays.get("labels"),
            tuple(shape.tolist()),
        )


def write_spikes(spikes: SpikeTrains, path: str | os.PathLike[str]) -> None:
    """Write a spike file, atomically; the same spikes give the same bytes.

    Args:
        spikes: what to write.
        path: where to; a file there is replaced, and stays as it was if writing fails.

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
    little = {
        name: np.ascontiguousarray(array, _FIELDS[name].dtype)
        for name, array in arrays.items()
        if array is not None
    }
    write_arrays(path, little, SpikeFileError)
