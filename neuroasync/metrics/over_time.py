"""Metrics of decisions over time: accuracy, confusion, latency after a change, and reliability.

Only intervals that have a class count. A decision is made at the end of an interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.core.formats.bundle import VoteWindow
from neuroasync.core.model.checks import check_int, must_be
from neuroasync.runtime.over_time.decisions import DecisionsOverTime

__all__ = [
    "Reliability",
    "SummaryOverTime",
    "calibrate_over_time",
    "reliability",
    "summarise_over_time",
]

_BINS: Final = 10
_HALVINGS: Final = 80
_MAX_SCALE: Final = 1e3
"""Largest scale that a calibration returns, as a multiple of votes."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How often decisions with a similar confidence are right.

    Attributes:
        counts: i64[bins], decisions in each bin; bin b has a confidence from b / bins to
            (b + 1) / bins.
        confidence: f64[bins], mean confidence of the decisions in each bin; nan if it is empty.
        accuracy: f64[bins], share of the decisions in each bin that is right; nan if it is empty.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float | None:
        """Expected calibration error: mean distance of accuracy and confidence; None if empty.

        Source:
            Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017,
            equation 3.
        """
        total = int(self.counts.sum())
        if not total:
            return None
        used = self.counts > 0
        distance = np.abs(self.accuracy - self.confidence)[used]
        return float((distance * self.counts[used]).sum() / total)

    def to_json(self) -> dict[str, Any]:
        """Return the bins and the error as lists and numbers, with None for nan."""
        lists = {
            name: [None if np.isnan(v) else v for v in getattr(self, name).tolist()]
            for name in ("confidence", "accuracy")
        }
        return {"error": self.error, "counts": self.counts.tolist(), **lists}


@dataclass(frozen=True, slots=True, eq=False)
class SummaryOverTime:
    """Summary of decisions over time. A value is None if there are no data for it.

    Attributes:
        samples: Number of samples.
        intervals: Number of intervals that have a class.
        accuracy: Share of these that were decided correctly; no decision counts as wrong.
        sample_accuracy: Mean over the samples of this share within each sample.
        balanced_accuracy: Mean over the classes of this share within each class.
        undecided: Number of these intervals without a decision.
        confusion: i64[classes, classes + 1], number of intervals by class and decision; the last
            column counts those without a decision.
        changes: Number of changes of the class: intervals whose class differs from that of the
            interval before, which may have no class.
        followed: Number of changes after which the new class was decided before it ended.
        latency_ms_p50, latency_ms_p90: Median and 90th percentile of the time from such a change to
            the first decision for the new class, ms.
        reliability: How often decisions with a similar confidence are right.
    """

    samples: int
    intervals: int
    accuracy: float | None
    sample_accuracy: float | None
    balanced_accuracy: float | None
    undecided: int
    confusion: NDArray[np.int64]
    changes: int
    followed: int
    latency_ms_p50: float | None
    latency_ms_p90: float | None
    reliability: Reliability

    def to_json(self) -> dict[str, Any]:
        """Return the values as a mapping for JSON."""
        return {
            "intervals": self.intervals,
            "accuracy": self.accuracy,
            "sample_accuracy": self.sample_accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "undecided": self.undecided,
            "confusion": self.confusion.tolist(),
            "changes": self.changes,
            "followed": self.followed,
            "change_latency_ms": {"p50": self.latency_ms_p50, "p90": self.latency_ms_p90},
            "reliability": self.reliability.to_json(),
        }


def summarise_over_time(
    decisions: Sequence[DecisionsOverTime], labels: LabelsOverTime
) -> SummaryOverTime:
    """Summarise decisions over time.

    Args:
        decisions: The decisions on each sample.
        labels: The classes of the intervals of the same samples.

    Raises:
        ValueError: The decisions are not those on these samples, or a class is out of range.
    """
    found, true, scores = _joined(decisions, labels)
    classes = scores.shape[1]
    counts = true >= 0
    right = found == true
    confusion = np.zeros((classes, classes + 1), np.int64)
    np.add.at(confusion, (true[counts], found[counts]), 1)  # -1 is the last column
    per_class = confusion.sum(1)
    present = per_class > 0
    recalls = confusion.diagonal()[present] / per_class[present]
    sizes = [len(d) for d in decisions]
    of_sample = np.repeat(np.arange(len(sizes)), sizes)[counts]
    each = np.bincount(of_sample, minlength=len(sizes))
    shares = np.bincount(of_sample, right[counts], len(sizes))[each > 0] / each[each > 0]
    changes, latencies = _latencies(decisions, labels)
    confidence = np.concatenate([np.zeros(0), *(d.confidence for d in decisions)])
    decided = counts & (found >= 0)
    p50, p90 = np.percentile(latencies, (50, 90)).tolist() if latencies else (None, None)
    return SummaryOverTime(
        samples=len(decisions),
        intervals=int(counts.sum()),
        accuracy=_mean(right[counts]),
        sample_accuracy=_mean(shares),
        balanced_accuracy=_mean(recalls),
        undecided=int((found[counts] < 0).sum()),
        confusion=confusion,
        changes=changes,
        followed=len(latencies),
        latency_ms_p50=p50,
        latency_ms_p90=p90,
        reliability=reliability(confidence[decided], right[decided]),
    )


def reliability(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], bins: int = _BINS
) -> Reliability:
    """Compare the confidence of decisions with how often they are right.

    Args:
        confidence: f64[decisions], from 0 to 1.
        is_right: bool[decisions].
        bins: Number of bins of equal width.

    Raises:
        ValueError: The arrays differ in length, or an argument is out of range.
    """
    bins = check_int("bins", bins, 1, 10_000, ValueError)
    if confidence.shape != is_right.shape:
        requirement = f"of the same length as `confidence` ({confidence.size})"
        raise ValueError(must_be("is_right", requirement, f"{is_right.size}"))
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("`confidence` must be numbers from 0 to 1")
    at = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(at, minlength=bins)
    empty = np.full(bins, np.nan)
    used = counts > 0
    means = [
        np.divide(np.bincount(at, values, bins), counts, out=empty.copy(), where=used)
        for values in (confidence, is_right)
    ]
    return Reliability(counts, *means)


def calibrate_over_time(
    decisions: Sequence[DecisionsOverTime], labels: LabelsOverTime, vote_window: VoteWindow
) -> VoteWindow:
    """Return the vote window with the scale whose confidence fits validation samples best.

    The scale minimises the negative log-likelihood of the classes of the intervals. It changes the
    confidence of the decisions, and not the decisions.

    Args:
        decisions: The decisions on each sample. The network must not have been trained on them.
        labels: The classes of the intervals of the same samples.
        vote_window: The vote window of the decisions.

    Raises:
        ValueError: The decisions are not those on these samples, or no interval has a class.

    Source:
        Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017,
        section 4.2 (temperature scaling); the scale is the inverse of the temperature.
    """
    _, true, scores = _joined(decisions, labels)
    scores, true = scores[true >= 0], true[true >= 0]
    if not true.size:
        raise ValueError("`labels` must have at least one interval with a class")
    of_class = scores[np.arange(true.size), true]
    low, high = np.log(1e-6), np.log(_MAX_SCALE)
    # The likelihood is concave in the scale, so its slope changes sign at most once.
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        shares = replace(vote_window, scale=float(np.exp(middle))).probabilities(scores)
        if float(((shares * scores).sum(1) - of_class).mean()) < 0:
            low = middle
        else:
            high = middle
    return replace(vote_window, scale=float(np.exp((low + high) / 2)))


def _joined(
    decisions: Sequence[DecisionsOverTime], labels: LabelsOverTime
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return decisions i64[K], classes i64[K] and scores f64[K, classes] of all intervals."""
    sizes = np.diff(labels.offsets).tolist()
    if [len(d) for d in decisions] != sizes or any(
        d.every_us != labels.every_us for d in decisions
    ):
        raise ValueError("`decisions` must have one decision for each interval of `labels`")
    classes = decisions[0].scores.shape[1] if decisions else 1
    if labels.labels.max(initial=-1) >= classes:
        at = int(np.argmax(labels.labels))
        requirement = f"at most {classes - 1}, because the network has {classes} classes"
        raise ValueError(must_be(f"labels[{at}]", requirement, str(labels.labels[at])))
    found = np.concatenate([np.zeros(0, np.int64), *(d.labels for d in decisions)])
    scores = np.concatenate([np.zeros((0, classes)), *(d.scores for d in decisions)])
    return found, labels.labels, scores


def _latencies(
    decisions: Sequence[DecisionsOverTime], labels: LabelsOverTime
) -> tuple[int, list[float]]:
    """Return the number of changes, and the time in ms after which each was followed."""
    changes, latencies = 0, []
    for k, found in enumerate(decisions):
        true = labels[k]
        begins = 1 + np.flatnonzero(true[1:] != true[:-1])
        bounds = [*begins.tolist(), true.size]
        for begin, end in pairwise(bounds):
            if true[begin] < 0:
                continue
            changes += 1
            right = np.flatnonzero(found.labels[begin:end] == true[begin])
            if right.size:
                latencies.append((int(right[0]) + 1) * labels.every_us / 1000)
    return changes, latencies


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if values.size else None
