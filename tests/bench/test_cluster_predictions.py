"""The benchmark of the cluster puts the models beside the measured points."""

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

from bench.cluster_model import Costs
from bench.cluster_predictions import Decided, model_capacity, model_data_sets
from bench.result import Line, Result

FREE = Costs(0.0, 0.0, 0.0, 0.0)


def decided(workers, seconds):
    """Return measured times of a data set of 1,000 samples, each of which takes 1 ms."""
    line = Line(f"Ray workers, {workers}", figures={"min": seconds})
    return Decided(Result("", "", "", "", (line,), ()), 1000, np.full(5, 1e-3), FREE, 2.0)


def test_the_model_stands_beside_the_measured_points():
    one, two, *more = model_data_sets([decided(1, 1.1), decided(2, 0.55)]).lines
    assert one.figures == pytest.approx({"model s": 1, "measured s": 1.1, "measured/model": 1.1})
    # The last chunks are not equally long, so that one worker waits for the other.
    assert 0.5 <= two.figures["model s"] < 0.6
    assert two.figures["measured/model"] == pytest.approx(0.55 / two.figures["model s"])
    times = [line.figures["model s"] for line in more]
    assert times == sorted(times, reverse=True)


def test_a_million_streams_need_a_thousand_cores_that_are_never_idle():
    lines = model_capacity(np.full(5, 1e-3)).lines
    machines = [line.figures["machines"] for line in lines]
    assert 1000 / 16 / 0.9 <= machines[0] < 1000 / 16 * 1.2
    assert machines[:3] == sorted(machines[:3])
    assert machines[3] == pytest.approx(1.294 * machines[0], rel=0.1)
    assert all(line.figures["latency_ms_p99"] <= 5 for line in lines)
