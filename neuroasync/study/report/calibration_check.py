"""Check of calibrated rules: guaranteed accuracy of ``confidence(p)`` against held-out samples."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from neuroasync.metrics.mean import Mean
from neuroasync.study.report.document import Table
from neuroasync.study.report.number_format import counted, input_name, percent, points
from neuroasync.study.results.records import RunRecord
from neuroasync.study.results.statistics import CaseResults
from neuroasync.train.recipes import Training

__all__ = ["CalibrationCheck", "calibration_table"]


@dataclass(frozen=True, slots=True)
class CalibrationCheck:
    """Guaranteed accuracy of one network with one seed, and its accuracy on held-out samples.

    Attributes:
        accuracy: Guaranteed accuracy.
        error: How much lower the true accuracy may be.
        run: Run on the held-out samples.
    """

    accuracy: float
    error: float
    run: RunRecord

    @property
    def is_met(self) -> bool:
        """Whether the held-out accuracy is at least the guarantee minus its error."""
        return self.run.accuracy >= self.accuracy - self.error

    @property
    def is_not_refuted(self) -> bool:
        """Whether it is at least that, minus twice the binomial standard error."""
        bound = max(self.accuracy - self.error, 0.0)
        return self.run.accuracy >= bound - 2 * math.sqrt(bound * (1 - bound) / self.run.samples)


def calibration_table(results: CaseResults) -> Table:
    """Return the guarantees of all networks, with means over the seeds that could give them."""
    rows = [row for training in results.case.trainings for row in _rows(results, training)]
    return Table(
        "Calibrated stop rules: confidence(p) guarantees an accuracy p, with leads chosen "
        "on validation samples. Each network runs under the policy it was trained for, input "
        f"{input_name(results.case.input)}; means are over the seeds that could guarantee p. In 95 "
        "of 100 calibrations, the true accuracy is lower than p by at most the stated error. Met: "
        "seeds whose accuracy on held-out samples is at least p minus that error. Not refuted: "
        "seeds where it is at least that, minus twice the binomial standard error of the held-out "
        "samples",
        [
            "training", "guaranteed, %", "seeds", "stated error, points", "held out, %",
            "held out minus guaranteed", "met", "not refuted", "rounds",
        ],
        rows,
    )  # fmt: skip


def _rows(results: CaseResults, training: Training) -> Iterator[list[str]]:
    by_accuracy: dict[float, list[CalibrationCheck]] = {}
    for check in _checks(results, training):
        by_accuracy.setdefault(check.accuracy, []).append(check)
    for accuracy, checks in sorted(by_accuracy.items()):
        yield [
            training,
            f"{100 * accuracy:g}",
            f"{len(checks)} of {len(results.seeds)}",
            f"{100 * Mean.of(check.error for check in checks).value:.1f}",
            percent(Mean.of(check.run.accuracy for check in checks)),
            points(Mean.of(check.run.accuracy - accuracy for check in checks)),
            f"{sum(check.is_met for check in checks)} of {len(checks)}",
            f"{sum(check.is_not_refuted for check in checks)} of {len(checks)}",
            counted(Mean.of(check.run.rounds_per_sample for check in checks)),
        ]


def _checks(results: CaseResults, training: Training) -> Iterator[CalibrationCheck]:
    for runs in results.by_rule(training, results.case.shown_mode(training)):
        for run in runs:
            if run.promised is not None and run.promised_error is not None:
                yield CalibrationCheck(run.promised, run.promised_error, run)
