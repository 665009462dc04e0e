"""What ``confidence(p)`` promises, beside what held-out samples had."""

from neuroasync.study.document import Table
from neuroasync.study.records import Run
from neuroasync.study.statistics import CaseResults, Mean
from neuroasync.study.wording import counted, percent, points
from neuroasync.train.recipes import Training

__all__ = ["promise_table"]


def promise_table(results: CaseResults) -> Table:
    """Promises of the networks in the order trained for, those that every seed could make."""
    rows = [row for training in results.case.trainings for row in _rows(results, training)]
    return Table(
        "Calibrated on validation samples: confidence(p), each network in the order trained for. "
        "An error is how much lower the accuracy may be, in 95 of 100 calibrations; a promise is "
        "kept if the accuracy of held-out samples is not below that by more than the binomial "
        "error of their number",
        [
            "training", "promised, %", "stated error, points", "held out, %", "less promised",
            "kept", "rounds",
        ],
        rows,
    )  # fmt: skip


def _rows(results: CaseResults, training: Training) -> list[list[str]]:
    mode = results.case.own_mode(training)
    by_promise: dict[float, list[Run]] = {}
    for runs in results.by_rule(training, mode):
        for run in runs:
            if run.promised is not None:
                by_promise.setdefault(run.promised, []).append(run)
    return [
        [
            training,
            f"{100 * promised:g}",
            f"{100 * Mean.of(run.promised_error or 0.0 for run in runs).value:.1f}",
            percent(Mean.of(run.accuracy for run in runs)),
            points(Mean.of(run.accuracy - promised for run in runs)),
            f"{sum(map(is_kept, runs))} of {len(runs)}",
            counted(Mean.of(run.rounds_per_sample for run in runs)),
        ]
        for promised, runs in sorted(by_promise.items())
    ]


def is_kept(run: Run) -> bool:
    """Whether held-out samples are as good as promised, within both errors."""
    least = (run.promised or 0.0) - (run.promised_error or 0.0)
    spread: float = 2 * (least * (1 - least) / run.samples) ** 0.5
    return run.accuracy >= least - spread
