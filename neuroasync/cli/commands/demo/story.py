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
LAYERED: Final = "layered"
"""The network that was trained layer by layer, with the recipe of this project."""
ROBUST: Final = "unlayered"
"""The network that was trained in random order, with the same recipe."""

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
    "{samples} handwritten digits. sync waits for layers; async does not (random order); both stop "
    "by the same rule. Input goes first, or queues with all spikes. A round delivers up to {size} "
    "spikes, the unit of time of hardware that handles {size} at once."
)
_TIME_LEGEND: Final = (
    " Times are medians of the wall time on this computer, which delivers spikes one by one."
)

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


def story(comparisons: Sequence[Comparison], samples: int, width: int) -> list[RenderableType]:
    """Return the table of the comparisons and the verdict.

    Args:
        comparisons: The comparisons of all networks, in the order of the rows.
        samples: Number of samples.
        width: Width of the page, characters. Narrow pages get fewer columns.
    """
    legend = _LEGEND.format(samples=samples, size=comparisons[0].sync.row.group_size)
    return [
        legend + _TIME_LEGEND if width >= _WIDE else legend,
        "",
        _table(comparisons, width),
        "",
        Text("Verdict: without waiting for layers", "bold"),
        _bullets(_verdict(comparisons)),
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


def _verdict(comparisons: Sequence[Comparison]) -> list[str]:
    """Return three sentences on what layer synchronization cost or saved in this run.

    Each network is compared as it was trained: an output that was trained to vote several times in
    a pass votes once under layer-sync, so a comparison of its own runs would favour the
    asynchronous one.
    """
    robust, layered, fragile = (
        [comparison for comparison in comparisons if comparison.network == name]
        for name in (ROBUST, LAYERED, FRAGILE)
    )
    free, sync = robust[0].free.summary, fragile[0].sync.summary
    rounds = _change(sync.rounds_per_sample, free.rounds_per_sample)
    spikes = _change(sync.spikes_per_sample, free.spikes_per_sample)
    trained_for = [
        Comparison(before.sync, after.free) for before, after in zip(layered, robust, strict=True)
    ]
    return [
        _sentence(f"{LAYERED} to {ROBUST}", *trained_for),
        _sentence(FRAGILE, *fragile),
        f"{FRAGILE} sync to {ROBUST} async: {_percent(abs(rounds))} {_word(rounds)} rounds, "
        f"{_percent(abs(spikes))} {_word(spikes)} spikes.",
    ]


def _sentence(name: str, first: Comparison, queued: Comparison) -> str:
    """Return what changes without layer synchronization, in both input modes."""
    change, queued_change = first.change or 0.0, queued.change or 0.0
    before, after = (_percent(result.summary.accuracy) for result in (first.sync, first.free))
    accuracy = f"still {after} right" if before == after else f"{after} right, not {before}"
    word = "" if _word(change) == _word(queued_change) else f" {_word(queued_change)}"
    queued_text = f"{_percent(abs(queued_change))}{word}"
    if (queued_after := _percent(queued.free.summary.accuracy)) != after:
        queued_text += f", {queued_after}"
    return (
        f"{name}: {_percent(abs(change))} {_word(change)} rounds, {accuracy} "
        f"(queued: {queued_text})."
    )


def _change(before: float | None, after: float | None) -> float:
    """Return a change as a share; 0 if there is nothing to compare."""
    return after / before - 1 if before and after is not None else 0.0


def _word(change: float) -> str:
    return "fewer" if change <= 0 else "more"


def _percent(share: float | None) -> str:
    """Return an accuracy without decimals."""
    return "-" if share is None else f"{100 * share:.0f} %"
