"""``neuroasync import``: make a bundle of a network that another framework exported."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from neuroasync import limits
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import JsonOption, output_option
from neuroasync.cli.output import echo_json
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.tables import echo, key_value_table
from neuroasync.errors import InterchangeError

__all__ = ["import_"]


class JumpName(StrEnum):
    """How far a spike moves a potential."""

    EULER = "euler"
    EXACT = "exact"
    UNIT = "unit"


class DecayName(StrEnum):
    """How a potential decays in a step."""

    EULER = "euler"
    EXACT = "exact"


class ResetName(StrEnum):
    """What a spike does to the potential of its neuron."""

    ZERO = "zero"
    SUBTRACT = "subtract"


SourceArgument = Annotated[
    Path,
    typer.Argument(metavar="MODEL.nir", show_default=False, help="File of NIR to read."),
]
OutputOption = Annotated[
    Path,
    output_option(
        "OUT.nab",
        "Bundle to write.",
    ),
]
TimestepOption = Annotated[
    int | None,
    typer.Option(
        "--timestep-us", metavar="N", min=0, max=limits.MAX_TIME_US, show_default=False,
        help="Timestep of the bundle in µs; 0 runs one forward pass per distinct timestamp. "
        "Default: that of the bundle that was exported; other files require it.",
    ),
]  # fmt: skip
StepOption = Annotated[
    float | None,
    typer.Option(
        "--step-us", metavar="N", show_default=False,
        help="Step that the exporting framework computes with, in µs. If it differs from "
        "--timestep-us, the times of the file are scaled, so that a step of the framework is a "
        "timestep of the bundle. Default: --timestep-us.",
    ),
]  # fmt: skip
JumpOption = Annotated[
    JumpName | None,
    typer.Option(
        "--jump", show_default=False,
        help="How far a spike of weight w moves the potential of a leaky neuron. euler: by "
        "step/tau * r * w; exact: by (1 - exp(-step/tau)) * r * w; unit: by r * w. Default: that "
        "of an export; other files with leaky neurons require it.",
    ),
]  # fmt: skip
DecayOption = Annotated[
    DecayName | None,
    typer.Option(
        "--decay", show_default=False,
        help="Factor by which a potential decays in a step. euler: 1 - step/tau; exact: "
        "exp(-step/tau). Default: as --jump; for unit, exact.",
    ),
]  # fmt: skip
ResetOption = Annotated[
    ResetName | None,
    typer.Option(
        "--reset", show_default=False,
        help="What a spike does to the potential of its neuron. zero: sets it to v_reset; "
        "subtract: subtracts the threshold. Default: that of an export; other files require it.",
    ),
]  # fmt: skip

DelayOption = Annotated[
    bool,
    typer.Option(
        "--reset-delay", show_default=False,
        help="Let a reset take effect in the next step, after the decay, as snnTorch does by "
        "default. Default: at once, or as in an export.",
    ),
]  # fmt: skip


def import_(
    source: SourceArgument,
    output: OutputOption,
    timestep_us: TimestepOption = None,
    step_us: StepOption = None,
    jump: JumpOption = None,
    decay: DecayOption = None,
    reset: ResetOption = None,
    reset_delay: DelayOption = False,
    json: JsonOption = False,
) -> None:
    """Make a bundle of a network in the format of NIR.

    \b
    Examples:
      neuroasync import norse.nir -o norse.nab --timestep-us 1000 --jump euler --reset zero
      neuroasync import snntorch.nir -o snntorch.nab --timestep-us 1000 --step-us 100 \\
        --jump euler --reset subtract --reset-delay

    NIR stores neither the step, nor the jump, nor the kind of reset. The guide "Interchange with
    NIR" lists what each framework needs. A node that cannot be mapped exactly is refused.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.cli.bundle_tables import (
        bundle_facts,
        bundle_json,
        connection_table,
        population_table,
    )
    from neuroasync.core.formats.bundle import write_bundle
    from neuroasync.interchange.nir import import_nir

    check_output(output, source)
    try:
        bundle = import_nir(
            source,
            timestep_us=timestep_us,
            step_us=step_us,
            jump=None if jump is None else jump.value,
            decay=None if decay is None else decay.value,
            reset=None if reset is None else reset.value,
            reset_delay=reset_delay or None,
        )
    except ImportError as error:
        raise CliError(str(error)) from error
    except InterchangeError as error:
        message = re.sub(r"`(timestep|step)_us`", r"--\1-us", str(error))
        raise CliError(message) from error
    write_bundle(bundle, output)
    if json:
        echo_json({"written": str(output), **bundle_json(bundle)})
        return
    echo(
        key_value_table([("written", output), *bundle_facts(bundle)]),
        "",
        population_table(bundle),
        "",
        connection_table(bundle),
    )
