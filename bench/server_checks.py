"""Checks of the responses, and of the counts of server and clients."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

from bench.load_generator import ConnectionOutcome, samples_of
from bench.result import CheckError
from neuroasync import Network, SpikeTrains

__all__ = ["check_all_answered", "check_counts_add_up", "check_counts_agree", "check_decisions"]


def check_all_answered(outcomes: Sequence[ConnectionOutcome]) -> None:
    """Raise CheckError unless every sample has exactly one response."""
    for o in outcomes:
        if o.answered != o.sent or o.twice:
            raise CheckError(
                f"connection {o.number}: {o.sent} samples sent, {o.answered} answered, "
                f"{o.twice} answered twice"
            )


def check_decisions(
    bundle: Path, outcomes: Sequence[ConnectionOutcome], spikes: SpikeTrains
) -> None:
    """Raise CheckError unless every decision equals that of ``decide_all``."""

    async def check() -> None:
        async with Network.load(bundle) as network:
            for o in outcomes:
                if not o.sent:
                    continue
                decisions = await network.decide_all(samples_of(o, spikes), seed=o.number)
                for n, decision in o.decided.items():
                    d = decisions[n]
                    if decision != (d.label, tuple(d.votes.tolist()), d.total_spikes, d.rounds):
                        raise CheckError(f"connection {o.number}, sample {n}: {decision}, run: {d}")

    uvloop.run(check())


def check_counts_agree(counts: Mapping[str, float], outcomes: Sequence[ConnectionOutcome]) -> None:
    """Raise CheckError unless server and clients agree on all counts and these add up."""
    by_clients = {
        "samples_sent": sum(o.sent for o in outcomes),
        "samples_accepted": sum(len(o.decided) for o in outcomes),
        "samples_dropped": sum(len(o.dropped) for o in outcomes),
        "samples_refused": sum(len(o.refused) for o in outcomes),
        "decisions": sum(len(o.decided) for o in outcomes),
        "samples_open": 0,
        "samples_waiting": 0,
        "events_waiting": 0,
    }
    for name, expected in by_clients.items():
        if counts[name] != expected:
            raise CheckError(f"{name}: the server counts {counts[name]}, the clients {expected}")
    check_counts_add_up(counts)


def check_counts_add_up(counts: Mapping[str, float]) -> None:
    """Raise CheckError unless the counts of the server add up."""
    settled = sum(counts[f"samples_{k}"] for k in ("accepted", "dropped", "refused"))
    if counts["samples_sent"] != settled:
        raise CheckError(f"samples: {counts['samples_sent']} sent, {settled} settled")
