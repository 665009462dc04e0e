"""What networks decide in half the rounds, on average, of the layered one under layer-sync."""

from collections.abc import Iterator
from dataclasses import dataclass

from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.results.paired_comparison import CONTROL, UNLAYERED
from neuroasync.study.results.records import Run
from neuroasync.study.results.statistics import CaseResults, Mean
from neuroasync.train.recipes import Training

__all__ = ["DeadlineRow", "deadline_rows", "whole_mode"]


@dataclass(frozen=True, slots=True)
class DeadlineRow:
    """A network whose samples take at most so many rounds on average; single ones may take more.

    Attributes:
        training: how it was trained.
        mode: how it ran.
        accuracy: on held-out samples, by the rule that was chosen on validation samples.
        rounds: that it took there, on average.
    """

    training: Training
    mode: Mode
    accuracy: Mean
    rounds: Mean


def whole_mode(results: CaseResults) -> Mode:
    """The mode whose rounds until quiet are halved: layer-sync, with the case's input."""
    return Mode("layer-sync", GROUP_SIZE, results.case.input)


def deadline_rows(results: CaseResults) -> Iterator[DeadlineRow]:
    """The layered network under layer-sync, then it and each unlayered one in the latter's order.

    A seed's rule is that of the best accuracy on validation samples, among those that take at most
    half the rounds there on average; a network without any is left out.
    """
    if CONTROL not in results:
        return
    whole = whole_mode(results)
    limits = [run.validation_rounds / 2 for run in results.runs(CONTROL, whole)]
    for training, mode in _compared(results, whole):
        best = [
            _best(runs, limit)
            for runs, limit in zip(results.by_rule(training, mode), limits, strict=True)
        ]
        met = [run for run in best if run is not None]
        if len(met) == len(best):
            accuracy = Mean.of(run.accuracy for run in met)
            rounds = Mean.of(run.rounds_per_sample for run in met)
            yield DeadlineRow(training, mode, accuracy, rounds)


def _compared(results: CaseResults, whole: Mode) -> list[tuple[Training, Mode]]:
    """All that is compared, once each: what is trained for an order, and the same recipe there."""
    compared: list[tuple[Training, Mode]] = [(CONTROL, whole)]
    for training in UNLAYERED:
        if training in results:
            own = results.case.own_mode(training)
            compared += [(CONTROL, own), (training, own)]
    return list(dict.fromkeys(compared))


def _best(runs: list[Run], limit: float) -> Run | None:
    in_time = [run for run in runs if run.validation_rounds <= limit]
    return max(
        in_time, key=lambda run: (run.validation_accuracy, -run.validation_rounds), default=None
    )
