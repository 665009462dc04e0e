"""Recording files: a recording as ``.npz``.

The file is a zip archive with one entry ``NAME.npy`` for each array of a
:class:`~neuroasync.core.recording.recording.Recording`, which documents their meaning and shapes.
All of them are required, except for three:

- ``info``: uint8, a JSON text in UTF-8, one byte per element; see
  :mod:`neuroasync.core.recording.run_info`.
- ``seed``: uint64. ``stopped``: uint8, 0 or 1. ``votes``: int64 in two dimensions.
- ``input_value`` and ``delivered_value``: float32. Both are left out if all input events are
  spikes.
- ``after_silent_turn``: uint8, 0 or 1. It is left out unless the policy is layer-sync.
- All other arrays: int64 in one dimension. ``pass_`` is called ``pass`` in the file.

Types are little-endian, arrays are in C order.
"""

import os
from typing import Final

import numpy as np

from neuroasync import limits
from neuroasync.core.formats.bounded_open import PathOrBytes
from neuroasync.core.formats.file_kind import FileKind, name_file_in_errors
from neuroasync.core.formats.npz import Field, read_arrays, write_arrays
from neuroasync.core.recording.recording import Recording
from neuroasync.core.recording.run_info import dump_info, parse_info
from neuroasync.core.recording.validation import (
    DELIVERY_ARRAYS,
    INPUT_ARRAYS,
    SAMPLE_ARRAYS,
    SPIKE_ARRAYS,
    TURN_ARRAY,
    VALUE_ARRAYS,
)
from neuroasync.errors import RecordingError

__all__ = ["read_recording", "write_recording"]

_INT64_ARRAYS: Final = (*SPIKE_ARRAYS, *DELIVERY_ARRAYS, *SAMPLE_ARRAYS, *INPUT_ARRAYS)
_FIELDS: Final = {
    "info": Field("|u1"),
    **{name.rstrip("_"): Field("<i8") for name in _INT64_ARRAYS},
    "votes": Field("<i8", 2),
    "seed": Field("<u8"),
    "stopped": Field("|u1"),
    **{name: Field("<f4", optional=True) for name in VALUE_ARRAYS},
    TURN_ARRAY: Field("|u1", optional=True),
}


def read_recording(source: PathOrBytes, max_bytes: int = limits.MAX_SPIKE_FILE_BYTES) -> Recording:
    """Read a recording. Its content is not trusted, and nothing in it is executed.

    Args:
        source: path of the file, or its bytes.
        max_bytes: maximum size of the file, and of its unpacked arrays together, in bytes. Reading
            needs about three times that in memory.

    Raises:
        RecordingError: the file is missing, damaged, too large, or its arrays do not fit each
            other.
    """
    with name_file_in_errors(source, FileKind.RECORDING):
        arrays = read_arrays(source, _FIELDS, max_bytes, RecordingError)
        info = parse_info(arrays.pop("info").tobytes())
        arrays["pass_"] = arrays.pop("pass")
        return Recording(info, **arrays)


def write_recording(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write a recording atomically. Equal recordings give equal bytes.

    Args:
        recording: the recording to write.
        path: path of the file. An existing file is replaced; it stays as it was if writing fails.

    Raises:
        RecordingError: the file system refuses.
    """
    arrays = {name.rstrip("_"): array for name, array in recording.arrays()}
    arrays["info"] = np.frombuffer(dump_info(recording.info), np.uint8)
    little_endian = {
        name: np.ascontiguousarray(arrays[name], field.dtype)
        for name, field in _FIELDS.items()
        if name in arrays
    }
    write_arrays(path, little_endian, RecordingError)
