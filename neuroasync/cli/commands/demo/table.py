"""The tables of ``neuroasync demo --all``: one per network, with all rows."""

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from neuroasync.cli.commands.demo.runs import RowResult, stop_rule
from neuroasync.cli.commands.demo.story import DESCRIPTIONS
from neuroasync.cli.output import format_duration, format_number
from neuroasync.cli.tables import table
from neuroasync.core.formats.bundle import Bundle

__all__ = ["LEGEND", "network_table"]

_MEDIUM: Final = 78
"""Width of the page from which the table has wall times and samples without a label."""
_WIDE: Final = 100
"""Width of the page from which the table has steps and the first output spike."""

LEGEND: Final = """\
order: the ordering policy, which chooses the spikes that a forward step delivers.
F: group size, the maximum number of spikes per step (layer-sync: a whole layer).
input: delivered first, or queued with all other spikes.
until: the end of the sample (quiet), or the stop rule.
rounds, spikes, steps: means per sample. A step takes one round per F spikes.
time: median wall time of a decision on this computer.
no label: samples in which no output neuron fired; they count as wrong.
1st out: means until the first spike of the output population, right or wrong."""


def network_table(
    name: str, bundle: Bundle, results: Sequence[RowResult], width: int
) -> list[RenderableType]:
    """Return the heading and the table of one network. Narrow pages get fewer columns.

    Args:
        name: Name of the network.
        bundle: Bundle of the network.
        results: The rows.
        width: Width of the page, characters.
    """
    trained = bundle.policy
    heading = Text.assemble((name, "bold"), f": {DESCRIPTIONS[name]}")
    options = (
        f"Trained for {trained.name}, F = {trained.group_size}, {trained.input} input. "
        f"Stop rule: {stop_rule(bundle)}."
    )
    columns = ["order", "F", "input", "until", "right %", "rounds", "spikes"]
    if width >= _MEDIUM:
        columns += ["time", "no label"]
    if width >= _WIDE:
        columns += ["steps", "1st out\nrounds", "\nspikes"]
    rows = [_cells(result)[: len(columns)] for result in results]
    return [heading, options, "", table(columns, rows, numbers=(1, *range(4, len(columns)))), ""]


def _cells(result: RowResult) -> list[str]:
    """Return all cells of a row of the table."""
    row, summary = result.row, result.summary
    first = summary.to_first
    return [
        row.policy,
        str(row.group_size),
        row.input_word,
        "quiet" if row.until == "quiet" else "rule",
        format_number(summary.accuracy, "%").removesuffix(" %"),
        format_number(summary.rounds_per_sample),
        format_number(summary.spikes_per_sample),
        format_duration(summary.latency_p50_ms),
        format_number(summary.undecided),
        format_number(summary.steps_per_sample),
        format_number(first.rounds if first else None),
        format_number(first.spikes if first else None),
    ]
