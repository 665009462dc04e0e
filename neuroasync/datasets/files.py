"""The files of the data sets: which of them ship, and which are read from a folder.

A part of each set ships with the package, less than 5 MB in total. ``neuroasync/data/README.md``
lists these files and their licences. Complete sets are read from a folder, which ``data_dir`` or
the environment variable ``NEUROASYNC_DATA`` names.

Each set has a training file and a test file. They are ``.npz`` files without pickles, as
``numpy.savez_compressed`` writes them, with the arrays listed below. ``offsets`` is
int64 [samples + 1]: sample k has the rows ``offsets[k]`` to ``offsets[k + 1]``. ``labels`` is
uint8 [samples]. ``meta`` and the arrays in brackets are not read; any other array is an error.

``nmnist_small_train.npz``, ``nmnist_small_test.npz``
    ``t`` uint32 (µs, any clock, ascending in a sample), ``x``, ``y``, ``p`` (0 off, 1 on) uint8,
    all [events]; ``offsets``, ``labels``; [``sample_id``, ``sensor_size``].
``fsdd_train.npz``, ``fsdd_test.npz``
    ``wav`` int16 [values], mono; ``sample_rate`` int32, Hz; ``speaker`` uint8 [samples], 0 to 5
    for george, jackson, lucas, nicolas, theo, yweweler; ``take`` uint8 [samples]; ``offsets``,
    ``labels``; [``speaker_names``].
``mnist_train.npz``, ``mnist_test.npz``; ``fashion_mnist_train.npz``, ``fashion_mnist_test.npz``
    ``images`` uint8 [samples, 28, 28]; ``labels``; [``first_index``].
``braille_train.npz``, ``braille_test.npz``
    ``taxels`` uint8 [values, 12]; ``offsets``; ``labels``: 0 is the space, 1 to 26 are A to Z;
    [``repetition``, ``class_names``].
"""

import os
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.formats.file_kind import FileKind, wrong_kind
from neuroasync.core.formats.npz import Field, read_arrays
from neuroasync.datasets.folds import Ints
from neuroasync.errors import DatasetError

__all__ = [
    "DATA_VARIABLE",
    "Arrays",
    "checked_labels",
    "checked_offsets",
    "data_folder",
    "raise_dataset_error",
    "read_file",
    "shipped_arrays",
]

DATA_VARIABLE: Final = "NEUROASYNC_DATA"
_SHIPPED: Final = files("neuroasync").joinpath("data")

Arrays = Mapping[str, NDArray[Any]]


def data_folder(data_dir: str | os.PathLike[str] | None) -> Path | None:
    """Return the given folder, or else the one that the environment names.

    None means that only shipped files are used.

    Raises:
        DatasetError: The folder does not exist.
    """
    path = os.fspath(data_dir) if data_dir is not None else os.environ.get(DATA_VARIABLE) or None
    if path is None:
        return None
    folder = Path(path).expanduser()
    if "\0" in path or not folder.is_dir():
        origin = "" if data_dir is not None else f", from {DATA_VARIABLE}"
        raise DatasetError(f"{path!r}{origin}: no such folder of data sets")
    return folder


def read_file(
    folder: Path, name: str, fields: Mapping[str, Field], skipped: Collection[str], source: str
) -> Arrays:
    """Return the arrays of one file of a data set.

    Args:
        folder: Folder of the file.
        name: Name of the file.
        fields: Types of the arrays to read.
        skipped: Arrays that may be in the file and are not read.
        source: Where users can download the set, for the error message.

    Raises:
        DatasetError: The file is missing or damaged. The message starts with its path.
    """
    path = folder / name
    if not path.exists():
        raise DatasetError(
            f"{str(path)!r}: the file does not exist. The data come from {source}; the docstring "
            "of neuroasync.datasets.files describes the contents of the file. To use the part of "
            "the set that ships with neuroasync, name no folder: neither by `data_dir` or --data, "
            f"nor by the environment variable {DATA_VARIABLE}"
        )
    try:
        return read_arrays(path, fields, limits.MAX_SPIKE_FILE_BYTES, DatasetError, skipped)
    except DatasetError as error:
        raise_dataset_error(path, wrong_kind(path, FileKind.DATASET) or error)


def shipped_arrays(name: str, fields: Mapping[str, Field]) -> Arrays:
    """Return the arrays of a file that ships with the package."""
    opened: AbstractContextManager[Path] = as_file(_SHIPPED.joinpath(name))
    with opened as path:
        return read_file(path.parent, path.name, fields, (), "the neuroasync wheel")


def checked_labels(labels: NDArray[Any], classes: int, samples: int, path: Path | str) -> Ints:
    """Return ``labels`` as i64[samples].

    Raises:
        DatasetError: There is not one label per sample, or a label is not below ``classes``.
    """
    if labels.size != samples:
        raise_dataset_error(
            path, f"labels must have one value for each of {samples} samples, got {labels.size}"
        )
    if labels.max(initial=0) >= classes:
        at = int(np.argmax(labels >= classes))
        raise_dataset_error(path, f"labels[{at}] must be from 0 to {classes - 1}, got {labels[at]}")
    return labels.astype(np.int64)


def checked_offsets(offsets: Ints, rows: int, path: Path | str) -> Ints:
    """Return ``offsets`` if they divide ``rows`` rows into at least one sample.

    Raises:
        DatasetError: They do not ascend from 0 to ``rows``.
    """
    covers_rows = offsets.size > 1 and offsets[0] == 0 and offsets[-1] == rows
    if not covers_rows or np.any(offsets[1:] < offsets[:-1]):
        raise_dataset_error(
            path, f"offsets must ascend from 0 to {rows}, with one value more than samples"
        )
    return offsets


def raise_dataset_error(path: Path | str, problem: object) -> NoReturn:
    """Raise DatasetError with a message that starts with the file's path."""
    message, name = str(problem), repr(str(path))
    raise DatasetError(message if message.startswith(name) else f"{name}: {message}") from (
        problem if isinstance(problem, Exception) else None
    )
