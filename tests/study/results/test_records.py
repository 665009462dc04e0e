"""Measurements go to JSON and back, and curves to their mean."""

import json

import numpy as np

from neuroasync.metrics import AnytimeCurve
from neuroasync.study import Mode
from neuroasync.study.results.records import BUDGETS, Curve, Measured, mean_curve

MODE = Mode("fifo", 8, "queued")


def test_what_was_measured_is_the_same_after_json(finished):
    for measured in finished.found:
        assert Measured.from_json(json.loads(json.dumps(measured.to_json()))) == measured


def test_budgets_ascend_from_0():
    assert BUDGETS[:5] == (0, 1, 2, 3, 4)
    assert BUDGETS[-1] == 2**16
    assert np.all(np.diff(BUDGETS) > 0)


def test_a_curve_keeps_its_values_up_to_the_last_that_differs():
    budget = np.array(BUDGETS)
    accuracy = np.minimum(budget, 3) / 4
    kept = Curve.of(MODE, AnytimeCurve("steps", budget, accuracy, accuracy))
    assert kept == Curve(MODE, "steps", [0.0, 0.25, 0.5, 0.75])


def test_the_mean_of_curves_holds_the_last_value_of_the_shorter():
    mean = mean_curve([Curve(MODE, "steps", [0.0, 1.0]), Curve(MODE, "steps", [0.5, 0.0, 0.25])])
    assert mean.unit == "steps"
    assert mean.budget.tolist() == [0, 1, 2]
    assert mean.accuracy.tolist() == [0.25, 0.5, 0.625]
