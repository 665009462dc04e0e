"""Options that say which data a command uses: a data set, or the user's spike files."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.exit_codes import CliError
from neuroasync.errors import DatasetError

if TYPE_CHECKING:
    from neuroasync.datasets.user_data import UserFiles

__all__ = [
    "CodingName",
    "CodingOption",
    "DataOption",
    "DatasetName",
    "TestFileOption",
    "TopologyOption",
    "TrainFileOption",
    "ValidationFileOption",
    "check_user_files",
    "user_files",
]


class CodingName(StrEnum):
    """The ways to encode a pixel's brightness as spikes."""

    RATE = "rate"
    LATENCY = "latency"
    CURRENT = "current"


# The names are repeated here, because importing ``neuroasync.datasets`` takes long and help needs
# only the names. A test compares them with ``DATASETS``.
class DatasetName(StrEnum):
    """The data sets that can be loaded by name."""

    DIGITS = "digits"
    MNIST = "mnist"
    FASHION_MNIST = "fashion-mnist"
    NMNIST_SMALL = "nmnist-small"
    SPOKEN_DIGITS = "spoken-digits"
    BRAILLE = "braille"
    NMNIST = "nmnist"
    SHD = "shd"
    DVS_GESTURE = "dvs-gesture"


CodingOption = Annotated[
    CodingName | None,
    typer.Option(
        "--coding", show_default=False,
        help="How images are encoded. rate: in each of 10 timesteps, a pixel spikes with a "
        "probability that equals its brightness, from 0 to 1; latency: a pixel spikes once, and a "
        "brighter pixel spikes earlier; current: in each timestep, a pixel that is not black gives "
        "an event with its brightness as the value. Default: rate for digits, latency for mnist "
        "and fashion-mnist.",
    ),
]  # fmt: skip
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", show_default=False,
        help="Folder with the files of the data set. Tonic downloads missing files into it. "
        "Default: the folder in the environment variable NEUROASYNC_DATA; if it is not set, the "
        "files that ship with neuroasync.",
    ),
]  # fmt: skip
TrainFileOption = Annotated[
    Path | None,
    typer.Option(
        "--train", metavar="FILE", show_default=False,
        help="Labelled spike file with training samples. Default: none; a DATASET is used.",
    ),
]  # fmt: skip
ValidationFileOption = Annotated[
    Path | None,
    typer.Option(
        "--validation", metavar="FILE", show_default=False,
        help="Labelled spike file with validation samples. Default: a fifth of the samples in "
        "--train, which are then not used for training.",
    ),
]  # fmt: skip
TestFileOption = Annotated[
    Path | None,
    typer.Option(
        "--test", metavar="FILE", show_default=False,
        help="Labelled spike file with test samples. Default: none; required with --train.",
    ),
]  # fmt: skip
TopologyOption = Annotated[
    str | None,
    typer.Option(
        "--topology", metavar="TEXT", show_default=False,
        help="Network to train, such as 'timestep_us=1000; input 64; hidden d32; "
        "output d10'; `python -m pydoc neuroasync.core.model.topology` explains the language. "
        "Populations without a decay or threshold use those of the recipe. The output votes more "
        "than once per timestep and all populations are connected to it, unless the text sets its "
        "`reset` or `refractory`, or has an arrow to it. Default: that of the DATASET; with "
        "--train, `study` requires one, and `train` uses three hidden populations of 64 neurons.",
    ),
]  # fmt: skip


def user_files(
    train: Path | None, validation: Path | None, test: Path | None
) -> "UserFiles | None":
    """Return the files that the options name, or None if they name no file.

    Raises:
        CliError: ``--train`` is missing, or another option names the same file.
    """
    if train is None and (validation is not None or test is not None):
        raise CliError("--validation and --test also require --train FILE")
    if train is None:
        return None
    from neuroasync.datasets.user_data import UserFiles

    try:
        return UserFiles(
            train=str(train),
            validation=None if validation is None else str(validation),
            test=None if test is None else str(test),
        )
    except ValueError as error:
        # A path with a null character raises a ValueError that is not a DatasetError and does not
        # start with the name of an option.
        raise CliError(f"--{error}" if isinstance(error, DatasetError) else str(error)) from error


def check_user_files(files: "UserFiles | None", *, dataset: object, data: object) -> None:
    """Raise CliError if the options name both files and a data set.

    Args:
        files: The user's files, or None.
        dataset: The data sets that the user named; false if there are none.
        data: Value of ``--data``, or None.
    """
    if files is not None and dataset:
        raise CliError("--train cannot be combined with a DATASET")
    if files is not None and data is not None:
        raise CliError("--data cannot be combined with --train; it is the folder of a DATASET")
