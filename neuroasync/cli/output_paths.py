"""Where commands write: asked about before hours of work, not after."""

import os
from pathlib import Path

from neuroasync.cli.exit_codes import CliError

__all__ = ["check_folder", "check_output"]


def check_output(path: Path, *inputs: Path) -> None:
    """Raise CliError if a file can surely not be written at ``path``. Writes nothing.

    Args:
        path: where to.
        inputs: files that the command reads, which it must not write over.
    """
    for other in inputs:
        if path == other or (path.exists() and other.exists() and path.samefile(other)):
            raise CliError(f"{str(path)!r}: the command reads this file; expected another one")
    if path.exists() and not path.is_file():
        raise CliError(f"{str(path)!r}: expected a regular file; cannot be written")
    _check_parent(path, path.parent)


def check_folder(path: Path) -> None:
    """Raise CliError if ``path`` is no folder and can surely not become one. Makes nothing."""
    if path.exists() and not path.is_dir():
        raise CliError(f"{str(path)!r}: is a file, expected a folder")
    _check_parent(path, path if path.exists() else path.parent)


def _check_parent(path: Path, parent: Path) -> None:
    try:
        if not parent.is_dir():
            raise CliError(f"{str(path)!r}: there is no folder {str(parent)!r}; cannot be written")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise CliError(f"{str(path)!r}: the folder is not writable")
    except ValueError as error:  # a null character
        raise CliError(f"{str(path)!r}: {error}; cannot be written") from error
