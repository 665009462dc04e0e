"""Means, standard errors and differences, by hand."""

import math
from types import SimpleNamespace

import pytest

from neuroasync.metrics.mean import Mean
from neuroasync.study import Mode
from neuroasync.study.report.number_format import counted, mode_name, percent, points, share
from neuroasync.study.results.statistics import CaseResults, PairedDifference


def test_mean_and_its_standard_error():
    mean = Mean.of([1.0, 2.0, 3.0, 6.0])
    assert mean.value == 3.0
    assert mean.error == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 3 / 4))
    assert Mean.of([5.0]) == Mean(5.0, None)


@pytest.mark.parametrize(
    ("over_seeds", "over_samples", "clear"),
    [
        (Mean(0.05, 0.02), Mean(0.05, 0.01), True),
        (Mean(-0.05, 0.02), Mean(-0.05, 0.01), True),
        (Mean(0.05, 0.03), Mean(0.05, 0.01), False),
        (Mean(0.05, 0.0), Mean(0.05, 0.03), False),
        (Mean(0.05, None), Mean(0.05, 0.01), True),
        (Mean(0.0, 0.0), Mean(0.0, 0.0), False),
    ],
)
def test_difference_is_clear_beyond_twice_both_errors(over_seeds, over_samples, clear):
    assert PairedDifference(over_seeds, over_samples).is_clear is clear


RANDOM = Mode("random", 8, "prioritised")


def results(folds, rows):
    """Build results of two trainings; ``rows`` has the correct decisions of each seed."""
    measurements = [
        SimpleNamespace(
            network=SimpleNamespace(training=training, seed=seed),
            correct=lambda mode, chosen, correct=correct: correct,
        )
        for training, seeds in rows.items()
        for seed, correct in enumerate(seeds)
    ]
    return CaseResults(SimpleNamespace(folds=folds, trainings=tuple(rows)), measurements)


ROWS = {
    "unlayered-random": [[True, True, True, False], [True, True, False, False]],
    "layered": [[True, False, True, False], [True, False, False, True]],
}


def test_differences_are_paired_by_seed_and_by_sample():
    difference = results(0, ROWS).difference(("unlayered-random", RANDOM), ("layered", RANDOM))
    assert difference.over_seeds == Mean.of([0.25, 0.0])
    assert difference.over_samples == Mean.of([0.0, 1.0, 0.0, -0.5])


def test_samples_of_different_folds_count_separately():
    difference = results(5, ROWS).difference(("unlayered-random", RANDOM), ("layered", RANDOM))
    assert difference.over_seeds == Mean.of([0.25, 0.0])
    assert difference.over_samples == Mean.of([0, 1, 0, 0, 0, 1, 0, -1])


def test_number_formats():
    assert percent(Mean(0.96412, 0.0031)) == "96.4 ± 0.3"
    assert percent(Mean(0.5, None)) == "50.0"
    assert percent(None) == "-"
    assert points(Mean(-0.021, 0.005)) == "-2.1 ± 0.5"
    assert points(Mean(0.021, None)) == "+2.1"
    assert points(Mean(-0.0001, None)) == "+0.0"
    assert counted(Mean(1204.4, 31.2)) == "1,204 ± 31"
    assert counted(Mean(12.34, 0.56)) == "12.3 ± 0.6"
    assert share(Mean(31.0, 1.0), Mean(100.0, None)) == "31 %"
    assert share(None, Mean(1.0, None)) == "-"
    assert mode_name(Mode("fifo", 8, "queued"), with_size=True) == "fifo order, F = 8, input queued"
    assert mode_name(Mode("layer-sync", 1, "prioritised")) == "layer-sync"
