"""Options that several commands share, and functions that interpret their values."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroasync import limits
from neuroasync.cli.completion import network_names, sample_names
from neuroasync.cli.exit_codes import CliError

if TYPE_CHECKING:
    from neuroasync.core.engine.run_settings import InputMode
    from neuroasync.core.events.pixel_grid import View

__all__ = [
    "EngineName",
    "EngineOption",
    "GroupSizeOption",
    "InputName",
    "InputOption",
    "JsonOption",
    "MaxForwardStepsOption",
    "NetworkArgument",
    "NetworkOption",
    "PolicyName",
    "PolicyOption",
    "RecordingPath",
    "SamplesArgument",
    "SamplesOption",
    "SeedOption",
    "SensorOption",
    "UntilOption",
    "ViewOption",
    "chosen_samples",
    "mode_of",
    "output_option",
    "seed_option",
    "sensor_of",
    "sensor_option",
    "sizes_of",
    "view_of",
    "view_option",
]


class PolicyName(StrEnum):
    """The built-in ordering policies."""

    LAYER_SYNC = "layer-sync"
    RANDOM = "random"
    MOMENTUM = "momentum"
    FIFO = "fifo"


class EngineName(StrEnum):
    """The engines that can run a forward pass."""

    AUTO = "auto"
    COROUTINES = "coroutines"
    COMPILED = "compiled"


class InputName(StrEnum):
    """The input modes: whether a timestep's input is delivered before all other spikes."""

    PRIORITISED = "prioritised"
    QUEUED = "queued"


def seed_option(runs: str) -> object:
    """Return the option ``--seed``.

    Args:
        runs: Sentence that says which run gets which seed.
    """
    return typer.Option(
        "--seed", metavar="S", min=0, max=2**64 - 1, help=f"Seed of the order keys. {runs}"
    )


def view_option(default: str) -> object:
    """Return the option ``--view``.

    Args:
        default: End of the sentence about the default, such as a full stop.
    """
    return typer.Option(
        "--view", metavar="X,Y,BINNING", show_default=False,
        help="Pixels of the camera that the network sees. X,Y is the first pixel. Each pixel of "
        "the network sees BINNING x BINNING pixels of the camera. Default: the centre of the "
        f"camera, with the largest binning for which the camera has enough pixels{default}",
    )  # fmt: skip


def sensor_option(default: str) -> object:
    """Return the option ``--sensor``.

    Args:
        default: End of the sentence about the default.
    """
    return typer.Option(
        "--sensor", metavar="WIDTHxHEIGHT", show_default=False,
        help=f"Size of the camera in pixels. Default: {default}",
    )  # fmt: skip


def output_option(metavar: str, text: str) -> object:
    """Return the option ``--output``.

    Args:
        metavar: The value in the help, such as ``OUT.nab``.
        text: What is written, and the default if there is one.
    """
    return typer.Option("--output", "-o", metavar=metavar, show_default=False, help=text)


NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK", show_default=False, autocompletion=network_names,
        help="Trained network: a .nab file, or the name of a shipped network, such as unlayered.",
    ),
]  # fmt: skip
NetworkOption = Annotated[
    str,
    typer.Option(
        "--bundle", metavar="NETWORK", show_default=False, autocompletion=network_names,
        help="The network that was recorded: a .nab file, or the name of a shipped network.",
    ),
]  # fmt: skip
SamplesArgument = Annotated[
    str,
    typer.Argument(
        metavar="SAMPLES", show_default=False, autocompletion=sample_names,
        help="Samples: a spike file (.npz), or the name of shipped samples, such as digits. They "
        "need labels if the accuracy is to be measured.",
    ),
]  # fmt: skip
RecordingPath = Annotated[
    Path,
    typer.Argument(
        metavar="RECORDING", help="Recording written by `neuroasync run --record`.",
        show_default=False,
    ),
]  # fmt: skip
PolicyOption = Annotated[
    PolicyName | None,
    typer.Option(
        "--policy", show_default=False,
        help="Which pending spikes are delivered next. layer-sync: one layer after the other, each "
        "as a whole; random: by a key computed from the seed; momentum: highest membrane "
        "potential first; fifo: in the order in which they fired. Default: the policy that the "
        "network was trained for.",
    ),
]  # fmt: skip
GroupSizeOption = Annotated[
    int | None,
    typer.Option(
        "--group-size", metavar="F", min=1, max=2**31 - 1, show_default=False,
        help="Maximum number of pending spikes that one forward step delivers; 1 delivers spike "
        "by spike. Default: the group size that the network was trained for.",
    ),
]  # fmt: skip
InputOption = Annotated[
    InputName | None,
    typer.Option(
        "--input", show_default=False,
        help="prioritised: a timestep's input is delivered first, as one group; queued: each "
        "input event waits among all other spikes. Default: the mode that the network was "
        "trained for.",
    ),
]  # fmt: skip
UntilOption = Annotated[
    str,
    typer.Option(
        "--until", metavar="RULE",
        help="When to stop. quiet: after all input is integrated; first-spike: at the first "
        "output spike; votes(k): when a class has k votes; margin(k): when a class leads by k "
        "votes; margin(k1,k2,..): the same, with k1 in the first timestep, k2 in the second, and "
        "so on; steps(n): n forward steps after the first output spike; confidence(p): as early "
        "as possible at accuracy p, if the bundle is calibrated for it; trained: the rule that was "
        "chosen when the network was trained, if the bundle states it.",
    ),
]  # fmt: skip
EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What runs a forward pass. coroutines: one coroutine per population; compiled: one "
        "compiled kernel. Both give the same spikes. Default: auto, which means compiled.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int,
    seed_option(
        "Sample i of the file runs with sample_seed(S, i), whichever samples are selected."
    ),
]
SamplesOption = Annotated[
    str | None,
    typer.Option(
        "--samples", metavar="A:B", show_default=False,
        help="Use only samples A to B-1 of the file, counted from 0. A: and :B are allowed. "
        "Default: all samples.",
    ),
]  # fmt: skip
MaxForwardStepsOption = Annotated[
    int,
    typer.Option(
        "--max-forward-steps", metavar="N", min=1, max=limits.FORWARD_STEPS_HARD_LIMIT,
        help="Fail if a forward pass takes more forward steps: without refractoriness, a loop "
        "in the network may excite itself forever.",
    ),
]  # fmt: skip
ViewOption = Annotated[str | None, view_option(".")]
SensorOption = Annotated[str | None, sensor_option("what the recording says.")]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help="Write one JSON document to stdout, and nothing else. Default: text."
    ),
]


def mode_of(name: InputName | None) -> "InputMode | None":
    """Return the input mode of that name, or None if no name is given."""
    if name is None:
        return None
    return "queued" if name is InputName.QUEUED else "prioritised"


def chosen_samples(text: str | None, count: int) -> range:
    """Return the sample numbers that ``A:B`` selects.

    Args:
        text: Value of ``--samples``. None selects all samples.
        count: Number of samples in the file.

    Raises:
        CliError: The text is malformed, out of range, or selects no sample.
    """
    if not count:
        raise CliError("the spike file has no samples")
    if text is None:
        return range(count)
    match = re.fullmatch(r"([0-9]{0,12}):([0-9]{0,12})", text)
    if match is None:
        raise CliError(f"--samples must be A:B, such as 0:100, got {text!r:.80}")
    first = int(match[1] or 0)
    last = int(match[2]) if match[2] else count
    if not first < last <= count:
        raise CliError(
            f"--samples must be A:B with A < B <= {count}, because the file has {count} samples, "
            f"got {text}"
        )
    return range(first, last)


def view_of(text: str | None) -> "View | None":
    """Return the view that the value of ``--view`` describes, or None if it is not given.

    Raises:
        CliError: The text is malformed or out of range.
    """
    if text is None:
        return None
    from neuroasync.core.events.pixel_grid import View

    match = re.fullmatch(r"([0-9]{1,5}),([0-9]{1,5}),([0-9]{1,5})", text, re.ASCII)
    try:
        if match is not None:
            return View(int(match[1]), int(match[2]), int(match[3]))
    except ValueError as error:
        raise CliError(f"--view: {error}") from error
    raise CliError(f"--view must be X,Y,BINNING, such as 100,60,4, got {text!r:.80}")


def sensor_of(text: str | None) -> tuple[int, int] | None:
    """Return the width and height that the value of ``--sensor`` names, or None if not given.

    Raises:
        CliError: The text is malformed.
    """
    if text is None:
        return None
    width, height = sizes_of("--sensor", text, "640x480")
    return width, height


def sizes_of(name: str, text: str, example: str) -> tuple[int, ...]:
    """Return the sizes that a text such as ``640x480`` lists.

    Args:
        name: Name of the option.
        text: Its value.
        example: A valid value, which has the required number of sizes.

    Raises:
        CliError: The text is malformed, or has another number of sizes.
    """
    count = example.count("x") + 1
    form = re.compile("[1-9][0-9]{0,4}(x[1-9][0-9]{0,4})" + f"{{{count - 1}}}", re.ASCII)
    if form.fullmatch(text):
        return tuple(map(int, text.split("x")))
    meant = re.sub(r"\s*[,;:*\u00d7X\s]\s*", "x", text.strip())
    hint = f"; did you mean {meant!r}?" if form.fullmatch(meant) else ""
    raise CliError(f"{name} must be {count} integers such as {example}, got {text!r:.80}{hint}")
