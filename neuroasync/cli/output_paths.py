"""Output files: checks before hours of work, and errors that do not lose its results."""

import os
from collections.abc import Callable
from pathlib import Path

from neuroasync.cli.exit_codes import CliError
from neuroasync.errors import NeuroasyncError

__all__ = ["check_folder", "check_output", "write_error"]


def check_output(path: Path, *inputs: str | Path) -> None:
    """Check that a file can probably be written at ``path``. Write nothing.

    Args:
        path: The output file.
        inputs: Files that the command reads and therefore must not overwrite. Names of shipped
            things are ignored.

    Raises:
        CliError: The path is an input, is not a regular file, or its folder is not writable.
    """
    from neuroasync.shipped import NETWORK_FILES, SAMPLE_FILES

    for other in (Path(name) for name in inputs if name not in {*NETWORK_FILES, *SAMPLE_FILES}):
        if path == other or (path.exists() and other.exists() and path.samefile(other)):
            raise CliError(
                f"{str(path)!r}: the output must not overwrite an input; choose another path"
            )
    if path.exists() and not path.is_file():
        raise CliError(f"{str(path)!r}: cannot be written, because it is not a regular file")
    _check_parent(path, path.parent)


def write_error(write: Callable[[], None]) -> NeuroasyncError | None:
    """Write files, and return the error, which should be raised after the results were reported."""
    try:
        write()
    except NeuroasyncError as error:
        return error
    return None


def check_folder(path: Path) -> None:
    """Check that ``path`` is a writable folder or can probably become one. Create nothing.

    Raises:
        CliError: The path is a file, or the folder or its parent is not writable.
    """
    if path.exists() and not path.is_dir():
        raise CliError(f"{str(path)!r}: must be a folder, but is a file")
    _check_parent(path, path if path.exists() else path.parent)


def _check_parent(path: Path, parent: Path) -> None:
    try:
        if not parent.is_dir():
            raise CliError(
                f"{str(path)!r}: cannot be written, because there is no folder {str(parent)!r}"
            )
        if not os.access(parent, os.W_OK | os.X_OK):
            raise CliError(f"{str(path)!r}: cannot be written, because the folder is not writable")
    except ValueError as error:
        # The path contains a null character.
        raise CliError(f"{str(path)!r}: cannot be written: {error}") from error
