"""The tables of ``neuroasync demo --all``: one per network, with all rows."""

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from neuroasync.cli.commands.demo.runs import RowResult, stop_rule
from neuroasync.cli.commands.demo.story import DESCRIPTIONS
from neuroasync.cli.output import format_duration, format_number
from neuroasync.cli.tables import key_value_table, table
from neuroasync.core.formats.bundle import Bundle

__all__ = ["legend", "network_table"]

_COLUMNS: Final = (
    ("order", "the policy, which chooses the spikes that a step delivers."),
    ("F", "group size, the most spikes per step (layer-sync: a whole layer)."),
    ("input", "delivered first, or queued with all other spikes."),
    ("until", "the end of the sample (quiet), or the stop rule."),
    ("right %", "share of correct samples; one without a label counts as wrong."),
    ("rounds", "mean per sample; a step takes one round per F spikes."),
    ("spikes", "mean per sample."),
    ("time", "median wall time of a decision on this computer."),
    ("no label", "number of samples in which no output neuron fired."),
    ("steps", "mean number of forward steps per sample."),
    ("1st out\nrounds", "mean until the first output spike, right or wrong."),
    ("1st out\nspikes", "the same in spikes."),
)
"""Title and explanation of each column."""
_SHOWN: Final = ((100, 12), (78, 9), (0, 7))
"""Widths of a page, and how many columns it shows from there on."""


def legend(width: int) -> RenderableType:
    """Return the explanations of the columns on a page of this width."""
    pairs = _COLUMNS[: _shown(width)]
    return key_value_table([(title.replace("\n", " "), text) for title, text in pairs])


def _shown(width: int) -> int:
    return next(count for least, count in _SHOWN if width >= least)


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
    titles = [title for title, _ in _COLUMNS[: _shown(width)]]
    rows = [_cells(result)[: len(titles)] for result in results]
    return [heading, options, "", table(titles, rows, numbers=(1, *range(4, len(titles)))), ""]


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
