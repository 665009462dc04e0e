"""Measurements convert to JSON and back; curves have a mean."""

import json

import numpy as np

from neuroasync.metrics import AnytimeCurve
from neuroasync.study import Mode
from neuroasync.study.results.records import BUDGETS, Curve, Measurement, mean_curve

MODE = Mode("fifo", 8, "queued")


def test_measurement_survives_the_round_trip_through_json(finished):
    for measurement in finished.measurements:
        assert Measurement.from_json(json.loads(json.dumps(measurement.to_json()))) == measurement


def test_budgets_ascend_from_0():
    assert BUDGETS[:5] == (0, 1, 2, 3, 4)
    assert BUDGETS[-1] == 2**16
    assert np.all(np.diff(BUDGETS) > 0)


def test_curve_drops_repeated_values_at_its_end():
    budget = np.array(BUDGETS)
    accuracy = np.minimum(budget, 3) / 4
    kept = Curve.of(MODE, AnytimeCurve("steps", budget, accuracy, accuracy))
    assert kept == Curve(MODE, "steps", [0.0, 0.25, 0.5, 0.75])


def test_mean_of_curves_extends_the_shorter_one():
    mean = mean_curve([Curve(MODE, "steps", [0.0, 1.0]), Curve(MODE, "steps", [0.5, 0.0, 0.25])])
    assert mean.unit == "steps"
    assert mean.budget.tolist() == [0, 1, 2]
    assert mean.accuracy.tolist() == [0.25, 0.5, 0.625]
