"""Recordings as ``.npz`` files: an array of the same name for each of a recording's.

``pass_`` is ``pass`` there; ``stopped`` is u8; ``info`` is a JSON text, u8 a byte.
"""

import os
from typing import Final

import numpy as np

from neuroasync import limits
from neuroasync.core.formats.bounded_open import Source, errors_name_file
from neuroasync.core.formats.npz import Field, read_arrays, write_arrays
from neuroasync.core.recording.recording import Recording
from neuroasync.core.recording.run_info import dump_info, parse_info
from neuroasync.core.recording.validation import DELIVERIES, INPUT, ROWS, SAMPLES
from neuroasync.errors import RecordingError

__all__ = ["read_recording", "write_recording"]

_FIELDS: Final = {
    "info": Field("|u1"),
    **{name.rstrip("_"): Field("<i8") for name in (*ROWS, *DELIVERIES, *SAMPLES, *INPUT)},
    "votes": Field("<i8", 2),
    "seed": Field("<u8"),
    "stopped": Field("|u1"),
}


def read_recording(source: Source, max_bytes: int = limits.MAX_SPIKE_FILE_BYTES) -> Recording:
    """Read a recording; nothing in it is trusted or executed.

    Args:
        source: path of the file, or its bytes.
        max_bytes: limit for the file and for the sum of its unpacked arrays, in bytes. Reading
            needs about three times that in memory.

    Raises:
        RecordingError: the file is missing, damaged, too large, or its arrays do not fit each
            other.
    """
    with errors_name_file(source):
        arrays = read_arrays(source, _FIELDS, max_bytes, RecordingError)
        info = parse_info(arrays.pop("info").tobytes())
        arrays["pass_"] = arrays.pop("pass")
        return Recording(info, **arrays)


def write_recording(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write a recording, atomically; the same recording gives the same bytes.

    Args:
        recording: what to write.
        path: where to; a file there is replaced, and stays as it was if writing fails.

    Raises:
        RecordingError: the file system refuses.
    """
    arrays = {name.rstrip("_"): array for name, array in recording.arrays()}
    arrays["info"] = np.frombuffer(dump_info(recording.info), np.uint8)
    little = {
        name: np.ascontiguousarray(arrays[name], field.dtype) for name, field in _FIELDS.items()
    }
    write_arrays(path, little, RecordingError)
