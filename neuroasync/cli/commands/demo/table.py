"""The table of the demo: one section per network."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from neuroasync.cli.commands.demo.runs import RowResult
from neuroasync.cli.output import format_number
from neuroasync.cli.tables import table
from neuroasync.core.engine.stop_rules import short_rule
from neuroasync.core.formats.bundle import Bundle

__all__ = ["FOOTNOTE", "network_table"]

_DESCRIPTIONS: Final = {
    "layered-paper": "trained layer by layer, with a recipe like that of the paper",
    "layered": "trained layer by layer, with membrane decay and a spike penalty",
    "unlayered": "same recipe, but trained in the random order it runs in",
    "queued": "trained for input spikes that queue with all other spikes",
}

FOOTNOTE: Final = """\
order: the ordering policy, which chooses the spikes that a forward step delivers.
F: group size, the maximum number of spikes per forward step (layer-sync: a whole layer).
input: "first" is delivered before all other spikes; "queued" waits among them.
right: share of samples with the correct label. Samples without a label count as wrong.
spikes, steps, rounds: means per sample up to the decision, that is, until the stop rule is met or
  the sample ends. A step takes one round per F spikes that it delivers; input that is delivered
  first takes no rounds.
1st out: mean up to the first spike of the output population, right or wrong.
ms: median wall time of a decision on this machine, in an asyncio event loop."""


def network_table(name: str, bundle: Bundle, results: Sequence[RowResult]) -> list[RenderableType]:
    """Return the heading and the table of one network."""
    trained, samples = bundle.policy, len(results[0].decisions)
    heading = Text.assemble((name, "bold"), f": {_DESCRIPTIONS.get(name, 'a network')}")
    options = f"Trained for {trained.name}, F = {trained.group_size}, {trained.input} input. "
    columns = (
        "order", "F", "input", "stop rule", "right\n%", "no\nlabel", "spikes", "steps", "rounds",
        "1st out\nspikes", "1st out\nrounds", "\nms",
    )  # fmt: skip
    rows = [_cells(result, result.summary.to_json()) for result in results]
    drawn = table(columns, rows, numbers=(1, *range(4, 12)))
    return [heading, Text(f"{options}{samples} test samples."), "", drawn, ""]


def _cells(result: RowResult, summary: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the cells of one row of the table."""
    row = result.row
    return (
        row.policy, row.group_size, "queued" if row.input == "queued" else "first",
        short_rule(row.until),
        format_number(summary["accuracy"], "%").removesuffix(" %"), summary["undecided"],
        format_number(summary["spikes_per_sample"]), format_number(summary["steps_per_sample"]),
        format_number(summary["rounds_per_sample"]), format_number(summary["spikes_to_first"]),
        format_number(summary["rounds_to_first"]),
        format_number(summary["latency_ms"]["p50"], digits=2),
    )  # fmt: skip
