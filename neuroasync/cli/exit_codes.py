"""How a command ends: its exit code, and at most one line about what went wrong.

::

    0    done
    1    the answer is no: a golden sample, or a replay, gives other spikes
    2    bad input: one line ``error: ...`` on stderr
    130  interrupted by Ctrl-C
    141  whoever read the output went away
"""

import os
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

import typer
from typer.core import TyperGroup

from neuroasync.errors import NeuroasyncError

__all__ = ["BAD_INPUT", "NO", "CliError", "Commands", "one_line", "report"]

NO: Final = 1
BAD_INPUT: Final = 2
_INTERRUPTED: Final = 130
_NO_READER: Final = 141


class CliError(Exception):
    """Something that the user can put right; its message is the line that is shown."""


class Commands(TyperGroup):
    """The commands; whatever one raises becomes an exit code and at most one line."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command of ``args`` and exit."""
        _open_standard_streams()
        options["standalone_mode"] = False  # else typer itself draws errors, in boxes
        run = super().main
        sys.exit(_guarded(lambda: run(*args, **options)))


def report(message: str) -> None:
    """Write ``error: ...``, one line, to stderr, if there is one."""
    if sys.stderr is not None:
        try:
            print(f"error: {one_line(message)}", file=sys.stderr, flush=True)
        except OSError:
            _silence(sys.stderr)


def one_line(text: object) -> str:
    """``text`` without line breaks and control characters, which could drive a terminal."""
    joined = " ".join(str(text).split())
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in joined
    )


def _guarded(command: Callable[[], object]) -> int:
    try:
        code = _exit_code(command)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        return _NO_READER
    except OSError as error:
        _silence(sys.stdout)
        report(f"{error.filename or 'output'}: {error.strerror or error}")
        return BAD_INPUT
    return code


def _exit_code(command: Callable[[], object]) -> int:
    try:
        result = command()
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except (CliError, NeuroasyncError) as error:
        report(str(error))
        return BAD_INPUT
    except SystemExit as end:  # the parser's own way to say that stdout was closed
        raise BrokenPipeError from end
    except Exception as error:
        # Usage errors: their class has moved between versions of typer, their methods have not.
        if not hasattr(error, "format_message"):
            raise
        report(_usage(error.format_message()))
        return BAD_INPUT
    return result if type(result) is int else 0


def _usage(message: str) -> str:
    text = message.rstrip(".")
    return f"{text[:1].lower()}{text[1:]} (see --help)" if text else "no command (see --help)"


def _open_standard_streams() -> None:
    """Give 0, 1 and 2 a file if they were closed, lest an event loop gets them, and aborts."""
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _silence(stream: TextIO | None) -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail at its exit."""
    if stream is None:
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # no real file: a test's, or closed already
