"""``neuroasync demo``: the shipped networks on the shipped test samples."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from neuroasync.cli.decide_samples import check_fit
from neuroasync.cli.options import JsonOption, SamplesOption, SeedOption, chosen_samples
from neuroasync.cli.output import echo_json
from neuroasync.cli.output_paths import check_folder
from neuroasync.cli.progress import ProgressCallback, progress
from neuroasync.cli.tables import echo, key_value_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from neuroasync.cli.commands.demo.figures import RasterOf
    from neuroasync.cli.commands.demo.runs import Result
    from neuroasync.core.events.spike_train import SpikeTrains
    from neuroasync.core.formats.bundle import Bundle

__all__ = ["demo"]

_FOLDER: Final = Path("neuroasync-demo")
_RASTER_OF: Final = "layered-paper"

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", show_default=False,
        help="Folder for the pictures, made if it is not there. Default: neuroasync-demo, here; "
        "with --json no pictures.",
    ),
]  # fmt: skip


def demo(
    samples: SamplesOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Compare four trained networks under every order, on digits.

    \b
    Examples:
      neuroasync demo
      neuroasync demo --samples 0:50 --out pictures
      neuroasync demo --json

    The networks classify 8 x 8 handwritten digits that none has seen in training. Each runs
    under every order with its input first and with its input queued, spike by spike, and with
    its stop rule. With --json there is one object on a line for each row of the table.
    """  # noqa: D301  # \b keeps the examples' lines
    from neuroasync.cli.commands.demo.figures import RasterOf, load_plot
    from neuroasync.cli.commands.demo.table import FOOTNOTE, network_table
    from neuroasync.shipped import NETWORKS, shipped_bundle, shipped_spikes

    networks = [(name, shipped_bundle(name)) for name in NETWORKS]
    spikes = {coding: shipped_spikes(coding) for coding in {_coding(b) for _, b in networks}}
    for _, bundle in networks:
        check_fit(bundle, spikes[_coding(bundle)])
    numbers = chosen_samples(samples, min(map(len, spikes.values())))
    folder = out or (None if json else _FOLDER)
    plot = load_plot() if folder is not None else None
    if folder is not None:
        check_folder(folder)
    results: list[Result] = []
    for name, bundle in networks:
        found = _run_network(name, bundle, spikes[_coding(bundle)], numbers, seed)
        if not json:
            echo(*network_table(name, bundle, found))
        for result in found if json else ():
            echo_json(result.to_json())
        results += found
    shown_bundle = dict(networks)[_RASTER_OF]
    of = RasterOf(shown_bundle, spikes[_coding(shown_bundle)], numbers[0], seed)
    end = [] if folder is None else _pictures(plot, folder, of, results)
    if not json:
        echo(FOOTNOTE, *end)


def _coding(bundle: "Bundle") -> str:
    """How the network's input was encoded."""
    return str(bundle.meta.get("coding", "rate"))


def _run_network(
    name: str, bundle: "Bundle", spikes: "SpikeTrains", numbers: range, seed: int
) -> "list[Result]":
    from neuroasync.cli.commands.demo.runs import rows_of, run_row

    rows, results = rows_of(bundle), []
    with progress(name, len(rows) * len(numbers)) as advance:
        for k, row in enumerate(rows):
            report = partial(_report, advance, k * len(numbers))
            results.append(run_row(name, bundle, row, spikes, numbers, seed, report))
    return results


def _report(advance: ProgressCallback, before: int, done: int) -> None:
    advance(before + done)


def _pictures(
    plot: ModuleType | None, folder: Path, of: "RasterOf", results: "Sequence[Result]"
) -> "list[RenderableType]":
    """Save the pictures; return what is said of them."""
    from neuroasync.cli.commands.demo.figures import save_pictures

    if plot is None:
        return ["For pictures, install neuroasync with its extra 'viz'."]
    return [
        key_value_table([("picture", path) for path in save_pictures(plot, folder, of, results)])
    ]
