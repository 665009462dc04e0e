"""The program: the options before a command, and the group of commands."""

from typing import Annotated

import typer

from neuroasync import __version__
from neuroasync.cli.exit_codes import Commands
from neuroasync.cli.lazy_command import PARSER_OPTIONS

__all__ = ["app"]

app = typer.Typer(
    name="neuroasync",
    cls=Commands,
    invoke_without_command=True,
    **(PARSER_OPTIONS | {"add_completion": True}),
)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"neuroasync {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]


@app.callback()
def program(context: typer.Context, _version: VersionOption = False) -> None:
    """Run spiking neural networks without layer synchronization, in an asyncio event loop.

    \b
    A first look:
      neuroasync demo
      neuroasync run unlayered digits --policy momentum --until "margin(3)"
    Watch the networks in a browser (needs the extra 'serve'):
      neuroasync serve
    Train a network, or measure what asynchrony does (needs the extra 'train'):
      neuroasync train digits --recipe unlayered-random -o mine.nab
      neuroasync study --quick
    Complete commands, options and names of networks with the Tab key:
      neuroasync --install-completion

    Exit codes: 0 success; 1 a golden sample or a replay gives other spikes; 2 bad input, with one
    line `error: ...` on stderr; 130 interrupted by Ctrl-C; 141 the reader of stdout went away.
    """  # noqa: D301  # \b keeps the line breaks of the examples.
    if context.invoked_subcommand is None:
        print(context.get_help())
