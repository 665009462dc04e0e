"""``neuroasync encode``: write a data set or a recording as a spike file."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync.cli.data_options import CodingName, CodingOption, DataOption, DatasetName
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import (
    JsonOption,
    SensorOption,
    ViewOption,
    output_option,
    sensor_of,
    sizes_of,
    view_of,
)
from neuroasync.cli.output import echo_json
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.tables import echo, key_value_table

if TYPE_CHECKING:
    from neuroasync.core.events.spike_trains import SpikeTrains

__all__ = ["encode"]


class Part(StrEnum):
    """The parts of a data set."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SetArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME|RECORDING", show_default=False,
        help="A data set, or the file of a camera recording. digits, mnist, fashion-mnist: images; "
        "nmnist-small, spoken-digits, braille: recordings. These ship with neuroasync, complete or "
        "in part. nmnist, shd, dvs-gesture: recordings that Tonic reads (extra 'data'); they "
        "require --data.",
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
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window", metavar="TIME", show_default=False,
        help="Cut a recording into samples of this length. Default: 50ms.",
    ),
]  # fmt: skip
ShapeOption = Annotated[
    str | None,
    typer.Option(
        "--shape", metavar="2xHxW", show_default=False,
        help="Input shape of the network that a recording is for, such as 2x34x34, as "
        "`neuroasync inspect` shows it; 1xHxW ignores the polarity. A recording requires it. "
        "Default: none.",
    ),
]  # fmt: skip
OutputOption = Annotated[
    Path | None,
    output_option(
        "OUT.npz",
        "Spike file to write. Default: NAME-PART.npz, NAME-PART-CODING.npz if --coding is "
        "given, or the name of the recording with .npz, in the current folder.",
    ),
]


def encode(
    dataset: SetArgument,
    data: DataOption = None,
    coding: CodingOption = None,
    part: PartOption = Part.TEST,
    window: WindowOption = None,
    shape: ShapeOption = None,
    view: ViewOption = None,
    sensor: SensorOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
) -> None:
    """Write a data set or a recording as a spike file, for `run`.

    \b
    Examples:
      neuroasync encode digits --coding rate --part test -o digits-test-rate.npz
      neuroasync encode spoken-digits --part validation
      neuroasync encode nmnist --data ~/tonic --part test
      neuroasync encode recording.raw --window 50ms --shape 2x34x34

    The same command writes the same bytes on every machine.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.core.formats.spike_file import write_spikes

    options = {"--window": window, "--shape": shape, "--view": view, "--sensor": sensor}
    try:
        if dataset in tuple(DatasetName):
            _refuse(options, "a recording")
            name = DatasetName(dataset)
            suffix = "" if coding is None else f"-{coding.value}"
            path = output or Path(f"{name.value}-{part.value}{suffix}.npz")
            check_output(path)
            spikes, about = _encode_dataset(name, part, data, coding)
        else:
            _check_file(dataset)
            _refuse({"--data": data, "--coding": coding}, "a data set")
            path = output or Path(f"{Path(dataset).stem}.npz")
            check_output(path, dataset)
            spikes, about = _encode_recording(Path(dataset), window or "50ms", shape, view, sensor)
    except (ImportError, ValueError) as error:
        raise CliError(str(error)) from error
    write_spikes(spikes, path)
    if json:
        counts = {"samples": len(spikes), "events": len(spikes.t_us)}
        echo_json({"written": str(path), **counts, "about": dict(about)})
        return
    summary = [("written", path), ("samples", len(spikes)), ("events", f"{len(spikes.t_us):,}")]
    echo(key_value_table([*summary, *about]))


def _encode_dataset(
    name: DatasetName, part: Part, data: Path | None, coding: CodingName | None
) -> "tuple[SpikeTrains, list[tuple[str, object]]]":
    """Return a part of a data set, and lines about its origin."""
    from neuroasync.datasets import load_dataset

    loaded = load_dataset(
        name.value, data_dir=data, coding=None if coding is None else coding.value
    )
    spikes: SpikeTrains = getattr(loaded, part.value)
    return spikes, [("data", loaded.title), ("credit", loaded.credit), ("licence", loaded.licence)]


def _encode_recording(
    path: Path, window: str, shape: str | None, view: str | None, sensor: str | None
) -> "tuple[SpikeTrains, list[tuple[str, object]]]":
    """Return the windows of a recording, and lines about what was moved or left out."""
    from neuroasync.cli.commands.watch.display import Losses
    from neuroasync.cli.commands.watch.recording_windows import recording_windows
    from neuroasync.core.durations import microseconds
    from neuroasync.runtime.counts import Counts

    if shape is None:
        raise CliError(
            "--shape is required for a recording: the input shape of the network, such as 2x34x34; "
            "`neuroasync inspect NETWORK` shows it"
        )
    sizes = sizes_of("--shape", shape, "2x34x34")
    window_us = microseconds(window, "--window", 1)
    spikes, counts = recording_windows(path, sizes, window_us, view_of(view), sensor_of(sensor))
    losses = str(Losses.of(counts, Counts()))
    return spikes, [("left out or moved", losses)] if losses else []


def _refuse(options: Mapping[str, object], kind: str) -> None:
    """Raise a CliError if one of the options is given, because it is only for the other kind."""
    for option, value in options.items():
        if value is not None:
            raise CliError(f"{option} applies to {kind} only")


def _check_file(name: str) -> None:
    """Raise a CliError if nothing has this name."""
    from neuroasync.core.model.checks import did_you_mean, shown

    if not os.path.lexists(name):
        names = [entry.value for entry in DatasetName]
        hint = did_you_mean(name, names) or ";"
        raise CliError(
            f"{shown(name)} is neither a data set nor a file{hint} data sets: {', '.join(names)}"
        )
