"""The command line, ``neuroasync``.

Importing this package loads nothing that takes long. :func:`main` then loads the parser, and a
command's own modules are loaded once that command is invoked.
"""

from neuroasync.cli.interrupts import exit_on_interrupt

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    with exit_on_interrupt():
        from typer.main import get_command

        from neuroasync.cli.app import app

        command = get_command(app)
    command()
