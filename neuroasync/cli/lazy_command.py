"""Commands whose modules are imported when they are invoked."""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand

from neuroasync.cli.command_table import CommandEntry
from neuroasync.cli.interrupts import exit_on_interrupt
from neuroasync.core.compilation_log import show_compilation

__all__ = ["PARSER_OPTIONS", "LazyCommand"]

PARSER_OPTIONS: Final[dict[str, Any]] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    # Plain help can be searched and piped everywhere, and does not need rich.
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 100},
}
"""How the program and each command parse arguments and print help."""


class LazyCommand(TyperCommand):
    """A command of the table. Its options are declared in a module that is imported on demand.

    Attributes:
        given: Long names of the options that the user has given, such as ``--policy``.
    """

    def __init__(self, entry: CommandEntry) -> None:
        super().__init__(entry.name, help=entry.summary)
        self._entry = entry
        self.given: frozenset[str] = frozenset()

    def load(self) -> Any:
        """Import the command's module and return the command with all its options."""
        with exit_on_interrupt():
            function = getattr(import_module(self._entry.module), self._entry.function)
        app = typer.Typer(**PARSER_OPTIONS)
        app.command(self._entry.name)(function)
        return typer.main.get_command(app)

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Load the command and let it parse its arguments.

        The context that is returned refers to the loaded command, which is then invoked instead of
        this one.
        """
        command = self.load()
        context = command.make_context(*args, **options)
        self.given = frozenset(
            flag
            for parameter in command.params
            # The class of the source has moved between versions of typer.
            if getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
            for flag in parameter.opts
        )
        if context.resilient_parsing:  # The shell completes a word.
            return context
        show_compilation()
        # This import is slow. If the user asked for help or made a usage error, the process has
        # already ended in the line above.
        with exit_on_interrupt():
            import_module(self._entry.slowest_import)
        return context
