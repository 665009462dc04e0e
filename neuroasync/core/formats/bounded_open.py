"""Open a path for reading without assuming that it is a small, regular file."""

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeAlias

from neuroasync.errors import NeuroasyncError

__all__ = ["PathOrBytes", "open_bounded", "path_problem"]

PathOrBytes: TypeAlias = str | os.PathLike[str] | bytes
"""Where a reader gets its data from: the path of a file, or the content itself."""


@contextmanager
def open_bounded(
    source: PathOrBytes, max_bytes: int, error: type[NeuroasyncError]
) -> Iterator[tuple[BinaryIO, int]]:
    """Open ``source`` and check its size before anything is read.

    Directories, pipes and devices are rejected; opening one does not block.

    Args:
        source: path of a regular file or of a link to one, or the content itself.
        max_bytes: maximum size, bytes.
        error: class of all errors.

    Yields:
        The open file and its size in bytes.

    Raises:
        NeuroasyncError: the file is missing, unreadable, not a regular file or too large; the
            class is ``error``.
    """
    if isinstance(source, bytes):
        _check_size("", len(source), max_bytes, error)
        yield io.BytesIO(source), len(source)
        return
    path = os.fspath(source)
    if (problem := path_problem(path)) is not None:
        raise error(f"{path!r}: cannot be read, because {problem}")
    try:
        with open(path, "rb", opener=_open_regular) as file:
            size = os.fstat(file.fileno()).st_size
            _check_size(f"{path!r}: ", size, max_bytes, error)
            yield file, size
    except OSError as failure:
        raise error(f"{path!r}: cannot be read: {failure.strerror or failure}") from failure


def path_problem(path: str) -> str | None:
    """Return why no file can have this path; None if one can."""
    if "\0" in path:
        return "the path contains a null character"
    try:
        os.fsencode(path)
    except UnicodeError:
        return "the path contains characters that are not valid Unicode"
    return None


def _open_regular(path: str, flags: int) -> int:
    """Open a regular file; raise OSError for everything else, without waiting for a pipe."""
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it must be a regular file, not a directory, pipe or device")
    return handle


def _check_size(prefix: str, size: int, max_bytes: int, error: type[NeuroasyncError]) -> None:
    if size > max_bytes:
        raise error(
            f"{prefix}the file has {size} bytes, the limit is {max_bytes}; pass a larger "
            "max_bytes to read it"
        )
