"""What ``confidence(p)`` promises, beside what held-out samples had."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from neuroasync.study.report.document import Table
from neuroasync.study.report.number_format import counted, input_name, percent, points
from neuroasync.study.results.records import Run
from neuroasync.study.results.statistics import CaseResults, Mean
from neuroasync.train.recipes import Training

__all__ = ["Promise", "promise_table"]


@dataclass(frozen=True, slots=True)
class Promise:
    """What one seed's network promises, and what its held-out samples had.

    Attributes:
        accuracy: that is promised.
        error: how much lower it may be.
        run: on the held-out samples.
    """

    accuracy: float
    error: float
    run: Run

    @property
    def is_held(self) -> bool:
        """Whether held-out samples had the accuracy promised, less the error stated."""
        return self.run.accuracy >= self.accuracy - self.error

    @property
    def is_not_refuted(self) -> bool:
        """Whether they had that, less twice the binomial standard error of their number."""
        least = max(self.accuracy - self.error, 0.0)
        return self.run.accuracy >= least - 2 * math.sqrt(least * (1 - least) / self.run.samples)


def promise_table(results: CaseResults) -> Table:
    """Promises of the networks in the order trained for, each over the seeds that could make it."""
    rows = [row for training in results.case.trainings for row in _rows(results, training)]
    return Table(
        "Calibrated on validation samples: confidence(p), each network in the order trained for, "
        f"input {input_name(results.case.input)}, over the seeds that could promise it. In 95 of "
        "100 calibrations the accuracy is at most the stated error lower. Held: seeds whose "
        "accuracy on held-out samples is not below the promise less that error; not refuted: "
        "seeds where it is not below that by more than twice the binomial standard error of the "
        "held-out samples",
        [
            "training", "promised, %", "seeds", "stated error, points", "held out, %",
            "less promised", "held", "not refuted", "rounds",
        ],
        rows,
    )  # fmt: skip


def _rows(results: CaseResults, training: Training) -> Iterator[list[str]]:
    by_promise: dict[float, list[Promise]] = {}
    for promise in _promises(results, training):
        by_promise.setdefault(promise.accuracy, []).append(promise)
    for accuracy, made in sorted(by_promise.items()):
        yield [
            training,
            f"{100 * accuracy:g}",
            f"{len(made)} of {len(results.seeds)}",
            f"{100 * Mean.of(promise.error for promise in made).value:.1f}",
            percent(Mean.of(promise.run.accuracy for promise in made)),
            points(Mean.of(promise.run.accuracy - accuracy for promise in made)),
            f"{sum(promise.is_held for promise in made)} of {len(made)}",
            f"{sum(promise.is_not_refuted for promise in made)} of {len(made)}",
            counted(Mean.of(promise.run.rounds_per_sample for promise in made)),
        ]


def _promises(results: CaseResults, training: Training) -> Iterator[Promise]:
    for runs in results.by_rule(training, results.case.shown_mode(training)):
        for run in runs:
            if run.promised is not None and run.promised_error is not None:
                yield Promise(run.promised, run.promised_error, run)
