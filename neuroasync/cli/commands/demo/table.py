"""The demo's table: a section for each network."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from neuroasync.cli.commands.demo.runs import Result
from neuroasync.cli.output import format_number
from neuroasync.cli.tables import table
from neuroasync.core.engine.stop_rules import short_rule
from neuroasync.core.formats.bundle import Bundle

__all__ = ["FOOTNOTE", "network_table"]

_ABOUT: Final = {
    "layered-paper": "trained layer by layer, by the paper's recipe",
    "layered": "trained layer by layer, with memory and a spike penalty",
    "unlayered": "the same recipe, trained in the order that it runs in",
    "queued": "trained for input that waits with all other spikes",
}

FOOTNOTE: Final = """\
right: samples whose label is right; those with no label (the output never fired) are not.
spikes, steps, rounds: of a sample, up to its decision: where the stop rule says stop, or its end.
  A step delivers at most F pending spikes (layer-sync: all of a layer); it takes as many rounds
  as it needs at F spikes a time. Input that goes first takes none, queued input takes its own.
1st out: up to the first spike of the output population, right or not.
ms: median wall time of a decision, here, in an asyncio event loop. All but right and ms: means."""


def network_table(name: str, bundle: Bundle, results: Sequence[Result]) -> list[RenderableType]:
    """Heading and table of one network."""
    own, samples = bundle.policy, len(results[0].decisions)
    heading = Text.assemble((name, "bold"), f": {_ABOUT.get(name, 'a network')}")
    trained = f"Runs under {own.name}, F = {own.group_size}, {own.input} input. "
    columns = (
        "order", "F", "input", "stop rule", "right\n%", "no\nlabel", "spikes", "steps", "rounds",
        "1st out\nspikes", "1st out\nrounds", "\nms",
    )  # fmt: skip
    rows = [_cells(result, result.summary.to_json()) for result in results]
    drawn = table(columns, rows, numbers=(1, *range(4, 12)))
    return [heading, Text(f"{trained}{samples} test samples."), "", drawn, ""]


def _cells(result: Result, found: Mapping[str, Any]) -> tuple[object, ...]:
    row = result.row
    return (
        row.policy, row.group_size, "queued" if row.input == "queued" else "first",
        short_rule(row.until),
        format_number(found["accuracy"], "%").removesuffix(" %"), found["undecided"],
        format_number(found["spikes_per_sample"]), format_number(found["steps_per_sample"]),
        format_number(found["rounds_per_sample"]), format_number(found["spikes_to_first"]),
        format_number(found["rounds_to_first"]),
        format_number(found["latency_ms"]["p50"], digits=2),
    )  # fmt: skip
