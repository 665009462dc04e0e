"""The story of the demo: what layer synchronization costs or saves each network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from neuroasync.cli.commands.demo.runs import (
    ASYNC,
    INPUTS,
    SYNC,
    Row,
    RowResult,
    stop_rule,
)
from neuroasync.cli.output import format_duration, format_number
from neuroasync.cli.tables import table
from neuroasync.core.formats.bundle import Bundle

__all__ = ["DESCRIPTIONS", "FRAGILE", "INTRODUCTION", "ROBUST", "Comparison", "compare", "story"]

FRAGILE: Final = "layered-paper"
"""The network that was trained layer by layer, with a recipe like that of the paper."""
ROBUST: Final = "unlayered"
"""The network that was trained in random order."""

INTRODUCTION: Final = (
    "neuroasync runs spiking neural networks in asyncio programs without waiting for layers: every "
    "spike takes effect at once, and a network answers as soon as it is sure. It is for live "
    "streams of events (cameras, sound, sensors) and for research on asynchronous hardware."
)
DESCRIPTIONS: Final = {
    "layered-paper": "trained layer by layer, like Koopman et al. (arXiv 2408.05098)",
    "layered": "trained layer by layer, with memory and a penalty on spikes",
    "unlayered": "trained by the same recipe, but in random order",
    "queued": "trained by the same recipe, for input that queues",
}
"""How each shipped network was trained."""
_LEGEND: Final = (
    "They classify {samples} handwritten digits that they have not seen. sync waits for layers; "
    "async does not (random order); the stop rule is the same. Input is delivered first, or queued "
    "with all spikes. A round delivers up to {size} spikes."
)
_TIME_LEGEND: Final = " Times are medians of the wall time on this computer."

_MEDIUM: Final = 78
"""Width of the page from which the table has spikes."""
_WIDE: Final = 96
"""Width of the page from which the table has wall times."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A network in one input mode, with the same stop rule under both policies.

    Attributes:
        sync: Result under layer-sync.
        free: Result in random order.
    """

    sync: RowResult
    free: RowResult

    @property
    def network(self) -> str:
        """Name of the network."""
        return self.sync.network

    @property
    def change(self) -> float | None:
        """Change of the mean rounds without layer synchronization, as a share, if there are any."""
        before, after = self.sync.summary.rounds_per_sample, self.free.summary.rounds_per_sample
        return after / before - 1 if before and after is not None else None


def compare(bundle: Bundle, results: Mapping[Row, RowResult]) -> list[Comparison]:
    """Return the comparison in each input mode."""
    size, rule = bundle.policy.group_size, stop_rule(bundle)
    return [
        Comparison(*(results[Row(policy, size, mode, rule)] for policy in (SYNC, ASYNC)))
        for mode in INPUTS
    ]


def story(
    comparisons: Sequence[Comparison],
    whole_robust: RowResult,
    whole_fragile: RowResult,
    width: int,
) -> list[RenderableType]:
    """Return the table of the comparisons and the verdict.

    Args:
        comparisons: The comparisons of all networks, in the order of the rows.
        whole_robust: Result of the robust network, as it was trained, for whole samples.
        whole_fragile: The same for the fragile network.
        width: Width of the page, characters. Narrow pages get fewer columns.
    """
    samples, size = whole_robust.summary.samples, whole_robust.row.group_size
    legend = _LEGEND.format(samples=samples, size=size)
    return [
        legend + _TIME_LEGEND if width >= _WIDE else legend,
        "",
        _table(comparisons, width),
        "",
        Text("Verdict: without waiting for layers", "bold"),
        _bullets(_verdict(comparisons, whole_robust, whole_fragile)),
    ]


def _table(comparisons: Sequence[Comparison], width: int) -> RenderableType:
    """Return the table of the comparisons."""
    columns = [
        "network",
        "input",
        "right %\nsync",
        "\nasync",
        "rounds\nsync",
        "\nasync",
        "\nchange",
    ]
    if width >= _MEDIUM:
        columns += ["spikes\nsync", "\nasync"]
    if width >= _WIDE:
        columns += ["time\nsync", "\nasync"]
    rows = [_cells(comparison)[: len(columns)] for comparison in comparisons]
    return table(columns, rows, numbers=range(2, len(columns)))


def _cells(comparison: Comparison) -> list[str]:
    """Return all cells of a row of the table."""
    pair = comparison.sync.summary, comparison.free.summary
    return [
        comparison.network,
        comparison.sync.row.input_word,
        *(format_number(s.accuracy, "%").removesuffix(" %") for s in pair),
        *(format_number(s.rounds_per_sample) for s in pair),
        "-" if comparison.change is None else f"{comparison.change:+.0%}".replace("%", " %"),
        *(format_number(s.spikes_per_sample) for s in pair),
        *(format_duration(s.latency_p50_ms) for s in pair),
    ]


def _bullets(lines: Sequence[str]) -> Table:
    """Return a list whose lines are indented where they go on."""
    bullets = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        bullets.add_row("-", line)
    return bullets


def _verdict(
    comparisons: Sequence[Comparison], whole_robust: RowResult, whole_fragile: RowResult
) -> list[str]:
    """Return three sentences on what layer synchronization cost or saved in this run."""
    by_network = {name: [c for c in comparisons if c.network == name] for name in (ROBUST, FRAGILE)}
    robust, fragile = (spikes.summary.spikes_per_sample for spikes in (whole_robust, whole_fragile))
    share = f"{robust / fragile:.0%}".replace("%", " %") if robust and fragile else "-"
    return [
        *(_sentence(name, *pair) for name, pair in by_network.items()),
        f"{ROBUST} fires {format_number(robust, digits=0)} spikes for a whole digit, "
        f"{share} of {FRAGILE}'s {format_number(fragile, digits=0)}.",
    ]


def _sentence(name: str, first: Comparison, queued: Comparison) -> str:
    """Return what happens to one network without layer synchronization."""
    changes = [round(100 * (comparison.change or 0)) for comparison in (first, queued)]
    words = [f"{abs(change)} % {'sooner' if change <= 0 else 'later'}" for change in changes]
    if (changes[0] <= 0) == (changes[1] <= 0):
        words[1] = f"{abs(changes[1])} %"
    before, after = (format_number(r.summary.accuracy, "%") for r in (first.sync, first.free))
    right = f"{after} right" + (" as before" if before == after else f", not {before}")
    return f"{name} answers {words[0]} (queued: {words[1]}), {right}."
