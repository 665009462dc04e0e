"""``neuroasync train``: train a network with one of the recipes."""

import importlib.util
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import (
    CodingName,
    DataOption,
    DatasetName,
    InputName,
    JsonOption,
    mode_of,
)
from neuroasync.cli.output import echo_json
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
    """The training recipes."""

    LAYERED_PAPER = "layered-paper"
    LAYERED = "layered"
    UNLAYERED_RANDOM = "unlayered-random"
    UNLAYERED_MOMENTUM = "unlayered-momentum"


class Device(StrEnum):
    """The devices that training can use."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


SetArgument = Annotated[
    DatasetName | None,
    typer.Argument(
        metavar="[DATASET]", show_default=False,
        help="Data set, see `neuroasync encode`. Default: none; --train is then required.",
    ),
]  # fmt: skip
RecipeOption = Annotated[
    RecipeName,
    typer.Option(
        "--recipe", show_default=False,
        help="layered-paper: train layer by layer, as in the paper; layered: train layer by layer, "
        "with membrane decay and a spike penalty; unlayered-random, unlayered-momentum: the same, "
        "followed by training in the order in which the network will run.",
    ),
]  # fmt: skip
InputOption = Annotated[
    InputName,
    typer.Option(
        "--input",
        help="Input mode that an unlayered recipe trains for. prioritised: a timestep's input is "
        "delivered first; queued: each input event waits among all other spikes.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT.nab", show_default=False,
        help="Bundle to write. Default: DATASET-RECIPE.nab in the current folder.",
    ),
]  # fmt: skip
CodingOption = Annotated[
    CodingName | None,
    typer.Option(
        "--coding", show_default=False,
        help="How the brightness of a pixel is encoded. rate: a brighter pixel spikes more often; "
        "latency: a brighter pixel spikes earlier. Default: rate for digits, latency for mnist.",
    ),
]  # fmt: skip
EpochsOption = Annotated[
    int | None,
    typer.Option(
        "--epochs", min=1, max=1_000_000, metavar="N", show_default=False,
        help="Number of passes over the training data. Default: as in the recipe.",
    ),
]  # fmt: skip
TrainSeedOption = Annotated[
    int,
    typer.Option(
        "--seed", min=0, max=2**64 - 1, metavar="S",
        help="Seed of the initial weights, the shuffling, the order keys and the dropout.",
    ),
]  # fmt: skip
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="FILE", show_default=False,
        help="File in which to save the state of the training after each epoch. Default: none.",
    ),
]  # fmt: skip
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Continue from the checkpoint, which must be of a training with the same "
        "options. Default: start from the beginning.",
    ),
]  # fmt: skip
DeviceOption = Annotated[
    Device,
    typer.Option("--device", help="Device to train on; auto uses a CUDA device if there is one."),
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
    json: JsonOption = False,
) -> None:
    """Train a network with a recipe, and write it as a bundle.

    \b
    Examples:
      neuroasync train digits --recipe unlayered-random -o mine.nab
      neuroasync train spoken-digits --recipe layered --checkpoint run.ckpt
      neuroasync train spoken-digits --recipe layered --checkpoint run.ckpt --resume
      neuroasync train --train my.npz --recipe unlayered-random --topology \\
        "timestep_us=1000; input 64; hidden d32; output d10"

    After an interruption with Ctrl-C, --resume continues from the checkpoint. The result is the
    same to the bit as without the interruption.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    files = user_files(train, validation, None)
    check_user_files(files, topology, dataset=dataset, data=data)
    _check_source(dataset, files, coding)
    name = "own" if dataset is None else dataset.value
    path = output or Path(f"{name}-{recipe.value}.nab")
    _check_outputs(path, checkpoint, resume)
    check_torch()
    from neuroasync.core.formats.bundle import write_bundle
    from neuroasync.train.recipes.training import train_dataset

    with progress("training", 1) as advance:
        try:
            chosen = _recipe(name, topology, recipe, input, {"seed": seed, "device": device.value})
            if epochs is not None:
                chosen = replace(chosen, config=replace(chosen.config, epochs=epochs))
            bundle = train_dataset(
                files.load(chosen.topology) if files is not None else _load(name, data, coding),
                chosen,
                name=recipe.value,
                checkpoint=checkpoint,
                resume=resume,
                on_batch=partial(_report, advance),
            )
        except (ImportError, ValueError, FloatingPointError) as error:
            raise CliError(str(error)) from error
    write_bundle(bundle, path)
    if json:
        digest = bundle.digest.hex()
        echo_json({"written": str(path), "sha256": digest, "meta": dict(bundle.meta)})
        return
    summary = [("written", path), ("sha256", bundle.digest.hex())]
    echo(key_value_table([*summary, *bundle.meta.items()]))


def _check_source(
    dataset: DatasetName | None, files: "UserFiles | None", coding: CodingName | None
) -> None:
    """Raise CliError unless the options name samples, and a coding only for a data set."""
    if files is None and dataset is None:
        raise CliError("train requires a DATASET, or --train FILE and --topology TEXT")
    if files is not None and coding is not None:
        raise CliError(
            "--coding cannot be combined with --train; it is for the images of a DATASET"
        )


def _check_outputs(path: Path, checkpoint: Path | None, resume: bool) -> None:
    """Raise CliError if a file cannot be written, before the training starts."""
    check_output(path)
    if checkpoint is not None:
        check_output(checkpoint, path)
    elif resume:
        raise CliError("--resume also requires --checkpoint FILE")


def check_torch() -> None:
    """Raise CliError unless torch is installed."""
    if importlib.util.find_spec("torch") is None:
        raise CliError("training needs torch: pip install 'neuroasync[train]'")


def _recipe(
    name: str, topology: str | None, recipe: RecipeName, mode: InputName, changes: dict[str, Any]
) -> "Recipe":
    """Return the recipe for a data set, or for the user's network if there is a topology."""
    from neuroasync.train.recipes import RECIPES, for_input, recipes_for_topology

    recipes = RECIPES[name] if topology is None else recipes_for_topology(topology)
    chosen = recipes[recipe.value]
    if mode is InputName.QUEUED and chosen.config.policy == "layer-sync":
        raise CliError(f"--input queued requires an unlayered recipe, got {recipe.value}")
    changed = replace(chosen, config=replace(chosen.config, **changes))
    return for_input(changed, mode_of(mode) or "prioritised")


def _load(name: str, data: Path | None, coding: CodingName | None) -> "Dataset":
    """Load a data set, encoded as often as its recipes need."""
    from neuroasync.datasets import load_dataset
    from neuroasync.train.recipes import ENCODINGS_PER_IMAGE

    return load_dataset(
        name,
        data_dir=data,
        coding=None if coding is None else coding.value,
        encodings_per_image=ENCODINGS_PER_IMAGE.get(name, 1),
    )


def _report(advance: ProgressCallback, batch: "BatchResult", epochs: int) -> None:
    """Show the progress of the training after a batch."""
    note = (
        f"epoch {batch.epoch + 1}/{epochs}, loss {batch.loss:.3f}, accuracy {batch.accuracy:.0%}, "
        f"{batch.spikes:.0f} spikes per sample"
    )
    advance(batch.epoch * batch.batches + batch.batch + 1, note, epochs * batch.batches)
