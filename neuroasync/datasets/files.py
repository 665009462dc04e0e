"""The files of the data sets: which ship, which are read from a folder, and what is in them.

What ships is a part of each set, under 5 MB in all (``neuroasync/data/README.md`` says which, and
its licences). More is read from the folder that ``data_dir`` or the environment variable
``NEUROASYNC_DATA`` names, from ``.npz`` files without pickles, as ``numpy.savez_compressed`` writes
them. ``offsets`` is int64 [samples + 1]: sample k has rows ``offsets[k]`` to ``offsets[k + 1]``;
``labels`` is uint8 [samples]. Each set has two files, for training and for testing; other arrays
than these are an error, except for ``meta`` and those in brackets, which are not read.

``nmnist_small_train.npz``, ``nmnist_small_test.npz``
    ``t`` uint32 (µs, any clock, ascending in a sample), ``x``, ``y``, ``p`` (0 off, 1 on) uint8,
    all [events]; ``offsets``, ``labels``; [``sample_id``, ``sensor_size``].
``fsdd_train.npz``, ``fsdd_test.npz``
    ``wav`` int16 [values], mono; ``sample_rate`` int32, Hz; ``speaker`` uint8 [samples], 0 to 5
    for george, jackson, lucas, nicolas, theo, yweweler; ``take`` uint8 [samples]; ``offsets``,
    ``labels``; [``speaker_names``].
``mnist_train.npz``, ``mnist_test.npz``
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
    """The folder that is asked for, or the environment's, or None: what ships will do.

    Raises:
        DatasetError: there is no such folder.
    """
    asked = os.fspath(data_dir) if data_dir is not None else os.environ.get(DATA_VARIABLE) or None
    if asked is None:
        return None
    folder = Path(asked).expanduser()
    if "\0" in asked or not folder.is_dir():
        whose = "data_dir" if data_dir is not None else DATA_VARIABLE
        raise DatasetError(f"{whose}: {asked!r}, expected a folder of data sets; there is none")
    return folder


def read_file(
    folder: Path, name: str, fields: Mapping[str, Field], skipped: Collection[str], source: str
) -> Arrays:
    """The arrays of one file of a data set, each of the declared type.

    Args:
        folder: where it lies.
        name: of the file.
        fields: of the arrays.
        skipped: arrays that are not read.
        source: where the set can be had, for who lacks it.

    Raises:
        DatasetError: it is missing or mangled; the message names it.
    """
    path = folder / name
    if not path.exists():
        raise DatasetError(
            f"{str(path)!r}: there is no such file. The data come from {source}; the docstring of "
            "neuroasync.datasets.files says what is in the file. For the part of the set that "
            f"ships, if one does, give no folder (no data_dir, no {DATA_VARIABLE})"
        )
    try:
        return read_arrays(path, fields, limits.MAX_SPIKE_FILE_BYTES, DatasetError, skipped)
    except DatasetError as error:
        raise_dataset_error(path, error)


def shipped_arrays(name: str, fields: Mapping[str, Field]) -> Arrays:
    """The arrays of a file that ships."""
    opened: AbstractContextManager[Path] = as_file(_SHIPPED.joinpath(name))
    with opened as path:
        return read_file(path.parent, path.name, fields, (), "the neuroasync wheel")


def checked_labels(labels: NDArray[Any], classes: int, samples: int, path: Path | str) -> Ints:
    """``labels`` as i64[samples].

    Raises:
        DatasetError: there are others than 0 to ``classes - 1``, or not one a sample.
    """
    if labels.size != samples:
        raise_dataset_error(
            path, f"labels: {labels.size} of them, expected one for {samples} samples"
        )
    if labels.max(initial=0) >= classes:
        at = int(np.argmax(labels >= classes))
        raise_dataset_error(path, f"labels[{at}]: {labels[at]}, expected 0 to {classes - 1}")
    return labels.astype(np.int64)


def checked_offsets(offsets: Ints, rows: int, path: Path | str) -> Ints:
    """``offsets``, if they cut ``rows`` rows into at least one sample.

    Raises:
        DatasetError: they do not start at 0, ascend and end at ``rows``.
    """
    right = offsets.size > 1 and offsets[0] == 0 and offsets[-1] == rows
    if not right or np.any(offsets[1:] < offsets[:-1]):
        raise_dataset_error(
            path, f"offsets: expected ascending from 0 to {rows}, one more than samples"
        )
    return offsets


def raise_dataset_error(path: Path | str, problem: object) -> NoReturn:
    """Raise DatasetError: what is wrong, with the file's name first."""
    said, name = str(problem), repr(str(path))
    raise DatasetError(said if said.startswith(name) else f"{name}: {said}") from (
        problem if isinstance(problem, Exception) else None
    )
