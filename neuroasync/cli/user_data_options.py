"""Options for spike files and a network of the user's own, in the place of a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.exit_codes import CliError
from neuroasync.errors import DatasetError

if TYPE_CHECKING:
    from neuroasync.datasets.user_data import UserFiles

__all__ = [
    "TestFileOption",
    "TopologyOption",
    "TrainFileOption",
    "ValidationFileOption",
    "check_user_files",
    "user_files",
]

TrainFileOption = Annotated[
    Path | None,
    typer.Option(
        "--train", metavar="FILE", show_default=False,
        help="Spike file with labels to learn from. Default: a DATASET.",
    ),
]  # fmt: skip
ValidationFileOption = Annotated[
    Path | None,
    typer.Option(
        "--validation", metavar="FILE", show_default=False,
        help="Spike file with labels to choose by. Default: a fifth of --train.",
    ),
]  # fmt: skip
TestFileOption = Annotated[
    Path | None,
    typer.Option(
        "--test", metavar="FILE", show_default=False,
        help="Spike file with labels to measure on. Default: a DATASET.",
    ),
]  # fmt: skip
TopologyOption = Annotated[
    str | None,
    typer.Option(
        "--topology", metavar="TEXT", show_default=False,
        help="The network for --train: 'timestep_us=1000; input 64; hidden d32; output d10'; "
        "`python -c 'help(\"neuroasync.core.model.topology\")'` has the language. Decay and "
        "threshold are "
        "the recipe's, unless a population has its own. Default: the one for the DATASET.",
    ),
]  # fmt: skip


def user_files(
    train: Path | None, validation: Path | None, test: Path | None
) -> "UserFiles | None":
    """The files that are named; None if there are none.

    Raises:
        CliError: ``--train`` is missing, or one of the others is the same file.
    """
    if train is None and (validation is not None or test is not None):
        raise CliError("--validation, --test: expected --train FILE with them")
    if train is None:
        return None
    from neuroasync.datasets.user_data import UserFiles

    try:
        return UserFiles(
            train=str(train),
            validation=None if validation is None else str(validation),
            test=None if test is None else str(test),
        )
    except ValueError as error:  # a path with a null character, too
        raise CliError(f"--{error}" if isinstance(error, DatasetError) else str(error)) from error


def check_user_files(
    own: "UserFiles | None", topology: str | None, *, dataset: object, data: object
) -> None:
    """Raise CliError unless files of one's own come with a network, and with no data set.

    Args:
        own: the files, if there are any.
        topology: text of the network, if there is one.
        dataset: what the user said of data sets; nothing if it is false.
        data: their folder, or None.
    """
    if own is None and topology is not None:
        raise CliError("--topology: expected --train FILE with it")
    if own is not None and topology is None:
        raise CliError("--train: expected --topology TEXT with it")
    if own is not None and dataset:
        raise CliError("--train: expected no DATASET beside files of your own")
    if own is not None and data is not None:
        raise CliError("--data: goes with a DATASET, not with files of your own")
