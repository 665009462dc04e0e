"""Write a file completely or not at all."""

import math
import os
import re
import secrets
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from neuroasync.core.formats.bounded_open import path_problem
from neuroasync.core.formats.file_lock import try_lock
from neuroasync.errors import NeuroasyncError

__all__ = ["atomic_file", "check_replaceable", "remove_unfinished"]

_TEMPORARY: Final = re.compile(r"\.neuroasync-[0-9a-f]{16}\.tmp")
"""Names of temporary files: 8 digits of the CRC-32 of the final name, then 8 random ones."""
_MIN_AGE_S: Final = 60.0
"""Age in seconds from which a temporary file without a lock is removed. A writer locks its file
immediately after it has created it."""


@contextmanager
def atomic_file(path: str | os.PathLike[str], error: type[NeuroasyncError]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only once it is complete and on disk.

    The data goes to a temporary file in the same folder. At the end this file replaces ``path``;
    if anything fails, it is removed and ``path`` stays as it was. A temporary file that a killed
    process has left in the folder is removed, too.

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
    check_replaceable(name, error)
    folder = Path(name).parent
    _remove_abandoned(folder)
    try:
        temporary = folder / f"{_prefix(name)}{secrets.token_hex(4)}.tmp"
        with _removed_on_failure(temporary), open(temporary, "xb") as file:
            # The lock shows other writers that this one is alive. Some file systems have no locks.
            with suppress(OSError):
                try_lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":
                file.close()  # Windows cannot rename an open file.
            os.replace(temporary, name)
        _sync_folder(folder)
    except OSError as problem:
        raise error(f"{name!r}: cannot be written: {problem.strerror or problem}") from problem


def check_replaceable(path: str | os.PathLike[str], error: type[NeuroasyncError]) -> None:
    """Check that nothing exists at ``path`` except maybe a regular file.

    Replacing a pipe or a device such as /dev/null by a file would be a surprise.

    Raises:
        NeuroasyncError: ``path`` is a directory, pipe or device, or cannot be a path; the class
            is ``error``.
    """
    name = os.fspath(path)
    if (reason := path_problem(name)) is not None:
        raise error(f"{name!r}: cannot be written, because {reason}")
    try:
        is_regular = stat.S_ISREG(os.stat(name).st_mode)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise error(f"{name!r}: cannot be written: {problem.strerror or problem}") from problem
    if not is_regular:
        raise error(f"{name!r}: must be a regular file, not a directory, pipe or device")


def remove_unfinished(path: str | os.PathLike[str]) -> bool:
    """Remove the temporary files of writers of ``path`` that were killed, however young they are.

    No other process may write to ``path`` at the same time. A file that is locked or cannot be
    removed stays.

    Returns:
        Whether no such file is left.
    """
    name = os.fspath(path)
    folder, prefix = Path(name).parent, _prefix(name)
    _remove_abandoned(folder, prefix, min_age_s=-math.inf)
    return not any(_TEMPORARY.fullmatch(left.name) for left in folder.glob(f"{prefix}*"))


@contextmanager
def _removed_on_failure(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _prefix(path: str) -> str:
    """Return what the names of all temporary files for a path begin with."""
    return f".neuroasync-{zlib.crc32(os.fsencode(Path(path).name)):08x}"


def _remove_abandoned(folder: Path, prefix: str = "", min_age_s: float = _MIN_AGE_S) -> None:
    """Remove the temporary files that killed processes have left in a folder.

    Args:
        folder: the folder.
        prefix: what the names of the files begin with.
        min_age_s: age in seconds from which a file is removed.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and _TEMPORARY.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_if_abandoned(Path(entry.path), min_age_s)


def _remove_if_abandoned(temporary: Path, min_age_s: float) -> None:
    """Remove a temporary file unless its writer may still be alive.

    Raises:
        OSError: the file cannot be opened, locked or removed.
    """
    status = temporary.lstat()
    if not stat.S_ISREG(status.st_mode) or time.time() - status.st_mtime < min_age_s:
        return
    if sys.platform == "win32":
        temporary.unlink()  # Windows does not remove a file that is open.
        return
    handle = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if try_lock(handle):
            temporary.unlink()
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Flush the directory entry to disk, on systems that allow it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
