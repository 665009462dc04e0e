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

    from neuroasync.cli.commands.demo.figures import RasterSubject
    from neuroasync.cli.commands.demo.runs import RowResult
    from neuroasync.core.events.spike_train import SpikeTrains
    from neuroasync.core.formats.bundle import Bundle

__all__ = ["demo"]

_FOLDER: Final = Path("neuroasync-demo")
_SAMPLES: Final = {"rate": "digits", "latency": "digits-latency"}
"""Name of the shipped samples in each coding."""

_RASTER_NETWORK: Final = "layered-paper"
"""Network whose spikes the raster shows under each ordering policy."""

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", show_default=False,
        help="Folder for the figures; created if it does not exist. Default: neuroasync-demo in "
        "the current folder. With --json, figures are drawn only if --out is given.",
    ),
]  # fmt: skip


def demo(
    samples: SamplesOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Compare four networks on digits under every ordering policy.

    \b
    Examples:
      neuroasync demo
      neuroasync demo --samples 0:50 --out figures
      neuroasync demo --json

    The networks classify 8 x 8 images of handwritten digits that were not used to train them. Each
    network runs under every ordering policy, with its input delivered first and with its input
    queued. It also runs spike by spike (F = 1) and with its stop rule. With --json, the output has
    one JSON object per line, one for each row of the table.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.cli.commands.demo.figures import RasterSubject, load_plot
    from neuroasync.cli.commands.demo.table import FOOTNOTE, network_table
    from neuroasync.shipped import NETWORKS, shipped_bundle, shipped_spikes

    networks = [(name, shipped_bundle(name)) for name in NETWORKS]
    codings = {_coding(bundle) for _, bundle in networks}
    spikes = {coding: shipped_spikes(_SAMPLES[coding]) for coding in codings}
    for _, bundle in networks:
        check_fit(bundle, spikes[_coding(bundle)])
    numbers = chosen_samples(samples, min(map(len, spikes.values())))
    folder = out or (None if json else _FOLDER)
    plot = load_plot() if folder is not None else None
    if folder is not None:
        # Check before the networks run, which takes much longer.
        check_folder(folder)
    results: list[RowResult] = []
    for name, bundle in networks:
        row_results = _run_network(name, bundle, spikes[_coding(bundle)], numbers, seed)
        if not json:
            echo(*network_table(name, bundle, row_results))
        for result in row_results if json else ():
            echo_json(result.to_json())
        results += row_results
    shown = dict(networks)[_RASTER_NETWORK]
    subject = RasterSubject(shown, spikes[_coding(shown)], numbers[0], seed)
    end = [] if folder is None else _draw_figures(plot, folder, subject, results)
    if not json:
        echo(FOOTNOTE, *end)


def _coding(bundle: "Bundle") -> str:
    """Return how the input of the network was encoded."""
    return str(bundle.meta.get("coding", "rate"))


def _run_network(
    name: str, bundle: "Bundle", spikes: "SpikeTrains", numbers: range, seed: int
) -> "list[RowResult]":
    """Run a network with the options of each row of its table."""
    from neuroasync.cli.commands.demo.runs import rows_of, run_row

    rows, results = rows_of(bundle), []
    with progress(name, len(rows) * len(numbers)) as advance:
        for k, row in enumerate(rows):
            report = partial(_report, advance, k * len(numbers))
            results.append(run_row(name, bundle, row, spikes, numbers, seed, report))
    return results


def _report(advance: ProgressCallback, before: int, done: int) -> None:
    """Show the progress: the samples of the rows before, and those done in this row."""
    advance(before + done)


def _draw_figures(
    plot: ModuleType | None, folder: Path, subject: "RasterSubject", results: "Sequence[RowResult]"
) -> "list[RenderableType]":
    """Save the figures; return the lines that report where they are."""
    from neuroasync.cli.commands.demo.figures import save_figures

    if plot is None:
        return ["To get figures, install neuroasync with its extra 'viz'."]
    return [
        key_value_table([("figure", path) for path in save_figures(plot, folder, subject, results)])
    ]
