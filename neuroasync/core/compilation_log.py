"""The log record that tells why a first start is slow: kernels are being compiled."""

import logging
import sys
from typing import Final

__all__ = ["compilation_log", "show_compilation"]

compilation_log: Final = logging.getLogger("neuroasync.kernels")
"""Gets at most one record per process, before the first kernel is compiled: with level INFO, or
WARNING if the compiled code cannot be saved, so that every start will be slow."""


def show_compilation() -> None:
    """Show the record on stderr, as a note for the user of a program."""
    if not any(isinstance(handler, _Notes) for handler in compilation_log.handlers):
        compilation_log.addHandler(_Notes())
    compilation_log.setLevel(logging.INFO)
    compilation_log.propagate = False


class _Notes(logging.Handler):
    """A handler that writes one line ``note: ...`` to stderr, if there is a stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is None:
            return
        try:
            # A progress bar may be in the current line of a terminal.
            erase = "\r\x1b[K" if sys.stderr.isatty() else ""
            print(f"{erase}note: {record.getMessage()}", file=sys.stderr, flush=True)
        except (OSError, ValueError):
            pass  # The reader of stderr went away, or it is closed.
