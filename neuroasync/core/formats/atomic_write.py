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
    """Open a file for writing that takes its name only once it is complete and on disk.

    What is written goes to a temporary file in the same folder, which replaces ``path`` at the
    end, or is removed if anything fails; then ``path`` is as it was.

    Args:
        path: where to write. What is there is replaced if it is a regular file.
        error: class of the error for what the file system refuses.

    Yields:
        A binary file, seekable.

    Raises:
        NeuroasyncError: as ``error``; the folder is missing, full, read-only, or ``path`` is a
            directory, pipe or device.
    """
    name = os.fspath(path)
    if "\0" in name:
        raise error(f"{name!r}: null character in the path; cannot be written")
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(name).st_mode):
                raise error(f"{name!r}: expected a regular file, no directory, pipe or device")
        temporary = Path(name).parent / f".neuroasync-{secrets.token_hex(8)}.tmp"
        with _removed_on_failure(temporary), open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()  # Windows does not rename an open file
            os.replace(temporary, name)
        _sync_folder(Path(name).parent)
    except OSError as problem:
        raise error(f"{name!r}: {problem.strerror or problem}; cannot be written") from problem


@contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system lets us."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
