"""``neuroasync encode``: write a data set as a spike file."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import CodingName, DataOption, DatasetName
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.tables import echo, key_value_table

if TYPE_CHECKING:
    from neuroasync.core.events.spike_train import SpikeTrains

__all__ = ["encode"]


class Part(StrEnum):
    """The parts of a data set."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SetArgument = Annotated[
    DatasetName,
    typer.Argument(
        metavar="NAME", show_default=False,
        help="digits, mnist: images; nmnist-small, spoken-digits, braille: recordings. These ship "
        "with neuroasync, complete or in part. nmnist, shd, dvs-gesture: recordings that Tonic "
        "reads (extra 'data'); they require --data.",
    ),
]  # fmt: skip
CodingOption = Annotated[
    CodingName | None,
    typer.Option(
        "--coding", show_default=False,
        help="How images are encoded. rate: in each of 10 timesteps, a pixel spikes with a "
        "probability that equals its brightness, from 0 to 1; latency: a pixel spikes once, and a "
        "brighter pixel spikes earlier. Default: rate for digits, latency for mnist.",
    ),
]  # fmt: skip
PartOption = Annotated[
    Part,
    typer.Option(
        "--part",
        help="Part of the data set. The split is fixed: validation is a fifth of the training "
        "data, and train is the rest.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT.npz", show_default=False,
        help="Spike file to write. Default: NAME-PART.npz, or NAME-PART-CODING.npz if "
        "--coding is given, in the current folder.",
    ),
]  # fmt: skip


def encode(
    dataset: SetArgument,
    data: DataOption = None,
    coding: CodingOption = None,
    part: PartOption = Part.TEST,
    output: OutputOption = None,
) -> None:
    """Write a part of a data set as a spike file, for `run`.

    \b
    Examples:
      neuroasync encode digits --coding rate --part test -o digits-test-rate.npz
      neuroasync encode spoken-digits --part validation
      neuroasync encode nmnist --data ~/tonic --part test

    The same command writes the same bytes on every machine.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.core.formats.spike_file import write_spikes
    from neuroasync.datasets import load_dataset

    suffix = "" if coding is None else f"-{coding.value}"
    path = output or Path(f"{dataset.value}-{part.value}{suffix}.npz")
    check_output(path)
    try:
        loaded = load_dataset(
            dataset.value, data_dir=data, coding=None if coding is None else coding.value
        )
        spikes: SpikeTrains = getattr(loaded, part.value)
    except (ImportError, ValueError) as error:
        raise CliError(str(error)) from error
    write_spikes(spikes, path)
    summary = [("written", path), ("samples", len(spikes)), ("events", f"{len(spikes.t_us):,}")]
    source = [("data", loaded.title), ("credit", loaded.credit), ("licence", loaded.licence)]
    echo(key_value_table([*summary, *source]))
