"""Means over seeds and differences between trainings, each with its standard error."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from neuroasync.study.design.case import Case, Mode
from neuroasync.study.results.records import Measured, Run
from neuroasync.train.recipes import Training

__all__ = ["CaseResults", "Difference", "Mean"]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds.

    Attributes:
        value: the mean.
        error: its standard error; None of a single seed.
    """

    value: float
    error: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> "Mean":
        """The mean of some values, one at least."""
        known = list(values)
        mean = math.fsum(known) / len(known)
        if len(known) < 2:
            return cls(mean, None)
        variance = math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)
        return cls(mean, math.sqrt(variance / len(known)))


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of one training less that of another, on the same samples, with the same seeds.

    Attributes:
        over_seeds: mean of the seeds' differences.
        over_samples: mean of the samples' differences; a sample that several seeds were measured
            on counts once, with its mean. Its error says what other samples might have given.
    """

    over_seeds: Mean
    over_samples: Mean

    @property
    def is_clear(self) -> bool:
        """Whether it is more than twice each standard error from 0; one seed has none."""
        means = (self.over_seeds, self.over_samples)
        known = [(abs(m.value), m.error) for m in means if m.error is not None]
        return bool(known) and all(size > 2 * error for size, error in known)


class CaseResults:
    """What was measured in one case.

    Args:
        case: the case.
        found: its networks.
    """

    def __init__(self, case: Case, found: Sequence[Measured]) -> None:
        self.case = case
        self._found = {(m.network.training, m.network.seed): m for m in found}
        self.seeds = list(dict.fromkeys(m.network.seed for m in found))
        self._runs: dict[tuple[str, int], dict[Mode, list[Run]]] = {}

    def __contains__(self, training: Training) -> bool:
        """Whether the case has such networks."""
        return training in self.case.trainings

    def networks(self, training: Training) -> list[Measured]:
        """Of every seed."""
        return [self._found[training, seed] for seed in self.seeds]

    def runs(self, training: Training, mode: Mode, *, chosen: bool = False) -> list[Run]:
        """The runs until quiet, or with the chosen rule, of every seed."""
        return [
            next(run for run in runs if (run.chosen if chosen else run.until == "quiet"))
            for runs in self.by_rule(training, mode)
        ]

    def by_rule(self, training: Training, mode: Mode) -> list[list[Run]]:
        """The runs with every rule, of every seed."""
        return [self._in_mode(measured, mode) for measured in self.networks(training)]

    def mean(
        self,
        training: Training,
        mode: Mode,
        value: Callable[[Run], float | None],
        *,
        chosen: bool = False,
    ) -> Mean | None:
        """Mean of a value over seeds; None where a seed has none."""
        values = [value(run) for run in self.runs(training, mode, chosen=chosen)]
        known = [v for v in values if v is not None]
        return Mean.of(known) if len(known) == len(values) else None

    def accuracy(self, training: Training, mode: Mode, *, chosen: bool = False) -> Mean:
        """Mean accuracy, 0 to 1."""
        return Mean.of(run.accuracy for run in self.runs(training, mode, chosen=chosen))

    def spikes(self, training: Training, mode: Mode, *, chosen: bool = False) -> Mean:
        """Mean number of spikes of a sample."""
        runs = self.runs(training, mode, chosen=chosen)
        return Mean.of(run.spikes_per_sample for run in runs)

    def rounds(self, training: Training, mode: Mode, *, chosen: bool = False) -> Mean:
        """Mean number of rounds of a sample."""
        runs = self.runs(training, mode, chosen=chosen)
        return Mean.of(run.rounds_per_sample for run in runs)

    def difference(
        self, one: tuple[Training, Mode], other: tuple[Training, Mode], *, chosen: bool = False
    ) -> Difference:
        """Accuracy of ``one`` less that of ``other``, paired by seed and sample."""
        pairs = [
            (
                self._found[one[0], seed].right(one[1], chosen=chosen),
                self._found[other[0], seed].right(other[1], chosen=chosen),
            )
            for seed in self.seeds
        ]
        rows = [[a - b for a, b in zip(right, wrong, strict=True)] for right, wrong in pairs]
        by_seed = [math.fsum(row) / len(row) for row in rows]
        # Folds have no sample in common, and a plan has at most a seed for each; else each seed
        # was measured on the same ones.
        lists = (
            [[value] for row in rows for value in row]
            if self.case.folds
            else zip(*rows, strict=True)
        )
        by_sample = [math.fsum(values) / len(values) for values in map(list, lists)]
        return Difference(Mean.of(by_seed), Mean.of(by_sample))

    def _in_mode(self, measured: Measured, mode: Mode) -> list[Run]:
        """The runs of a network in one mode; all are sorted by mode when first asked for."""
        network = measured.network.training, measured.network.seed
        if network not in self._runs:
            by_mode = self._runs[network] = {}
            for run in measured.runs:
                by_mode.setdefault(run.mode, []).append(run)
        return self._runs[network].get(mode, [])
