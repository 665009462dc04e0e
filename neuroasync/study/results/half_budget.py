"""Accuracy of networks with half of the rounds that the layered one takes under layer-sync."""

from collections.abc import Iterator
from dataclasses import dataclass

from neuroasync.metrics.mean import Mean
from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.results.paired_comparison import CONTROL, UNLAYERED
from neuroasync.study.results.records import RunRecord
from neuroasync.study.results.statistics import CaseResults
from neuroasync.train.recipes import Training

__all__ = [
    "HalfBudgetRow",
    "best_within",
    "compared_networks",
    "full_budget_mode",
    "half_budget_rows",
]


@dataclass(frozen=True, slots=True)
class HalfBudgetRow:
    """A network whose samples meet the budget on average; single samples may exceed it.

    Attributes:
        training: How the network was trained.
        mode: How it ran.
        accuracy: Accuracy on held-out samples, with the rule chosen on validation samples.
        rounds: Mean number of rounds on held-out samples.
    """

    training: Training
    mode: Mode
    accuracy: Mean
    rounds: Mean


def full_budget_mode(results: CaseResults) -> Mode:
    """Return the mode that defines the full budget: layer-sync, with the input of the case."""
    return Mode("layer-sync", GROUP_SIZE, results.case.input)


def half_budget_rows(results: CaseResults) -> Iterator[HalfBudgetRow]:
    """Yield the layered network under layer-sync, then each policy with the networks to compare.

    For each policy that an unlayered network is trained for, these are the layered network and the
    unlayered one. The rule of a seed is the one with the best accuracy on validation samples, among
    the rules that take at most half of the rounds there on average. A network without such a rule
    is left out.
    """
    if CONTROL not in results:
        return
    full = full_budget_mode(results)
    budgets = [run.validation_rounds / 2 for run in results.runs(CONTROL, full)]
    for training, mode in compared_networks(results):
        best = [
            best_within(runs, budget)
            for runs, budget in zip(results.by_rule(training, mode), budgets, strict=True)
        ]
        met = [run for run in best if run is not None]
        if len(met) == len(best):
            accuracy = Mean.of(run.accuracy for run in met)
            rounds = Mean.of(run.rounds_per_sample for run in met)
            yield HalfBudgetRow(training, mode, accuracy, rounds)


def compared_networks(results: CaseResults) -> list[tuple[Training, Mode]]:
    """Return all networks and modes to compare without duplicates, layer-sync first."""
    compared: list[tuple[Training, Mode]] = [(CONTROL, full_budget_mode(results))]
    for training in UNLAYERED:
        if training in results:
            mode = results.case.trained_mode(training)
            compared += [(CONTROL, mode), (training, mode)]
    return list(dict.fromkeys(compared))


def best_within(runs: list[RunRecord], budget: float) -> RunRecord | None:
    """Return the run whose rule is best on validation samples within a budget of mean rounds.

    Args:
        runs: The runs of a network in one mode, one for each rule.
        budget: Maximum of the mean rounds on the validation samples.

    Returns:
        The run; of equally accurate ones the one with the fewest rounds. None if no rule is within
        the budget.
    """
    within = [run for run in runs if run.validation_rounds <= budget]
    return max(
        within, key=lambda run: (run.validation_accuracy, -run.validation_rounds), default=None
    )
