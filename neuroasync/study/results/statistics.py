"""Means over seeds and differences between trainings, with their standard errors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neuroasync.metrics.mean import Mean
from neuroasync.study.design.case import Case, Mode
from neuroasync.study.results.records import Measurement, RunRecord
from neuroasync.train.recipes import Training

__all__ = ["CaseResults", "PairedDifference"]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Accuracy of one training minus that of another, on the same samples with the same seeds.

    Attributes:
        over_seeds: Mean over the differences of the seeds.
        over_samples: Mean over the differences of the samples. A sample that several seeds were
            measured on counts once, with its mean. The standard error shows how much the result
            depends on the choice of samples.
    """

    over_seeds: Mean
    over_samples: Mean

    @property
    def is_clear(self) -> bool:
        """Whether it exceeds twice each standard error; a single seed has none over seeds."""
        means = (self.over_seeds, self.over_samples)
        known = [(abs(m.value), m.error) for m in means if m.error is not None]
        return bool(known) and all(size > 2 * error for size, error in known)


class CaseResults:
    """The measurements of one case.

    Args:
        case: The case.
        measurements: Measurements of all its networks.
    """

    def __init__(self, case: Case, measurements: Sequence[Measurement]) -> None:
        self.case = case
        self._measurements = {(m.network.training, m.network.seed): m for m in measurements}
        self.seeds = list(dict.fromkeys(m.network.seed for m in measurements))
        self._runs: dict[tuple[str, int], dict[Mode, list[RunRecord]]] = {}

    def __contains__(self, training: Training) -> bool:
        """Return whether the case has this training."""
        return training in self.case.trainings

    def networks(self, training: Training) -> list[Measurement]:
        """Return the measurements of a training, one per seed."""
        return [self._measurements[training, seed] for seed in self.seeds]

    def runs(self, training: Training, mode: Mode, *, chosen: bool = False) -> list[RunRecord]:
        """Return the runs until quiet, or with the chosen rule, one per seed."""
        return [
            next(run for run in runs if (run.chosen if chosen else run.until == "quiet"))
            for runs in self.by_rule(training, mode)
        ]

    def by_rule(self, training: Training, mode: Mode) -> list[list[RunRecord]]:
        """Return the runs with every rule, one list per seed."""
        return [self._in_mode(measurement, mode) for measurement in self.networks(training)]

    def mean(
        self,
        training: Training,
        mode: Mode,
        value: Callable[[RunRecord], float | None],
        *,
        chosen: bool = False,
    ) -> Mean | None:
        """Return the mean of a value over seeds, or None if it is missing for a seed."""
        values = [value(run) for run in self.runs(training, mode, chosen=chosen)]
        known = [v for v in values if v is not None]
        return Mean.of(known) if len(known) == len(values) else None

    def accuracy(self, training: Training, mode: Mode, *, chosen: bool = False) -> Mean:
        """Return the mean accuracy, 0 to 1."""
        return Mean.of(run.accuracy for run in self.runs(training, mode, chosen=chosen))

    def spikes(self, training: Training, mode: Mode, *, chosen: bool = False) -> Mean:
        """Return the mean number of spikes per sample."""
        runs = self.runs(training, mode, chosen=chosen)
        return Mean.of(run.spikes_per_sample for run in runs)

    def rounds(self, training: Training, mode: Mode, *, chosen: bool = False) -> Mean:
        """Return the mean number of rounds per sample."""
        runs = self.runs(training, mode, chosen=chosen)
        return Mean.of(run.rounds_per_sample for run in runs)

    def difference(
        self, one: tuple[Training, Mode], other: tuple[Training, Mode], *, chosen: bool = False
    ) -> PairedDifference:
        """Return the accuracy of ``one`` minus that of ``other``, paired by seed and sample."""
        pairs = [
            (
                self._measurements[one[0], seed].correct(one[1], chosen=chosen),
                self._measurements[other[0], seed].correct(other[1], chosen=chosen),
            )
            for seed in self.seeds
        ]
        rows = [[a - b for a, b in zip(first, second, strict=True)] for first, second in pairs]
        by_seed = [math.fsum(row) / len(row) for row in rows]
        # Folds share no samples, and a plan has at most one seed per fold, so every value belongs
        # to a different sample. Without folds, all seeds were measured on the same samples.
        lists = (
            [[value] for row in rows for value in row]
            if self.case.folds
            else zip(*rows, strict=True)
        )
        by_sample = [math.fsum(values) / len(values) for values in map(list, lists)]
        return PairedDifference(Mean.of(by_seed), Mean.of(by_sample))

    def _in_mode(self, measurement: Measurement, mode: Mode) -> list[RunRecord]:
        """Return the runs of a network in one mode; the first call groups all runs by mode."""
        network = measurement.network.training, measurement.network.seed
        if network not in self._runs:
            by_mode = self._runs[network] = {}
            for run in measurement.runs:
                by_mode.setdefault(run.mode, []).append(run)
        return self._runs[network].get(mode, [])
