"""``neuroasync train``: train a network by one of the recipes."""

import importlib.util
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import Coding, DataOption, DatasetName, InputName, mode_of
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.progress import ProgressCallback, progress
from neuroasync.cli.tables import echo, key_value_table
from neuroasync.cli.user_data_options import (
    TopologyOption,
    TrainFileOption,
    ValidationFileOption,
    check_user_files,
    user_files,
)

if TYPE_CHECKING:
    from neuroasync.datasets import Dataset
    from neuroasync.datasets.user_data import UserFiles
    from neuroasync.train import BatchResult
    from neuroasync.train.recipes import Recipe

__all__ = ["check_torch", "train"]


class RecipeName(StrEnum):
    """How a network is trained."""

    LAYERED_PAPER = "layered-paper"
    LAYERED = "layered"
    UNLAYERED_RANDOM = "unlayered-random"
    UNLAYERED_MOMENTUM = "unlayered-momentum"


class Device(StrEnum):
    """Where the training runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


SetArgument = Annotated[
    DatasetName | None,
    typer.Argument(
        metavar="[DATASET]", show_default=False,
        help="One of the data sets, see `neuroasync encode`. Default: files of your own, --train.",
    ),
]  # fmt: skip
RecipeOption = Annotated[
    RecipeName,
    typer.Option(
        "--recipe", show_default=False,
        help="layered-paper: layer by layer, as in the paper; layered: layer by layer, with "
        "memory and a spike penalty; unlayered-random, unlayered-momentum: the same, then in "
        "the order it runs in.",
    ),
]  # fmt: skip
InputOption = Annotated[
    InputName,
    typer.Option(
        "--input",
        help="What an unlayered recipe trains for. prioritised: a timestep's input goes first; "
        "queued: it waits with all other spikes.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT.nab", show_default=False,
        help="Bundle to write. Default: DATASET-RECIPE.nab, here.",
    ),
]  # fmt: skip
CodingOption = Annotated[
    Coding | None,
    typer.Option(
        "--coding", show_default=False,
        help="How a pixel becomes spikes: more often (rate) or earlier (latency), the brighter "
        "it is. Default: rate for digits, latency for mnist.",
    ),
]  # fmt: skip
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
    recipe: RecipeOption,
    dataset: SetArgument = None,
    input: InputOption = InputName.PRIORITISED,  # noqa: A002  # names the option
    output: OutputOption = None,
    data: DataOption = None,
    coding: CodingOption = None,
    train: TrainFileOption = None,
    validation: ValidationFileOption = None,
    topology: TopologyOption = None,
    epochs: EpochsOption = None,
    seed: TrainSeedOption = 0,
    checkpoint: CheckpointOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Train a network by a recipe, and write it as a bundle.

    \b
    Examples:
      neuroasync train digits --recipe unlayered-random -o mine.nab
      neuroasync train spoken-digits --recipe layered --checkpoint run.ckpt
      neuroasync train spoken-digits --recipe layered --checkpoint run.ckpt --resume
      neuroasync train --train my.npz --recipe unlayered-random --topology \\
        "timestep_us=1000; input 64; hidden d32; output d10"

    After Ctrl-C, --resume goes on from the checkpoint and ends with the same bits.
    """  # noqa: D301  # \b keeps the examples' lines
    own = user_files(train, validation, None)
    check_user_files(own, topology, dataset=dataset, data=data)
    _check_source(dataset, own, coding)
    name = "own" if dataset is None else dataset.value
    path = output or Path(f"{name}-{recipe.value}.nab")
    _check_files(path, checkpoint, resume)
    check_torch()
    from neuroasync.core.formats.bundle import write_bundle
    from neuroasync.train.recipe_training import train_dataset

    with progress("training", 1) as advance:
        try:
            made_by = _recipe(name, topology, recipe, input, {"seed": seed, "device": device.value})
            if epochs is not None:
                made_by = replace(made_by, config=replace(made_by.config, epochs=epochs))
            bundle = train_dataset(
                own.load(made_by.topology) if own is not None else _load(name, data, coding),
                made_by,
                name=recipe.value,
                checkpoint=checkpoint,
                resume=resume,
                on_batch=partial(_show, advance),
            )
        except (ImportError, ValueError, FloatingPointError) as error:
            raise CliError(str(error)) from error
    write_bundle(bundle, path)
    about = [("written", path), ("digest (sha256)", bundle.digest.hex())]
    echo(key_value_table([*about, *bundle.meta.items()]))


def _check_source(
    dataset: DatasetName | None, own: "UserFiles | None", coding: Coding | None
) -> None:
    """Raise CliError unless there is something to train on, and a coding only for images."""
    if own is None and dataset is None:
        raise CliError("expected a DATASET, or --train FILE and --topology TEXT")
    if own is not None and coding is not None:
        raise CliError("--coding: goes with a DATASET, not with files of your own")


def _check_files(path: Path, checkpoint: Path | None, resume: bool) -> None:
    """Raise CliError if what is to be written can surely not be."""
    check_output(path)
    if checkpoint is not None:
        check_output(checkpoint, path)
    elif resume:
        raise CliError("--resume: expected a --checkpoint FILE to go on from")


def check_torch() -> None:
    """Raise CliError unless torch is installed."""
    if importlib.util.find_spec("torch") is None:
        raise CliError("training needs torch: install neuroasync with its extra 'train'")


def _recipe(
    name: str, topology: str | None, recipe: RecipeName, mode: InputName, changes: dict[str, Any]
) -> "Recipe":
    """The recipe of that name for a data set, or for a network of one's own."""
    from neuroasync.train.recipes import RECIPES, for_input, recipes_for_topology

    recipes = RECIPES[name] if topology is None else recipes_for_topology(topology)
    chosen = recipes[recipe.value]
    if mode is InputName.QUEUED and chosen.config.policy == "layer-sync":
        raise CliError(f"--input queued: goes with an unlayered recipe, not with {recipe.value}")
    changed = replace(chosen, config=replace(chosen.config, **changes))
    return for_input(changed, mode_of(mode) or "prioritised")


def _load(name: str, data: Path | None, coding: Coding | None) -> "Dataset":
    from neuroasync.datasets import load_dataset
    from neuroasync.train.recipes import ENCODINGS_PER_IMAGE

    return load_dataset(
        name,
        data_dir=data,
        coding=None if coding is None else coding.value,
        encodings_per_image=ENCODINGS_PER_IMAGE.get(name, 1),
    )


def _show(advance: ProgressCallback, batch: "BatchResult", epochs: int) -> None:
    note = (
        f"epoch {batch.epoch + 1}/{epochs}, loss {batch.loss:.3f}, accuracy {batch.accuracy:.0%}, "
        f"{batch.spikes:.0f} spikes a sample"
    )
    advance(batch.epoch * batch.batches + batch.batch + 1, note, epochs * batch.batches)
