"""Locks on files, which the operating system releases when their process ends, however it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from neuroasync.core.formats.bounded_open import path_problem
from neuroasync.errors import NeuroasyncError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["lock_file", "try_lock"]

_LOCKED_BYTE: Final = 2**30
"""Position of the byte that is locked on Windows, where nobody else can read a locked byte."""
_MAX_DIGITS: Final = 20
"""Digits of the largest process ID."""


def try_lock(handle: int) -> bool:
    """Lock an open file exclusively, without waiting, until it is closed.

    Args:
        handle: file descriptor of a file that is open for writing.

    Returns:
        Whether the file is now locked; False if it was already locked through another descriptor.

    Raises:
        OSError: the file system has no locks.
    """
    if sys.platform == "win32":
        position = os.lseek(handle, 0, os.SEEK_CUR)
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(handle, position, os.SEEK_SET)
    else:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextmanager
def lock_file(
    path: str | os.PathLike[str],
    guarded: str | os.PathLike[str],
    error: type[NeuroasyncError],
    purpose: str,
) -> Iterator[None]:
    """Hold an exclusive lock inside the block, by a file that exists for this purpose only.

    The file is removed at the end. If the process is killed, the file stays, but it is no longer
    locked. On a file system without locks, the block runs without one.

    Args:
        path: path of the lock file. Its content is the ID of the process that holds the lock.
        guarded: path of the file or folder that the lock is for, which errors name.
        error: class of the errors.
        purpose: what others cannot do at the same time, as it follows the words "another process
            is", such as ``"writing to this folder"``.

    Raises:
        NeuroasyncError: another process holds the lock, or the file cannot be written or is not a
            lock file; the class is ``error``.
    """
    name = os.fspath(guarded)
    if (reason := path_problem(name)) is not None:
        raise error(f"{name!r}: cannot be written, because {reason}")
    try:
        handle = _open_locked(os.fspath(path), name, error, purpose)
    except OSError as problem:
        raise error(f"{name!r}: cannot be written: {problem.strerror or problem}") from problem
    try:
        yield
    finally:
        # The file is removed while it is still locked, except on Windows, which cannot do that.
        with suppress(OSError):
            Path(path).unlink()
        os.close(handle)


def _open_locked(path: str, name: str, error: type[NeuroasyncError], purpose: str) -> int:
    """Return the descriptor of the lock file, after it was locked."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _is_free(handle):
                owner = os.read(handle, _MAX_DIGITS).decode("ascii", "replace")
                holder = f"another process ({owner})" if owner.isdecimal() else "another process"
                raise error(
                    f"{name!r}: {holder} is {purpose}; wait for it to end, or choose another path"
                )
            # The process before may have removed the file after this one had opened it.
            if _is_same(handle, path):
                _check_content(handle, path, error)
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _check_content(handle: int, path: str, error: type[NeuroasyncError]) -> None:
    """Check that a file is empty or has the ID of a process, so that no other file is overwritten.

    Raises:
        NeuroasyncError: it is another file; the class is ``error``.
    """
    content = os.read(handle, _MAX_DIGITS + 1)
    if content and not (content.isdigit() and len(content) <= _MAX_DIGITS):
        raise error(
            f"{path!r}: is not a lock file, but its name is needed for one; rename it, or choose "
            "another path"
        )
    os.lseek(handle, 0, os.SEEK_SET)


def _is_free(handle: int) -> bool:
    """Lock the file if possible, and return whether no other process has locked it."""
    try:
        return try_lock(handle)
    except OSError:
        return True  # The file system has no locks.


def _is_same(handle: int, path: str) -> bool:
    """Return whether the open file still has this path."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
