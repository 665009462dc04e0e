"""Write a file completely or not at all."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from neuroasync.errors import NeuroasyncError

__all__ = ["atomic_file"]


@contextmanager
def atomic_file(path: str | os.PathLike[str], error: type[NeuroasyncError]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only once it is complete and on disk.

    The data goes to a temporary file in the same folder. At the end this file replaces ``path``;
    if anything fails, it is removed and ``path`` stays as it was.

    Args:
        path: path to write. An existing regular file is replaced.
        error: class of the error that is raised if the file cannot be written.

    Yields:
        A seekable binary file.

    Raises:
        NeuroasyncError: the folder is missing, full or read-only, or ``path`` is a directory,
            pipe or device; the class is ``error``.
    """
    name = os.fspath(path)
    if "\0" in name:
        raise error(f"{name!r}: cannot be written, because the path contains a null character")
    try:
        # Replacing a pipe or a device such as /dev/null by a file would be a surprise.
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(name).st_mode):
                raise error(f"{name!r}: must be a regular file, not a directory, pipe or device")
        temporary = Path(name).parent / f".neuroasync-{secrets.token_hex(8)}.tmp"
        with _removed_on_failure(temporary), open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()  # Windows cannot rename an open file
            os.replace(temporary, name)
        _sync_folder(Path(name).parent)
    except OSError as problem:
        raise error(f"{name!r}: cannot be written: {problem.strerror or problem}") from problem


@contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Flush the directory entry to disk, on systems that allow it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
