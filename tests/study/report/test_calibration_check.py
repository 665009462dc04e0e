"""Calibrated guarantees against held-out samples, computed by hand."""

from types import SimpleNamespace

import pytest

from neuroasync.study import Mode
from neuroasync.study.report.calibration_check import CalibrationCheck, calibration_table
from neuroasync.study.results.statistics import CaseResults

RANDOM = Mode("random", 8, "prioritised")


def run(accuracy, promised=None, error=None, rounds=10.0):
    """Return the fields of a run that the calibration check reads."""
    return SimpleNamespace(
        mode=RANDOM, promised=promised, promised_error=error, accuracy=accuracy, samples=100,
        rounds_per_sample=rounds,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("accuracy", "met", "not_refuted"),
    [
        (0.95, True, True),
        (0.91, True, True),
        (0.89, False, True),
        (0.85, False, True),
        (0.83, False, False),  # 0.9 - 2 * sqrt(0.9 * 0.1 / 100) is 0.84
    ],
)
def test_guarantee_is_met_or_not_refuted_by_100_samples(accuracy, met, not_refuted):
    check = CalibrationCheck(0.95, 0.05, run(accuracy))
    assert (check.is_met, check.is_not_refuted) == (met, not_refuted)


def test_guarantee_below_zero_is_always_met():
    check = CalibrationCheck(0.1, 0.2, run(0.0))
    assert check.is_met
    assert check.is_not_refuted


def test_row_states_its_number_of_seeds():
    seeds = [
        [run(0.5), run(0.96, 0.95, 0.03), run(0.99, 0.98, 0.01, 20.0)],
        [run(0.91, 0.95, 0.03)],
        [run(0.5)],
    ]
    measurements = [
        SimpleNamespace(network=SimpleNamespace(training="layered", seed=seed), runs=runs)
        for seed, runs in enumerate(seeds)
    ]
    case = SimpleNamespace(
        input="prioritised", trainings=("layered",), shown_mode=lambda training: RANDOM
    )
    table = calibration_table(CaseResults(case, measurements))
    assert table.columns[2] == "seeds"
    assert [row[:4] + row[5:] for row in table.rows] == [
        ["layered", "95", "2 of 3", "3.0", "-1.5 ± 2.5", "1 of 2", "2 of 2", "10.0 ± 0.0"],
        ["layered", "98", "1 of 3", "1.0", "+1.0", "1 of 1", "1 of 1", "20.0"],
    ]
