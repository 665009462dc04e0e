"""Open what a caller named for reading, without trusting that it is a small, ordinary file."""

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeAlias

from neuroasync.errors import NeuroasyncError

__all__ = ["Source", "errors_name_file", "open_bounded"]

Source: TypeAlias = str | os.PathLike[str] | bytes
"""Where data comes from: a path, or the bytes themselves."""


@contextmanager
def errors_name_file(source: Source) -> Iterator[None]:
    """Whatever is wrong with the file that is read inside, the error begins with its path."""
    try:
        yield
    except NeuroasyncError as error:
        name = "" if isinstance(source, bytes) else repr(os.fspath(source))
        if str(error).startswith(name):
            raise
        raise type(error)(f"{name}: {error}") from error


@contextmanager
def open_bounded(
    source: Source, max_bytes: int, error: type[NeuroasyncError]
) -> Iterator[tuple[BinaryIO, int]]:
    """Open ``source`` and tell its size, which is checked before anything is read.

    Directories, pipes and devices are refused, and opening one does not wait.

    Args:
        source: path of a regular file (a link to one will do), or the data itself.
        max_bytes: largest size in bytes that is accepted.
        error: class of every error.

    Yields:
        The open file, and its size in bytes.

    Raises:
        NeuroasyncError: as ``error``; the file is missing, unreadable, no file, or too large.
    """
    if isinstance(source, bytes):
        _check_size("data", len(source), max_bytes, error)
        yield io.BytesIO(source), len(source)
        return
    path = os.fspath(source)
    if "\0" in path:
        raise error(f"{path!r}: null character in the path; cannot be read")
    try:
        with open(path, "rb", opener=_open_regular) as file:
            size = os.fstat(file.fileno()).st_size
            _check_size(repr(path), size, max_bytes, error)
            yield file, size
    except OSError as problem:
        raise error(f"{path!r}: {problem.strerror or problem}; cannot be read") from problem


def _open_regular(path: str, flags: int) -> int:
    """Open without waiting for a pipe's other end; raise OSError if it is no regular file."""
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "expected a regular file, no directory, pipe or device")
    return handle


def _check_size(what: str, size: int, max_bytes: int, error: type[NeuroasyncError]) -> None:
    if size > max_bytes:
        raise error(
            f"{what}: {size} bytes, the limit is {max_bytes}; pass a larger max_bytes to read it"
        )
