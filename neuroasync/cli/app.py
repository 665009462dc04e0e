"""The commands, put together."""

from typing import Annotated

import typer

from neuroasync import __version__
from neuroasync.cli.commands.calibrate import calibrate
from neuroasync.cli.commands.demo.command import demo
from neuroasync.cli.commands.encode import encode
from neuroasync.cli.commands.explain import explain
from neuroasync.cli.commands.inspect import inspect
from neuroasync.cli.commands.replay import replay
from neuroasync.cli.commands.run import run
from neuroasync.cli.commands.serve import serve
from neuroasync.cli.commands.study import study
from neuroasync.cli.commands.train import train
from neuroasync.cli.commands.verify import verify
from neuroasync.cli.exit_codes import Commands
from neuroasync.cli.output import say

__all__ = ["app", "main"]

app = typer.Typer(
    name="neuroasync",
    cls=Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it can be read, searched and piped everywhere
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    demo, study, run, serve, train, calibrate, encode, inspect, verify, replay, explain,
):  # fmt: skip
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        say(f"neuroasync {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Show the version, and end."
    ),
]


@app.callback()
def commands(_version: VersionOption = False) -> None:
    """Spiking neural networks without layer synchronization, in an asyncio event loop.

    \b
    First look:
      neuroasync demo
    What asynchrony does to trained networks, measured:
      neuroasync study --quick
    A network of your own:
      neuroasync train digits --recipe unlayered-random -o mine.nab
      neuroasync encode digits --part test -o test.npz
      neuroasync run mine.nab test.npz --policy momentum --until "margin(3)"

    Exit codes: 0 done; 1 a golden sample or a replay gives other spikes; 2 bad input, with one
    line `error: ...` on stderr; 130 interrupted.
    """  # noqa: D301  # \b keeps the examples' lines


def main() -> None:
    """Run the command line, and exit."""
    app()
