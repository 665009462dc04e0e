"""The runs of the demo: every network under every ordering policy, and as it was trained."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from neuroasync.cli.decide_samples import decide_samples, run_in_loop, targets_of
from neuroasync.cli.options import PolicyName
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import InputMode
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.metrics import Summary, summarise

__all__ = ["Row", "RowResult", "rows_of", "run_row", "stop_rule", "trained_row"]

_GROUP_SIZE = 8
"""F of all rows except those with F = 1. The shipped networks were trained with this F."""


@dataclass(frozen=True, slots=True)
class Row:
    """Options of one run of a network: one row of the table."""

    policy: str
    group_size: int
    input: InputMode
    until: str = "quiet"


@dataclass(frozen=True, slots=True)
class RowResult:
    """Result of one row.

    Attributes:
        network: Name of the network.
        row: Options of the run.
        is_as_trained: Whether policy and input mode are those that the network was trained with.
        decisions: One decision per sample.
        summary: Summary of the decisions.
    """

    network: str
    row: Row
    is_as_trained: bool
    decisions: list[Decision]
    summary: Summary

    def to_json(self) -> dict[str, object]:
        """Return the options and the summary as one flat mapping."""
        return {"bundle": self.network, **asdict(self.row), **self.summary.to_json()}


def stop_rule(bundle: Bundle) -> str | None:
    """Return the stop rule that was chosen for the network on validation data, if any."""
    rule = bundle.meta.get("until")
    return rule if isinstance(rule, str) else None


def trained_row(bundle: Bundle, until: str = "quiet") -> Row:
    """Return the options that the network was trained with."""
    policy = bundle.policy
    return Row(policy.name, policy.group_size, policy.input, until)


def rows_of(bundle: Bundle) -> list[Row]:
    """Return all rows of a network.

    These are all policies with prioritised and with queued input, the trained policy with F = 1,
    and the trained options with the stop rule.
    """
    rows = [Row(policy.value, _GROUP_SIZE, "prioritised") for policy in PolicyName]
    rows += [Row(policy.value, _GROUP_SIZE, "queued") for policy in PolicyName]
    rows.append(Row(bundle.policy.name, 1, bundle.policy.input))
    if rule := stop_rule(bundle):
        rows.append(trained_row(bundle, rule))
        # For a layered network, also show the rule without layer synchronization.
        if bundle.policy.name == PolicyName.LAYER_SYNC:
            rows.append(Row(PolicyName.RANDOM.value, _GROUP_SIZE, "prioritised", rule))
    return rows


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
    trained = bundle.policy
    is_as_trained = (row.policy, row.input) == (trained.name, trained.input)
    summary = summarise(decisions, targets_of(spikes, numbers), neurons=bundle.model.size)
    return RowResult(name, row, is_as_trained, decisions, summary)
