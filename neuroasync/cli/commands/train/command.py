"""``neuroasync train``: train a network with one of the recipes."""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from neuroasync.cli.commands.train.messages import note_over_time, one_line_warnings, report
from neuroasync.cli.commands.train.options import (
    AllDataOption,
    BatchSizeOption,
    CheckpointOption,
    ConfigOption,
    DeviceOption,
    EpochsOption,
    FromOption,
    GroupSizeOption,
    InputDropoutOption,
    InputOption,
    KeepOption,
    LayeredEpochsOption,
    LearnOption,
    LearnPerOption,
    LossOption,
    LrOption,
    ModeFocusOption,
    ModesOption,
    OutputOption,
    PatienceOption,
    PenaltyOption,
    PenaltyTargetOption,
    RecipeName,
    RecipeOption,
    ResumeOption,
    SetArgument,
    ShiftOption,
    TimeJitterOption,
    TrainSeedOption,
    VoteWindowOption,
    vote_window_us,
)
from neuroasync.cli.commands.train.outputs import check_outputs, write_outputs
from neuroasync.cli.data_options import (
    CodingName,
    CodingOption,
    DataOption,
    DatasetName,
    TopologyOption,
    TrainFileOption,
    ValidationFileOption,
    check_user_files,
    user_files,
)
from neuroasync.cli.exit_codes import CliError, require_package
from neuroasync.cli.options import JsonOption
from neuroasync.cli.output import echo_json
from neuroasync.cli.progress import progress
from neuroasync.cli.tables import echo, key_value_table
from neuroasync.core.model.checks import at_path, did_you_mean, printable

if TYPE_CHECKING:
    from neuroasync.cli.commands.train.run_file import RunFile
    from neuroasync.core.formats.bundle import Bundle
    from neuroasync.datasets import Dataset
    from neuroasync.datasets.user_data import UserFiles
    from neuroasync.train.recipes import Recipe

__all__ = ["train"]

_KEYS: Final[Mapping[str, tuple[str, ...] | type]] = {
    "dataset": tuple(DatasetName), "train": str, "validation": str, "data": str,
    "coding": tuple(CodingName), "topology": str, "from": str, "recipe": tuple(RecipeName),
    "all_data": bool,
}  # fmt: skip
"""Keys of a configuration file, and their values."""


def train(
    recipe: RecipeOption = None,
    dataset: SetArgument = None,
    config: ConfigOption = None,
    start: FromOption = None,
    input: InputOption = None,  # noqa: A002  # names the option
    output: OutputOption = None,
    data: DataOption = None,
    coding: CodingOption = None,
    train: TrainFileOption = None,
    validation: ValidationFileOption = None,
    topology: TopologyOption = None,
    epochs: EpochsOption = None,
    layered_epochs: LayeredEpochsOption = None,
    modes: ModesOption = None,
    mode_focus: ModeFocusOption = None,
    keep: KeepOption = None,
    patience: PatienceOption = None,
    all_data: AllDataOption = None,
    batch_size: BatchSizeOption = None,
    lr: LrOption = None,
    loss: LossOption = None,
    vote_window: VoteWindowOption = None,
    learn: LearnOption = None,
    learn_per: LearnPerOption = None,
    penalty: PenaltyOption = None,
    penalty_target: PenaltyTargetOption = None,
    input_dropout: InputDropoutOption = None,
    shift: ShiftOption = None,
    time_jitter_us: TimeJitterOption = None,
    group_size: GroupSizeOption = None,
    seed: TrainSeedOption = None,
    checkpoint: CheckpointOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = None,
    json: JsonOption = False,
) -> None:
    """Train a network with a recipe, and write it as a bundle.

    \b
    Examples:
      neuroasync train digits --recipe unlayered-random -o mine.nab
      neuroasync train digits --recipe unlayered-any -o any.nab
      neuroasync train spoken-digits --recipe layered --checkpoint run.ckpt
      neuroasync train spoken-digits --recipe layered --checkpoint run.ckpt --resume
      neuroasync train digits --recipe unlayered-random --from mine.nab --epochs 4
      neuroasync train nmnist-small --recipe layered --topology \\
        "timestep_us=20000; input 2x34x34; conv1 c8k5s2; conv2 c16k3s2; output d10"
      neuroasync train --config mine.toml --lr 0.002 -o other.nab
      neuroasync train --train my.npz --recipe unlayered-random
      neuroasync train --train my.npz --recipe unlayered-random --topology \\
        "timestep_us=1000; input 64; hidden d32; output d10"

    After an interruption with Ctrl-C, --resume continues from the checkpoint. The result is the
    same to the bit as without the interruption.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.cli.commands.train.run_file import (
        RunFile,
        check_kept,
        check_utf8,
        read_run_file,
    )

    options = {
        "dataset": dataset, "train": train, "validation": validation, "data": data,
        "coding": coding, "topology": topology, "from": start, "recipe": recipe,
    }  # fmt: skip
    training = {
        "input": input, "epochs": epochs, "layered_epochs": layered_epochs,
        "modes": modes, "mode_focus": mode_focus, "keep": keep, "patience": patience,
        "batch_size": batch_size, "lr": lr,
        "learn": learn, "learn_per": learn_per, "loss": loss, "penalty": penalty,
        "penalty_target": penalty_target, "input_dropout": input_dropout, "shift": shift,
        "time_jitter_us": time_jitter_us, "group_size": group_size, "seed": seed, "device": device,
        "vote_window_us": vote_window_us(vote_window),
    }  # fmt: skip
    file = RunFile() if config is None else read_run_file(config, _KEYS)
    run = file.with_options({key: None if v is None else str(v) for key, v in options.items()})
    run = run.with_options({"all_data": all_data})
    files = _files(run)
    name, chosen = run.text("dataset") or "own", run.text("recipe")
    if chosen is None:
        raise CliError("train requires --recipe NAME, or a --config file with `recipe`")
    path = output or Path(f"{name}-{chosen}.nab")
    written = check_outputs(path, checkpoint, resume, run, config)
    given = {k: str(v) if isinstance(v, StrEnum) else v for k, v in training.items()}
    given = {k: v for k, v in given.items() if v is not None}
    check_kept(file, run, given, written)
    check_utf8(run)
    require_package("torch", "train", "training")
    with progress("training", 1) as advance, one_line_warnings():
        try:
            bundle, used = _train(
                run, files, given,
                checkpoint=checkpoint, resume=resume, on_batch=partial(report, advance),
            )  # fmt: skip
        except (ImportError, ValueError, FloatingPointError) as error:
            raise CliError(str(error)) from error
        except MemoryError as error:
            reason = f": {error}" if str(error) else ""  # Only NumPy says how much it needed.
            raise CliError(
                f"the memory is not enough for this training{reason}; use a longer timestep, "
                "shorter samples or a smaller --batch-size"
            ) from error
    write_outputs(bundle, path, used, written)
    if json:
        digest = bundle.digest.hex()
        meta = dict(bundle.meta)
        echo_json(
            {"written": str(path), "configuration": str(written), "sha256": digest, "meta": meta}
        )
        return
    summary = [
        ("written", path), ("configuration", written), ("sha256", bundle.digest.hex()),
    ]  # fmt: skip
    rest = [(key, value) for key, value in bundle.meta.items() if key != "topology"]
    echo(key_value_table([*summary, *rest]))
    if isinstance(text := bundle.meta.get("topology"), str):
        echo("", key_value_table([("topology", "")]), *text.replace("; ", "\n").splitlines())


def _files(run: "RunFile") -> "UserFiles | None":
    """Return the user's files, or None for a data set.

    Raises:
        CliError: The run names no samples, or options that exclude each other.
    """
    train, validation = run.text("train"), run.text("validation")
    files = user_files(
        None if train is None else Path(train),
        None if validation is None else Path(validation),
        None,
    )
    dataset, start, topology = run.text("dataset"), run.text("from"), run.text("topology")
    if start is not None and topology is not None:
        raise CliError("--from cannot be combined with --topology; it has a network already")
    check_user_files(files, dataset=dataset, data=run.text("data"))
    if files is None and dataset is None:
        raise CliError("train requires a DATASET, or --train FILE")
    if files is not None and run.text("coding") is not None:
        raise CliError(
            "--coding cannot be combined with --train; it is for the images of a DATASET"
        )
    return files


def _train(
    run: "RunFile", files: "UserFiles | None", training: Mapping[str, Any], **options: Any
) -> "tuple[Bundle, RunFile]":
    """Train, and return the bundle and the complete configuration of the run."""
    from neuroasync.core.formats.spike_file import read_spikes
    from neuroasync.core.model.topology import parse_topology
    from neuroasync.shipped import load_bundle
    from neuroasync.train.recipes import default_topology, for_labels_over_time
    from neuroasync.train.recipes.training import train_dataset

    source = run.text("from")
    if files is not None and source is None and run.text("topology") is None:
        run = run.with_options({"topology": default_topology(read_spikes(files.train))})
    start = None if source is None else load_bundle(source)
    recipe = _recipe(run, start, training)
    model = parse_topology(recipe.topology) if start is None else start.model
    dataset = _load(run) if files is None else files.load(model)
    over = dataset.train.labels_over_time
    given = {**run.training, **training}
    if over is not None and "loss" not in given:
        recipe = for_labels_over_time(recipe, over.every_us, model.timestep_us)
        kept = {key: value for key, value in given.items() if key in ("lr", "batch_size")}
        recipe = recipe.with_training(**kept)
        note_over_time(recipe.config)
    if start is not None:
        options["start"] = start
    if run.flag("all_data"):
        options["all_data"] = True
    bundle = train_dataset(dataset, recipe, name=run.text("recipe") or "", **options)
    return bundle, replace(run, training=asdict(recipe.config))


def _recipe(run: "RunFile", start: "Bundle | None", training: Mapping[str, Any]) -> "Recipe":
    """Return the recipe of the run, with the changes of its file and of the command line."""
    from neuroasync.train.recipes import (
        RECIPES,
        fine_tuning,
        for_input,
        recipes_for_bundle,
        recipes_for_topology,
    )

    name, dataset, topology = run.options["recipe"], run.text("dataset"), run.text("topology")
    if dataset is not None:
        recipes = RECIPES[dataset]
        if topology is not None:
            recipes = recipes_for_topology(topology, recipes["layered"].config)
    elif start is not None:
        recipes = recipes_for_bundle()
    else:
        recipes = recipes_for_topology(topology or "")
    chosen = recipes[RecipeName(str(name)).value]
    if start is not None:
        chosen = fine_tuning(chosen, start)
        given = {**run.training, **training}
        if given.get("loss") == "windowed" or "vote_window_us" in given:
            # The labels end a sample, not the duration in the bundle.
            chosen = chosen.with_training(duration_us=None)
    changed = _changed(chosen, run)
    mode = training.get("input")
    if mode == "queued" and changed.config.policy == "layer-sync":
        raise CliError(f"--input queued requires an unlayered recipe, got {name}")
    if mode is not None:
        changed = for_input(changed, mode)
    rest = {key: value for key, value in training.items() if key != "input"}
    if "vote_window_us" in rest:
        rest.setdefault("loss", "windowed")
    if "epochs" in rest and "layered_epochs" not in run.training:
        # The share is the recipe's: that of the file's epochs has been rounded.
        scaled = chosen.with_training(epochs=rest["epochs"])
        rest.setdefault("layered_epochs", scaled.config.layered_epochs)
    return changed.with_training(**rest)


def _changed(recipe: "Recipe", run: "RunFile") -> "Recipe":
    """Return the recipe with the fields of the file's table ``training``.

    Raises:
        CliError: A field is unknown or has a wrong value. The message names file and field.
    """
    names = [field.name for field in fields(recipe.config)]
    for key in run.training:
        if key not in names:
            path = f"training.{printable(key)}"
            hint = did_you_mean(key, names) or ";"
            raise CliError(
                f"{run.path!r}: `{path}` is an unknown key{hint} the keys are {', '.join(names)}"
            )
    try:
        return recipe.with_training(**run.training)
    except (ValueError, TypeError) as error:
        message = re.sub(r"\bNone\b", '"none"', at_path("training.", str(error)))
        raise CliError(f"{run.path!r}: {message}") from error


def _load(run: "RunFile") -> "Dataset":
    """Load a data set, encoded as often as its recipes need."""
    from neuroasync.datasets import load_dataset
    from neuroasync.train.recipes import ENCODINGS_PER_IMAGE

    name = run.text("dataset") or ""
    return load_dataset(
        name,
        data_dir=run.text("data"),
        coding=run.text("coding"),  # type: ignore[arg-type]  # one of the names of codings
        encodings_per_image=ENCODINGS_PER_IMAGE.get(name, 1),
    )
