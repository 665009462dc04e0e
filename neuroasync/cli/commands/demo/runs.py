"""What the demo runs: every network under every order, and as it was trained."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from neuroasync.cli.decide_samples import decide_samples, run_in_loop, targets_of
from neuroasync.cli.options import PolicyName
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import InputMode
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.bundle import Bundle
from neuroasync.metrics import Summary, summarise

__all__ = ["Result", "Row", "own_row", "rows_of", "run_row", "stop_rule"]

_GROUP_SIZE = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One way to run a network."""

    policy: str
    group_size: int
    input: InputMode
    until: str = "quiet"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row.

    Attributes:
        network: its name.
        row: how it ran.
        is_own: it ran in the order it was trained for.
        decisions: one per sample.
        summary: of them.
    """

    network: str
    row: Row
    is_own: bool
    decisions: list[Decision]
    summary: Summary

    def to_json(self) -> dict[str, object]:
        """The row and its summary, flat."""
        return {"bundle": self.network, **asdict(self.row), **self.summary.to_json()}


def stop_rule(bundle: Bundle) -> str | None:
    """The stop rule that was chosen for the network, on validation data."""
    rule = bundle.meta.get("until")
    return rule if isinstance(rule, str) else None


def own_row(bundle: Bundle, until: str = "quiet") -> Row:
    """As the network was trained to run."""
    own = bundle.policy
    return Row(own.name, own.group_size, own.input, until)


def rows_of(bundle: Bundle) -> list[Row]:
    """All orders, input first and queued; its own, spike by spike; its own, stopped early."""
    rows = [Row(policy.value, _GROUP_SIZE, "prioritised") for policy in PolicyName]
    rows += [Row(policy.value, _GROUP_SIZE, "queued") for policy in PolicyName]
    rows.append(Row(bundle.policy.name, 1, bundle.policy.input))
    if rule := stop_rule(bundle):
        rows.append(own_row(bundle, rule))
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
) -> Result:
    """Decide on the samples in one way."""
    from neuroasync.runtime.network import Network

    network = Network(bundle, seed=seed, **asdict(row))
    decided = decide_samples(network, spikes, numbers, seed, on_decision=on_decision)
    decisions = run_in_loop(decided)
    own = bundle.policy
    is_own = (row.policy, row.input) == (own.name, own.input)
    summary = summarise(decisions, targets_of(spikes, numbers), neurons=bundle.model.size)
    return Result(name, row, is_own, decisions, summary)
