"""``neuroasync encode``: a data set as a spike file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from neuroasync.cli.guard import CliError
from neuroasync.cli.options import Coding, DatasetArgument
from neuroasync.cli.output import facts, say
from neuroasync.cli.paths import check_output
from neuroasync.datasets import load_digits
from neuroasync.spike_file import write_spikes
from neuroasync.spikes import SpikeTrains

__all__ = ["encode"]


class Part(StrEnum):
    """A part of the fixed split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


CodingOption = Annotated[
    Coding,
    typer.Option(
        "--coding",
        help="rate: in each of 10 timesteps a pixel spikes with probability value / 16; "
        "latency: it spikes once, the brighter the earlier.",
    ),
]
PartOption = Annotated[
    Part,
    typer.Option(
        "--part", help="Of the fixed split: 1,197 to train, 240 to validate, 360 to test."
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT.npz", show_default=False,
        help="Spike file to write. Default: digits-PART-CODING.npz, here.",
    ),
]  # fmt: skip


def encode(
    dataset: DatasetArgument,
    coding: CodingOption = Coding.RATE,
    part: PartOption = Part.TEST,
    output: OutputOption = None,
) -> None:
    """Encode a data set as a spike file for `neuroasync run`.

    \b
    Example:
      neuroasync encode digits --coding rate --part test -o digits-test-rate.npz

    The same command writes the same bytes on every machine. Needs scikit-learn, which ships
    the images: install neuroasync with its extra 'data'
    """  # noqa: D301  # \b keeps the example's lines
    path = output or Path(f"{dataset.value}-{part.value}-{coding.value}.npz")
    check_output(path)
    try:
        digits = load_digits(coding.value)
    except ImportError as error:
        raise CliError(str(error)) from error
    spikes: SpikeTrains = getattr(digits, part.value)
    write_spikes(spikes, path)
    say(facts([("written", path), ("samples", len(spikes)), ("events", f"{len(spikes.t_us):,}")]))
