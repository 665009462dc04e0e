"""``neuroasync demo``: the shipped networks on the shipped test samples."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from neuroasync.cli.decide_samples import check_fit
from neuroasync.cli.options import JsonOption, SamplesOption, SeedOption, chosen_samples
from neuroasync.cli.output import echo_json
from neuroasync.cli.output_paths import check_folder
from neuroasync.cli.progress import ProgressCallback, progress
from neuroasync.cli.tables import echo, key_value_table, page_width

if TYPE_CHECKING:
    from rich.console import RenderableType

    from neuroasync.cli.commands.demo.runs import Row, RowResult
    from neuroasync.core.events.spike_trains import SpikeTrains
    from neuroasync.core.formats.bundle import Bundle

__all__ = ["demo"]

_FOLDER: Final = Path("neuroasync-demo")
_NEXT: Final = "neuroasync serve    (watch these networks in a browser, and draw digits)"

AllOption = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Also run every ordering policy, to the end of each sample and spike by spike "
        "(F = 1), and show one table per network.",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", show_default=False,
        help="Folder for the picture; created if it does not exist. Default: neuroasync-demo in "
        "the current folder. With --json, the picture is drawn only if --out is given.",
    ),
]  # fmt: skip


def demo(
    samples: SamplesOption = None,
    seed: SeedOption = 0,
    all_rows: AllOption = False,
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Show what layer synchronization costs or saves on digits.

    \b
    Examples:
      neuroasync demo
      neuroasync demo --all
      neuroasync demo --samples 0:50 --out figures
      neuroasync demo --json

    The networks classify 8 x 8 images of handwritten digits that were not used to train them. Each
    network runs under layer-sync and in random order with the same stop rule, with its input
    delivered first and with its input queued. With --json, the output has the list `runs`.
    """  # noqa: D301  # \b keeps the line breaks of the examples
    from neuroasync.cli.commands.demo.figures import load_plot, save_figure
    from neuroasync.cli.commands.demo.story import (
        DESCRIPTIONS,
        INTRODUCTION,
        compare,
        story,
    )
    from neuroasync.cli.commands.demo.table import legend, network_table
    from neuroasync.shipped import NETWORKS, shipped_bundle, shipped_spikes

    networks = {name: shipped_bundle(name) for name in NETWORKS}
    spikes = shipped_spikes()
    for bundle in networks.values():
        check_fit(bundle, spikes)
    numbers = chosen_samples(samples, len(spikes))
    folder = out or (None if json else _FOLDER)
    plot = load_plot() if folder is not None else None
    if folder is not None:
        # Check before the networks run, which takes much longer.
        check_folder(folder)
    if not json:
        echo(INTRODUCTION, "", key_value_table(list(DESCRIPTIONS.items())), "")
    results: dict[str, dict[Row, RowResult]] = {}
    for name, bundle in networks.items():
        results[name] = _run_network(name, bundle, spikes, numbers, seed, all_rows)
        if all_rows and not json:
            echo(*network_table(name, bundle, list(results[name].values()), page_width()))
    comparisons = [c for name in networks for c in compare(networks[name], results[name])]
    path = None
    if plot is not None and folder is not None:
        path = save_figure(plot, folder, comparisons, networks, spikes, numbers, seed)
    if json:
        runs = [result.to_json() for rows in results.values() for result in rows.values()]
        echo_json({"runs": runs})
    else:
        if all_rows:
            echo(legend(page_width()), "")
        echo(*story(comparisons, len(numbers), page_width()), "", _closing(path))


def _run_network(
    name: str, bundle: "Bundle", spikes: "SpikeTrains", numbers: range, seed: int, all_rows: bool
) -> "dict[Row, RowResult]":
    """Run a network with the options of each row."""
    from neuroasync.cli.commands.demo.runs import every_row, run_row, story_rows

    rows = every_row(bundle) if all_rows else story_rows(bundle)
    results = {}
    with progress(name, len(rows) * len(numbers)) as advance:
        for k, row in enumerate(rows):
            report = partial(_report, advance, k * len(numbers))
            results[row] = run_row(name, bundle, row, spikes, numbers, seed, report)
    return results


def _report(advance: ProgressCallback, before: int, done: int) -> None:
    """Show the progress: the samples of the rows before, and those done in this row."""
    advance(before + done)


def _closing(path: Path | None) -> "RenderableType":
    """Return the lines after the verdict: where the picture is, and what to try next."""
    picture = path or "needs the extra 'viz' of neuroasync"
    return key_value_table([("picture", picture), ("next", _NEXT)])
