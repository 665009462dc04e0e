"""Early answers: networks with stop rules that cost at most one percentage point.

Each network has the stop rule that took the fewest rounds on the validation samples, among those
that lost at most one point of accuracy there. The baseline has such a rule, too: it is the layered
network under layer-sync. A comparison with a baseline that is not stopped would credit the network
with what the rule alone saves.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from neuroasync.metrics.mean import Mean
from neuroasync.study.design.case import Mode
from neuroasync.study.results.half_budget import compared_networks, full_budget_mode
from neuroasync.study.results.paired_comparison import CONTROL
from neuroasync.study.results.records import RunRecord
from neuroasync.study.results.statistics import CaseResults
from neuroasync.train.recipes import Training

__all__ = ["EarlyRow", "early_rows"]


@dataclass(frozen=True, slots=True)
class EarlyRow:
    """A network with its stop rules, one for each seed, on held-out samples.

    Attributes:
        training: How the network was trained.
        mode: How it ran.
        accuracy: Accuracy.
        change: Accuracy minus that of the baseline, paired by seed.
        rounds, spikes: Mean numbers of rounds and of spikes.
        of_rounds, of_spikes: Those of the baseline.
    """

    training: Training
    mode: Mode
    accuracy: Mean
    change: Mean
    rounds: Mean
    spikes: Mean
    of_rounds: Mean
    of_spikes: Mean


def early_rows(results: CaseResults) -> Iterator[EarlyRow]:
    """Yield the baseline, then each policy with the networks to compare."""
    if CONTROL not in results:
        return
    baseline = _chosen(results, CONTROL, full_budget_mode(results))
    for training, mode in compared_networks(results):
        runs = _chosen(results, training, mode)
        pairs = zip(runs, baseline, strict=True)
        yield EarlyRow(
            training=training,
            mode=mode,
            accuracy=Mean.of(run.accuracy for run in runs),
            change=Mean.of(run.accuracy - other.accuracy for run, other in pairs),
            rounds=Mean.of(run.rounds_per_sample for run in runs),
            spikes=Mean.of(run.spikes_per_sample for run in runs),
            of_rounds=Mean.of(run.rounds_per_sample for run in baseline),
            of_spikes=Mean.of(run.spikes_per_sample for run in baseline),
        )


def _chosen(results: CaseResults, training: Training, mode: Mode) -> list[RunRecord]:
    """Return the run with the chosen rule of each seed."""
    return [
        next(run for run in runs if run.chosen_within_a_point)
        for runs in results.by_rule(training, mode)
    ]
