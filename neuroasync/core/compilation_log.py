"""The log record that tells why a first start is slow: kernels are being compiled."""

import logging
import os
import sys
from textwrap import wrap
from typing import Final, TextIO

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
    """A handler that writes ``note: ...`` to stderr, if there is a stderr.

    On a terminal, the lines break between words. Elsewhere, the note is one line.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is None:
            return
        try:
            text = f"note: {record.getMessage()}"
            if sys.stderr.isatty():
                # A progress bar may be in the current line.
                text = "\r\x1b[K" + _wrapped(text, _width(sys.stderr))
            print(text, file=sys.stderr, flush=True)
        except (OSError, ValueError):
            pass  # The reader of stderr went away, or it is closed.


def _wrapped(text: str, width: int) -> str:
    """Break lines between words only, and indent all but the first."""
    return "\n".join(
        wrap(
            text, width, subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
        )
    )


def _width(terminal: TextIO) -> int:
    """Return the width of a terminal, or 80 if it has no known width."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except OSError:
        return 80
