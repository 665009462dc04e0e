"""The benchmark of the cluster puts the model beside the measured points."""

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")
pytest.importorskip("torch", reason="needs torch: pip install 'neuroasync[train]'")

from bench.cluster import Decided, model_capacity
from bench.result import Line, Result


def decided(workers, seconds):
    """Return measured times of a data set of 1,000 samples, each of which takes 1 ms."""
    line = Line(f"Ray workers, {workers}", figures={"min": seconds})
    return Decided(Result("", "", "", "", (line,), ()), 1000, np.full(5, 1e-3))


def test_the_model_predicts_the_measured_points_and_the_fleets():
    one, two, *fleets = model_capacity([decided(1, 1.1), decided(2, 0.55)]).lines
    assert one.figures == pytest.approx({"model s": 1, "measured s": 1.1, "measured/model": 1.1})
    assert two.figures == pytest.approx({"model s": 0.5, "measured s": 0.55, "measured/model": 1.1})
    # A million streams with a sample per second need a thousand cores that are never idle.
    machines = [line.figures["machines"] for line in fleets]
    assert 1000 / 16 / 0.9 <= machines[0] < 1000 / 16 * 1.2
    assert machines == sorted(machines)
    assert all(line.figures["latency_ms_p99"] <= 5 for line in fleets)
