"""The runs of the demo: every network with and without layer synchronization."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from neuroasync.cli.decide_samples import decide_samples, run_in_loop, targets_of
from neuroasync.cli.options import PolicyName
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import InputMode
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.metrics import Summary, summarise

__all__ = [
    "ASYNC",
    "INPUTS",
    "SYNC",
    "Row",
    "RowResult",
    "every_row",
    "run_row",
    "stop_rule",
    "story_rows",
]

SYNC: Final = PolicyName.LAYER_SYNC.value
ASYNC: Final = PolicyName.RANDOM.value
"""The two policies that the story compares."""
INPUTS: Final[tuple[InputMode, ...]] = ("prioritised", "queued")


@dataclass(frozen=True, slots=True)
class Row:
    """Options of one run of a network: one row of the table."""

    policy: str
    group_size: int
    input: InputMode
    until: str = "quiet"

    @property
    def input_word(self) -> str:
        """The input mode in a table: input is delivered first, or queued with all spikes."""
        return "queued" if self.input == "queued" else "first"


@dataclass(frozen=True, slots=True)
class RowResult:
    """Result of one row.

    Attributes:
        network: Name of the network.
        row: Options of the run.
        decisions: One decision per sample.
        summary: Summary of the decisions.
    """

    network: str
    row: Row
    decisions: list[Decision]
    summary: Summary

    def to_json(self) -> dict[str, object]:
        """Return the options and the summary as one flat mapping."""
        return {"bundle": self.network, **asdict(self.row), **self.summary.to_json()}


def stop_rule(bundle: Bundle) -> str:
    """Return the stop rule that was chosen for the network on validation data, or ``quiet``."""
    rule = bundle.meta.get("until")
    return rule if isinstance(rule, str) else "quiet"


def story_rows(bundle: Bundle) -> list[Row]:
    """Return the rows of the story.

    These are layer-sync and random order with the same stop rule, in both input modes.
    """
    size, rule = bundle.policy.group_size, stop_rule(bundle)
    return [Row(policy, size, mode, rule) for mode in INPUTS for policy in (SYNC, ASYNC)]


def every_row(bundle: Bundle) -> list[Row]:
    """Return all rows of a network.

    These are all policies in both input modes, to the end of each sample and with the stop rule,
    and the trained options with F = 1.
    """
    size, trained = bundle.policy.group_size, bundle.policy
    rows = [
        Row(policy.value, size, mode, rule)
        for rule in ("quiet", stop_rule(bundle))
        for mode in INPUTS
        for policy in PolicyName
    ]
    rows.append(Row(trained.name, 1, trained.input))
    return list(dict.fromkeys(rows))


def run_row(
    name: str,
    bundle: Bundle,
    row: Row,
    spikes: SpikeTrains,
    numbers: range,
    seed: int,
    on_decision: Callable[[int], None],
) -> RowResult:
    """Decide on the samples with the options of one row.

    Args:
        name: Name of the network.
        bundle: Bundle of the network.
        row: Options of the run.
        spikes: Test samples.
        numbers: Numbers of the samples to decide on.
        seed: Seed of the order keys.
        on_decision: Called with the number of samples decided so far.
    """
    from neuroasync.runtime.network import Network

    network = Network(bundle, seed=seed, **asdict(row))
    decided = decide_samples(network, spikes, numbers, seed, on_decision=on_decision)
    decisions = run_in_loop(decided)
    summary = summarise(decisions, targets_of(spikes, numbers), neurons=bundle.model.size)
    return RowResult(name, row, decisions, summary)
