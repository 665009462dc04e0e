"""``neuroasync encode``: a data set as a spike file."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import Coding, DataOption, DatasetName
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.tables import echo, key_value_table

if TYPE_CHECKING:
    from neuroasync.core.events.spike_train import SpikeTrains

__all__ = ["encode"]


class Part(StrEnum):
    """A part of the fixed split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SetArgument = Annotated[
    DatasetName,
    typer.Argument(
        metavar="NAME", show_default=False,
        help="digits, mnist: images; nmnist-small, spoken-digits, braille: recordings that ship, "
        "in part; nmnist, shd, dvs-gesture: read by Tonic (extra 'data'), need --data.",
    ),
]  # fmt: skip
CodingOption = Annotated[
    Coding | None,
    typer.Option(
        "--coding", show_default=False,
        help="For images. rate: in each of 10 timesteps a pixel spikes with the probability that "
        "its brightness is; latency: it spikes once, the brighter the earlier. Default: rate for "
        "digits, latency for mnist.",
    ),
]  # fmt: skip
PartOption = Annotated[
    Part,
    typer.Option(
        "--part",
        help="Of the fixed split: train and validation are the training file's, of which a fifth "
        "validates.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT.npz", show_default=False,
        help="Spike file to write. Default: NAME-PART.npz, or NAME-PART-CODING.npz, here.",
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
    """  # noqa: D301  # \b keeps the examples' lines
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
    about = [("written", path), ("samples", len(spikes)), ("events", f"{len(spikes.t_us):,}")]
    whose = [("data", loaded.title), ("credit", loaded.credit), ("licence", loaded.licence)]
    echo(key_value_table([*about, *whose]))
