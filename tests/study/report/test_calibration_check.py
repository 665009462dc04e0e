"""Promises beside held-out samples, worked out by hand."""

from types import SimpleNamespace

import pytest

from neuroasync.study import Mode
from neuroasync.study.report.calibration_check import Promise, promise_table
from neuroasync.study.results.statistics import CaseResults

RANDOM = Mode("random", 8, "prioritised")


def run(accuracy, promised=None, error=None, rounds=10.0):
    return SimpleNamespace(
        mode=RANDOM, promised=promised, promised_error=error, accuracy=accuracy, samples=100,
        rounds_per_sample=rounds,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("accuracy", "held", "not_refuted"),
    [
        (0.95, True, True),
        (0.91, True, True),
        (0.89, False, True),
        (0.85, False, True),
        (0.83, False, False),  # 0.9 less twice sqrt(0.9 * 0.1 / 100) = 0.03 is 0.84
    ],
)
def test_held_and_not_refuted_by_a_hundred_samples(accuracy, held, not_refuted):
    promise = Promise(0.95, 0.05, run(accuracy))
    assert (promise.is_held, promise.is_not_refuted) == (held, not_refuted)


def test_a_promise_of_less_than_nothing_is_held_by_any_accuracy():
    promise = Promise(0.1, 0.2, run(0.0))
    assert promise.is_held
    assert promise.is_not_refuted


def test_a_row_says_over_how_many_seeds_it_is():
    seeds = [
        [run(0.5), run(0.96, 0.95, 0.03), run(0.99, 0.98, 0.01, 20.0)],
        [run(0.91, 0.95, 0.03)],
        [run(0.5)],
    ]
    found = [
        SimpleNamespace(network=SimpleNamespace(training="layered", seed=seed), runs=runs)
        for seed, runs in enumerate(seeds)
    ]
    case = SimpleNamespace(
        input="prioritised", trainings=("layered",), shown_mode=lambda training: RANDOM
    )
    table = promise_table(CaseResults(case, found))
    assert table.columns[2] == "seeds"
    assert [row[:4] + row[5:] for row in table.rows] == [
        ["layered", "95", "2 of 3", "3.0", "-1.5 ± 2.5", "1 of 2", "2 of 2", "10.0 ± 0.0"],
        ["layered", "98", "1 of 3", "1.0", "+1.0", "1 of 1", "1 of 1", "20.0"],
    ]
