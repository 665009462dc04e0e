"""How a command ends: its exit code, and at most one line about an error.

::

    0    success
    1    a check failed: a golden sample, or a replay, gives other spikes
    2    bad input: one line ``error: ...`` on stderr
    130  interrupted by Ctrl-C
    141  the reader of stdout went away (a closed pipe)
"""

import io
import os
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final, TextIO

import typer
from typer.core import TyperGroup

from neuroasync.cli.command_table import COMMANDS
from neuroasync.cli.interrupts import INTERRUPTED
from neuroasync.cli.lazy_command import LazyCommand
from neuroasync.cli.output import ASCII_ERRORS, one_line
from neuroasync.core.model.checks import did_you_mean
from neuroasync.errors import NeuroasyncError

__all__ = [
    "BAD_INPUT",
    "CHECK_FAILED",
    "CliError",
    "Commands",
    "report_error",
    "report_line",
    "require_package",
    "require_packages",
]

CHECK_FAILED: Final = 1
BAD_INPUT: Final = 2
_BROKEN_PIPE: Final = 141  # 128 and the number of SIGPIPE, as in a shell

# New versions of typer check values with pydantic, whose words mean little on a command line.
_PARSER_WORDS: Final = (
    (r"Value error, ", ""),
    (r"Input should be", "must be"),
    (r"(an?) valid (integer|number), unable to parse string as (an?) \w+", r"\3 \2"),
    (r"unable to parse input string as (an?) \w+, exceeded maximum size", "it has too many digits"),
    (r"must be a finite number", "must be finite"),
    (r"greater than or equal to", "at least"),
    (r"less than or equal to", "at most"),
)


class CliError(Exception):
    """An error that the user can correct. Its message is the line that is shown."""


def require_package(name: str, extra: str, purpose: str) -> None:
    """Raise CliError unless a package is installed.

    Args:
        name: Name of the package.
        extra: The extra that installs it.
        purpose: What needs it, for the error.
    """
    require_packages((name, extra, purpose))


def require_packages(*needs: tuple[str, str, str]) -> None:
    """Raise CliError, which names all that is missing, unless all packages are installed.

    Args:
        *needs: For each package its name, its extra and what needs it, as for ``require_package``.
    """
    missing = [need for need in needs if find_spec(need[0]) is None]
    if missing:
        names = ", ".join(f"{purpose} needs {name}" for name, _, purpose in missing)
        extras = ",".join(dict.fromkeys(extra for _, extra, _ in missing))
        raise CliError(f"{names}: pip install 'neuroasync[{extras}]'")


class Commands(TyperGroup):
    """The group of all commands. Any error becomes an exit code and at most one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for entry in COMMANDS:
            self.add_command(LazyCommand(entry))

    def parse_args(self, context: Any, args: list[str]) -> list[str]:
        """Parse the arguments. ``help COMMAND`` means ``COMMAND --help``."""
        for parameter in self.params:
            if parameter.name in ("install_completion", "show_completion"):
                parameter.default = False  # for the reason in get_help_option
        if args[:1] == ["help"]:
            command = [name for name in args[1:2] if name != "help"]
            args = [*command, "--help", *args[2:]]
        return super().parse_args(context, args)

    def invoke(self, context: Any) -> Any:
        """Run the command. An error about an argument of a function names the option instead.

        Only the first word is replaced: errors in files begin with the name of the file, and may
        be about an entry that has the name of an option.
        """
        try:
            return super().invoke(context)
        except (CliError, NeuroasyncError) as error:
            command = self.commands.get(context.invoked_subcommand)
            match = re.match(r"`([\w-]+?)(_us)?`", str(error))
            if match is None or not isinstance(command, LazyCommand):
                raise
            # Durations have no unit in their option, but a text such as 50ms.
            for name in (match[1] + (match[2] or ""), match[1]):
                option = f"--{name.lstrip('-').replace('_', '-')}"
                if option in command.given:
                    raise CliError(f"{option}{str(error)[match.end() :]}") from error
            raise

    def get_help_option(self, *args: Any) -> Any:
        """Return the option ``--help``."""
        option = super().get_help_option(*args)
        if option is not None:
            # Without a default, typer loads pydantic to check that no value is a bool, which would
            # double the time until an error about an unknown command.
            option.default = False
        return option

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command that ``args`` names, and exit."""
        _open_standard_streams()
        _replace_missing_characters()
        # In standalone mode, typer would print errors itself, in boxes.
        options["standalone_mode"] = False
        run = super().main
        sys.exit(_run_and_flush(lambda: run(*args, **options)))


def report_error(message: str) -> None:
    """Write one line ``error: ...`` to stderr, if the process has a stderr."""
    report_line(f"error: {message}")


def report_line(message: str) -> None:
    """Write one line to stderr, if the process has a stderr."""
    if sys.stderr is not None:
        try:
            print(one_line(message), file=sys.stderr, flush=True)
        except OSError:
            _discard_buffer(sys.stderr)


def _run_and_flush(command: Callable[[], object]) -> int:
    """Run the command, flush stdout and return the exit code."""
    try:
        code = _exit_code(command)
        # A full disk or a closed pipe may show only now.
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_buffer(sys.stdout)
        return _BROKEN_PIPE
    except OSError as error:
        _discard_buffer(sys.stdout)
        report_error(f"{error.filename or 'output'}: {error.strerror or error}")
        return BAD_INPUT
    return code


def _exit_code(command: Callable[[], object]) -> int:
    try:
        result = command()
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (CliError, NeuroasyncError) as error:
        report_error(str(error))
        return BAD_INPUT
    except SystemExit as end:
        # The parser exits by itself after it has completed a word or installed the completion, and
        # if stdout is a closed pipe.
        if not end.code:
            return 0
        raise BrokenPipeError from end
    except Exception as error:
        # The class of usage errors has moved between versions of typer; this method has not.
        if not hasattr(error, "format_message"):
            raise
        report_error(_usage_message(error.format_message()))
        return BAD_INPUT
    return result if type(result) is int else 0


def _usage_message(message: str) -> str:
    """Return a message of the parser in our own words: lower case, without a full stop."""
    for pattern, replacement in _PARSER_WORDS:
        message = re.sub(pattern, replacement, message)
    text = message.rstrip(".")
    if match := re.search(r"(?:^|: )'([^']*)' is not one of (.*)", text):
        names = re.findall(r"'([^']*)'", match[2])
        text = f"{text}{did_you_mean(match[1], names)}"
    return f"{text[:1].lower()}{text[1:]} (see --help)" if text else "missing command (see --help)"


def _open_standard_streams() -> None:
    """Open the null device in the place of a closed stdin, stdout or stderr.

    An event loop would otherwise be given the free file descriptor 0, 1 or 2, and abort.
    """
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # This takes the lowest free number: ``handle``.


def _replace_missing_characters() -> None:
    """Let stdout and stderr write similar ASCII for characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ASCII_ERRORS)


def _discard_buffer(stream: TextIO | None) -> None:
    """Redirect the stream to the null device, so that its buffer cannot fail at exit."""
    if stream is None:
        return
    try:
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, stream.fileno())
        os.close(null_device)
    except (OSError, ValueError):
        pass  # The stream is no real file (in a test), or is closed already.
