"""What kind of file something is, so that errors can say it if a reader is given another kind."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from neuroasync.core.formats.bounded_open import PathOrBytes, open_bounded
from neuroasync.core.formats.npz import entry_names
from neuroasync.errors import NeuroasyncError

__all__ = ["FileKind", "file_kind", "name_file_in_errors", "wrong_kind"]


class FileKind(StrEnum):
    """A kind of file, in the words of an error."""

    BUNDLE = "a network (.nab)"
    SNAPSHOT = "a snapshot of a session"
    SPIKES = "a spike file"
    RECORDING = "a recording of a run"
    DATASET = "a file of a data set"
    CHECKPOINT = "a checkpoint of a training"
    TORCH = "a file of torch"
    ARRAY = "a .npy file with one array"
    CAMERA = "a recording of an event camera"
    HDF5 = "an HDF5 file"
    JSON = "a JSON text"


_MAX_BYTES: Final = 2**40
_START_BYTES: Final = 256
"""Bytes at the start of a file that tell its kind, unless it is an archive."""

_STARTS: Final = (
    (b"\x93NUMPY", FileKind.ARRAY),
    (b"\x89HDF\r\n", FileKind.HDF5),
    (b"#!AER-DAT", FileKind.CAMERA),
    (b"% ", FileKind.CAMERA),
    (b"Event Stream", FileKind.CAMERA),
    (b"{", FileKind.JSON),
)
"""First bytes of a kind of file."""

_ENTRIES: Final = (
    ({"info", "delivered_origin", "votes"}, FileKind.RECORDING),
    ({"t_us", "index", "offsets", "shape"}, FileKind.SPIKES),
    ({"low", "high", "coordinates"}, FileKind.DATASET),
    ({"images", "labels"}, FileKind.DATASET),
    ({"taxels", "labels"}, FileKind.DATASET),
    ({"wav", "labels"}, FileKind.DATASET),
    ({"t", "x", "y", "p", "offsets"}, FileKind.DATASET),
)
"""Arrays that a kind of archive has at least."""


@contextmanager
def name_file_in_errors(source: PathOrBytes, wanted: FileKind) -> Iterator[None]:
    """Prefix the errors raised inside the block with the path of the file that is read.

    If the file is of another kind, the error says of which.

    Args:
        source: path of the file, or its content. Content has no name.
        wanted: kind of file that is read.
    """
    try:
        yield
    except NeuroasyncError as error:
        if (message := wrong_kind(source, wanted)) is not None:
            raise type(error)(message) from error
        name = "" if isinstance(source, bytes) else repr(os.fspath(source))
        if str(error).startswith(name):
            raise
        raise type(error)(f"{name}: {error}") from error


def wrong_kind(source: PathOrBytes, wanted: FileKind) -> str | None:
    """Return ``"'x.npz' is a spike file, not a network (.nab)"``, or None.

    The result is None if the file is of the wanted kind, of an unknown kind, or unreadable.
    """
    found = file_kind(source)
    if found is None or found is wanted:
        return None
    name = "this" if isinstance(source, bytes) else repr(os.fspath(source))
    return f"{name} is {found}, not {wanted}"


def file_kind(source: PathOrBytes) -> FileKind | None:
    """Return the kind of a file by its content, or None if it is unknown or cannot be read.

    Nothing in the file is trusted or executed, and little of it is read.
    """
    try:
        with open_bounded(source, _MAX_BYTES, NeuroasyncError) as (file, _):
            start = file.read(_START_BYTES)
            if start.startswith(b"PK\x03\x04"):
                return _kind_of_archive(entry_names(file))
    except (NeuroasyncError, OSError):
        return None
    if b"neuroasync-bundle" in start:
        return FileKind.BUNDLE
    if b"neuroasync-session" in start:
        return FileKind.SNAPSHOT
    if b"neuroasync-checkpoint" in start:
        return FileKind.CHECKPOINT
    # Files of settings, such as TOML, begin with a name in brackets.
    if re.match(rb"\[[\[\s]*[\]{\"\d-]", start):
        return FileKind.JSON
    return next((kind for first, kind in _STARTS if start.startswith(first)), None)


def _kind_of_archive(entries: list[str]) -> FileKind | None:
    if any(entry.endswith("/data.pkl") for entry in entries):
        return FileKind.TORCH
    arrays = {entry.removesuffix(".npy") for entry in entries if entry.endswith(".npy")}
    return next((kind for required, kind in _ENTRIES if required <= arrays), None)
