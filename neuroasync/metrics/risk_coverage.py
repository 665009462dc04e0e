"""Error among the samples that are answered, if unclear votes are left unanswered."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.recording.recording import Recording
from neuroasync.metrics.trajectory import check_targets, check_votes

__all__ = ["RiskCoverage", "risk_coverage"]


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Share of errors among answered samples against the share of samples that are answered.

    Attributes:
        margin: i64[thresholds], descending. At each threshold, the samples are answered whose
            label leads by at least that many votes.
        coverage: f64[thresholds], share of samples that are answered, ascending.
        risk: f64[thresholds], share of errors among those.
    """

    margin: NDArray[np.int64]
    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]


def risk_coverage(recording: Recording) -> RiskCoverage:
    """Compute the risk-coverage curve of a recording, with the margin of votes as confidence.

    Samples without a label are never answered.

    Args:
        recording: Recording of samples whose correct classes are known; they may have stopped
            early.

    Raises:
        RecordingError: The correct class of a sample is not known, or the output does not vote.

    Source:
        El-Yaniv and Wiener, On the foundations of noise-free selective classification, Journal of
        Machine Learning Research 11, 2010.
    """
    check_targets(recording)
    check_votes(recording)
    answered = recording.label >= 0
    votes = np.sort(recording.votes[answered], axis=1)
    second = votes[:, -2] if votes.shape[1] > 1 else 0
    lead = votes[:, -1] - second
    wrong = recording.label[answered] != recording.target[answered]
    margin, at = np.unique(-lead, return_inverse=True)
    count = np.cumsum(np.bincount(at, minlength=margin.size))
    errors = np.cumsum(np.bincount(at, wrong, margin.size))
    return RiskCoverage(-margin, count / max(len(recording), 1), errors / np.maximum(count, 1))
