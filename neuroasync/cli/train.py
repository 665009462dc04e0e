"""``neuroasync train``: train a network by one of the recipes."""

import importlib.util
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from neuroasync.bundle import Bundle, write_bundle
from neuroasync.cli.guard import CliError
from neuroasync.cli.options import Coding, DatasetArgument
from neuroasync.cli.output import Ticker, facts, progress, say
from neuroasync.cli.paths import check_output

__all__ = ["train"]


class Recipe(StrEnum):
    """How a network is trained."""

    LAYERED_PAPER = "layered-paper"
    LAYERED = "layered"
    UNLAYERED = "unlayered"
    QUEUED = "queued"


class Device(StrEnum):
    """Where the training runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


RecipeOption = Annotated[
    Recipe,
    typer.Option(
        "--recipe", show_default=False,
        help="layered-paper: layer by layer, as in the paper; layered: layer by layer, with "
        "memory and a spike penalty; unlayered: the same, then in the order it runs in; "
        "queued: for input that waits with all other spikes.",
    ),
]  # fmt: skip
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT.nab", show_default=False,
        help="Bundle to write. Default: digits-RECIPE.nab, here.",
    ),
]  # fmt: skip
CodingOption = Annotated[
    Coding,
    typer.Option(
        "--coding",
        help="How a pixel becomes spikes: more often (rate) or earlier (latency), the brighter "
        "it is.",
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(
        "--epochs", min=1, max=1_000_000, metavar="N", show_default=False,
        help="Passes over the training data. Default: the recipe's.",
    ),
]  # fmt: skip
TrainSeedOption = Annotated[
    int,
    typer.Option(
        "--seed", min=0, max=2**64 - 1, metavar="S",
        help="Of first weights, shuffling, orders and dropout.",
    ),
]  # fmt: skip
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="FILE", show_default=False,
        help="Save the training here after each epoch. Default: nowhere.",
    ),
]  # fmt: skip
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on from the checkpoint, which must be of the same training. "
        "Default: start anew.",
    ),
]  # fmt: skip
DeviceOption = Annotated[
    Device,
    typer.Option("--device", help="Where to train; auto takes a CUDA device if there is one."),
]


def train(
    dataset: DatasetArgument,
    recipe: RecipeOption,
    output: OutputOption = None,
    coding: CodingOption = Coding.RATE,
    epochs: EpochsOption = None,
    seed: TrainSeedOption = 0,
    checkpoint: CheckpointOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Train a network by a recipe, and write it as a bundle.

    \b
    Examples:
      neuroasync train digits --recipe unlayered -o mine.nab
      neuroasync train digits --recipe queued --checkpoint run.ckpt
      neuroasync train digits --recipe queued --checkpoint run.ckpt --resume

    After Ctrl-C, --resume goes on from the checkpoint and ends with the same bits.
    """  # noqa: D301  # \b keeps the examples' lines
    path = output or Path(f"{dataset.value}-{recipe.value}.nab")
    check_output(path)
    if checkpoint is not None:
        check_output(checkpoint, path)
    elif resume:
        raise CliError("--resume: expected a --checkpoint FILE to go on from")
    train_digits = _trainer()
    with progress("training", 1) as tick:
        try:
            bundle = train_digits(
                recipe.value, coding=coding.value, epochs=epochs, seed=seed,
                checkpoint=checkpoint, resume=resume, device=device.value,
                on_progress=_shown_on(tick),
            )  # fmt: skip
        except (ImportError, ValueError, FloatingPointError) as error:
            raise CliError(str(error)) from error
    write_bundle(bundle, path)
    about = [("written", path), ("digest (sha256)", bundle.digest.hex())]
    say(facts([*about, *bundle.meta.items()]))


def _trainer() -> Callable[..., Bundle]:
    """The recipes; they import torch."""
    if importlib.util.find_spec("torch") is None:
        raise CliError("training needs torch: install neuroasync with its extra 'train'")
    from neuroasync.train.recipes import train_digits

    return train_digits


def _shown_on(tick: Ticker) -> Callable[..., None]:
    def on_progress(
        epoch: int,
        epochs: int,
        batch: int,
        batches: int,
        loss: float,
        accuracy: float,
        spikes_per_sample: float,
    ) -> None:
        note = (
            f"epoch {epoch + 1}/{epochs}, loss {loss:.3f}, accuracy {accuracy:.0%}, "
            f"{spikes_per_sample:.0f} spikes a sample"
        )
        tick(epoch * batches + batch + 1, note, epochs * batches)

    return on_progress
