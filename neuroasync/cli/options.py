"""Options that several commands share, and what their texts mean."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync import limits
from neuroasync.cli.exit_codes import CliError
from neuroasync.core.engine.run_settings import InputMode
from neuroasync.datasets import DATASETS

__all__ = [
    "BundleOption",
    "BundlePath",
    "Coding",
    "DataOption",
    "EngineName",
    "EngineOption",
    "EventsPath",
    "GroupSizeOption",
    "InputName",
    "InputOption",
    "JsonOption",
    "MaxForwardStepsOption",
    "PolicyName",
    "PolicyOption",
    "RecordingPath",
    "SamplesOption",
    "SeedOption",
    "SetName",
    "UntilOption",
    "chosen_samples",
    "mode_of",
]


class PolicyName(StrEnum):
    """The ordering policies that ship."""

    LAYER_SYNC = "layer-sync"
    RANDOM = "random"
    MOMENTUM = "momentum"
    FIFO = "fifo"


class EngineName(StrEnum):
    """What runs a pass."""

    AUTO = "auto"
    COROUTINES = "coroutines"
    COMPILED = "compiled"


class InputName(StrEnum):
    """Whether input goes first."""

    PRIORITISED = "prioritised"
    QUEUED = "queued"


class Coding(StrEnum):
    """How a value becomes spikes."""

    RATE = "rate"
    LATENCY = "latency"


if TYPE_CHECKING:
    SetName = StrEnum
else:
    SetName = StrEnum("SetName", {name: name for name in DATASETS})


DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", show_default=False,
        help="Folder with the files of the set, or for Tonic, which downloads what is missing. "
        "Default: what NEUROASYNC_DATA names; without, what ships.",
    ),
]  # fmt: skip
BundlePath = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Trained network, a .nab file.", show_default=False)
]
BundleOption = Annotated[
    Path,
    typer.Option(
        "--bundle", metavar="BUNDLE", help="The network that was recorded, a .nab file.",
        show_default=False,
    ),
]  # fmt: skip
EventsPath = Annotated[
    Path,
    typer.Argument(
        metavar="EVENTS.npz", show_default=False,
        help="Spike file: t_us, index, offsets, shape and, for an accuracy, labels.",
    ),
]  # fmt: skip
RecordingPath = Annotated[
    Path,
    typer.Argument(
        metavar="RECORDING", help="What `neuroasync run --record` wrote.", show_default=False
    ),
]
PolicyOption = Annotated[
    PolicyName | None,
    typer.Option(
        "--policy", show_default=False,
        help="Which pending spikes go next. layer-sync: all of the lowest layer that has any; "
        "random: by a key computed from the seed; momentum: highest membrane potential first; "
        "fifo: in the order they fired. Default: what the network was trained for.",
    ),
]  # fmt: skip
GroupSizeOption = Annotated[
    int | None,
    typer.Option(
        "--group-size", metavar="F", min=1, max=2**31 - 1, show_default=False,
        help="How many pending spikes one forward step delivers; 1 is spike by spike. "
        "Default: what the network was trained for.",
    ),
]  # fmt: skip
InputOption = Annotated[
    InputName | None,
    typer.Option(
        "--input", show_default=False,
        help="prioritised: a timestep's input is delivered first, as one group; queued: each "
        "input event waits with all other spikes. Default: what the network was trained for.",
    ),
]  # fmt: skip
UntilOption = Annotated[
    str,
    typer.Option(
        "--until", metavar="RULE",
        help="When to stop. quiet: everything is integrated; first-spike: the output fired; "
        "votes(k): a class has k votes; margin(k): it leads by k; margin(k,..): by k in the "
        "first timestep, and so on; steps(n): n forward steps after the first output spike; "
        "confidence(p): as early as keeps the accuracy p, if the bundle is calibrated for it.",
    ),
]  # fmt: skip
EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What runs a pass: a coroutine for each population, or one compiled kernel. The "
        "spikes are the same. Default: auto, the latter.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed", metavar="S", min=0, max=2**64 - 1,
        help="Seed of the order keys. Sample number i of the file runs with "
        "sample_seed(S, i), whichever samples are chosen.",
    ),
]  # fmt: skip
SamplesOption = Annotated[
    str | None,
    typer.Option(
        "--samples", metavar="A:B", show_default=False,
        help="Only samples A to B-1 of the file, counted from 0; A: and :B will do. "
        "Default: all.",
    ),
]  # fmt: skip
MaxForwardStepsOption = Annotated[
    int,
    typer.Option(
        "--max-forward-steps", metavar="N", min=1, max=limits.FORWARD_STEPS_CEILING,
        help="End with an error if a pass takes more forward steps: a loop without "
        "refractoriness may feed itself.",
    ),
]  # fmt: skip
JsonOption = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout, and nothing else. Default: a table.")
]


def mode_of(name: InputName | None) -> InputMode | None:
    """The input mode of that name."""
    if name is None:
        return None
    return "queued" if name is InputName.QUEUED else "prioritised"


def chosen_samples(text: str | None, count: int) -> range:
    """The sample numbers that ``A:B`` names, of ``count`` there are.

    Raises:
        CliError: it is not of that form, out of range, or names no sample.
    """
    if not count:
        raise CliError("the file of events has no samples")
    if text is None:
        return range(count)
    match = re.fullmatch(r"([0-9]{0,12}):([0-9]{0,12})", text)
    if match is None:
        raise CliError(f"--samples: {text!r:.80}, expected A:B, such as 0:100")
    first = int(match[1] or 0)
    last = int(match[2]) if match[2] else count
    if not first < last <= count:
        raise CliError(
            f"--samples: {text}, expected A < B within 0:{count}; the file has {count} samples"
        )
    return range(first, last)
