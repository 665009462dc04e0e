"""``neuroasync export``: write a bundle for other frameworks."""

from pathlib import Path
from typing import Annotated

import typer

from neuroasync.cli.commands.import_ import DecayName
from neuroasync.cli.exit_codes import CliError
from neuroasync.cli.options import JsonOption, NetworkArgument, output_option
from neuroasync.cli.output import echo_json
from neuroasync.cli.output_paths import check_output
from neuroasync.cli.tables import echo, key_value_table

__all__ = ["export"]

OutputOption = Annotated[
    Path,
    output_option(
        "OUT.nir",
        "File of NIR to write.",
    ),
]
DecayOption = Annotated[
    DecayName,
    typer.Option(
        "--decay",
        help="Factor by which the reader of the file lets a potential decay in a step. exact: "
        "exp(-step/tau) (sinabs, Rockpool); euler: 1 - step/tau (Norse, snnTorch).",
    ),
]


def export(
    bundle: NetworkArgument,
    output: OutputOption,
    decay: DecayOption = DecayName.EXACT,
    json: JsonOption = False,
) -> None:
    """Write a network in the format of NIR, for other frameworks.

    \b
    Example:
      neuroasync export unlayered -o unlayered.nir

    What NIR has no field for, such as the timestep, is kept in the metadata of the file, so that
    `neuroasync import` gives the same bundle. What NIR cannot express is refused.
    """  # noqa: D301  # \b keeps the line breaks of the example
    from neuroasync.interchange.nir import export_nir
    from neuroasync.shipped import load_bundle

    check_output(output, bundle)
    network = load_bundle(bundle)
    try:
        export_nir(network, output, decay=decay.value)
    except ImportError as error:
        raise CliError(str(error)) from error
    if json:
        echo_json({"written": str(output), "sha256": network.digest.hex()})
        return
    echo(key_value_table([("written", output), ("network", bundle)]))
