"""Metrics of decisions over time, worked out by hand."""

import numpy as np
import pytest

import neuroasync as na
from neuroasync import metrics
from tests.test_copies import DECISIONS

WINDOW = na.VoteWindow(1000, 1.0)


def decisions(votes):
    """Return decisions with these votes, f64[intervals, classes]."""
    scores = np.array(votes, float)
    cls = type(DECISIONS)
    return cls.from_scores(scores, WINDOW, 1000, DECISIONS.decision)


LABELS = na.LabelsOverTime([0, 0, 1, 1, 1, -1, 0, 2, 2], [0, 7, 9], 1000)
FOUND = [
    decisions([[3, 0, 0], [2, 0, 0], [1, 0, 0], [0, 4, 0], [0, 2, 0], [0, 1, 0], [0, 0, 0]]),
    decisions([[0, 0, 2], [5, 0, 0]]),
]


def test_a_summary_worked_by_hand():
    found = metrics.summarise_over_time(FOUND, LABELS)
    assert (found.samples, found.intervals, found.undecided) == (2, 8, 1)
    # Right: 0 0 . 1 1 of the first sample, whose last interval has no decision; 2 of the second.
    assert found.accuracy == 5 / 8
    assert found.sample_accuracy == pytest.approx((4 / 6 + 1 / 2) / 2)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 2 / 3 + 1 / 2) / 3)
    assert found.confusion.tolist() == [[2, 0, 0, 1], [1, 2, 0, 0], [1, 0, 1, 0]]
    # 0 to 1 is followed at the end of the second interval; none to 0 never is.
    assert (found.changes, found.followed) == (2, 1)
    assert (found.latency_ms_p50, found.latency_ms_p90) == (2.0, 2.0)
    assert int(found.reliability.counts.sum()) == 7
    assert found.to_json()["change_latency_ms"] == {"p50": 2.0, "p90": 2.0}


def test_nothing_gives_nothing():
    found = metrics.summarise_over_time([], na.LabelsOverTime([], [0], 1000))
    assert (found.accuracy, found.sample_accuracy, found.balanced_accuracy) == (None, None, None)
    assert (found.reliability.error, found.latency_ms_p50) == (None, None)


def test_reliability_compares_confidence_and_accuracy():
    confidence = np.array([0.55, 0.65, 1.0, 0.9])
    found = metrics.reliability(confidence, np.array([True, False, True, True]), bins=2)
    assert found.counts.tolist() == [0, 4]
    assert found.accuracy[1] == 0.75
    assert found.error == pytest.approx(abs(0.75 - confidence.mean()))
    assert found.to_json()["confidence"][0] is None


def test_a_calibration_finds_the_scale_that_made_the_labels():
    rng = np.random.default_rng(0)
    votes = rng.integers(0, 8, (20_000, 3))
    shares = na.VoteWindow(1000, 0.4).probabilities(votes)
    labels = (rng.random(len(votes))[:, None] > shares.cumsum(1)).sum(1)
    over = na.LabelsOverTime(labels, [0, len(labels)], 1000)
    found = metrics.calibrate_over_time([decisions(votes)], over, WINDOW)
    assert found.scale == pytest.approx(0.4, rel=0.05)
    calibrated = type(DECISIONS).from_scores(votes.astype(float), found, 1000, DECISIONS.decision)
    assert metrics.summarise_over_time([calibrated], over).reliability.error < 0.02
    assert metrics.summarise_over_time([decisions(votes)], over).reliability.error > 0.05


def test_a_calibration_of_perfect_decisions_is_finite():
    over = na.LabelsOverTime([0, 1], [0, 2], 1000)
    found = metrics.calibrate_over_time([decisions([[1, 0], [0, 1]])], over, WINDOW)
    assert 10 < found.scale <= 1000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.summarise_over_time(FOUND[:1], LABELS), "`decisions` must have one"),
        (
            lambda: metrics.summarise_over_time(FOUND, other_interval(2000)),
            "`decisions` must have one decision for each interval",
        ),
        (
            lambda: metrics.summarise_over_time(
                [decisions([[1, 0]])], na.LabelsOverTime([2], [0, 1], 1000)
            ),
            r"`labels\[0\]` must be at most 1, because the network has 2 classes, got 2",
        ),
        (
            lambda: metrics.calibrate_over_time(
                [decisions([[1, 0]])], na.LabelsOverTime([-1], [0, 1], 1000), WINDOW
            ),
            "at least one interval with a class",
        ),
        (lambda: metrics.reliability(np.zeros(2), np.zeros(1, bool)), "`is_right` must be of the"),
        (lambda: metrics.reliability(np.full(1, 1.5), np.zeros(1, bool)), "from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def other_interval(every_us):
    return na.LabelsOverTime(LABELS.labels, LABELS.offsets, every_us)
