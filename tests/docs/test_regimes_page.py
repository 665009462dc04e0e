"""The tables of the page of regimes compare all networks of a regime."""

from types import SimpleNamespace

import pytest

from neuroasync.metrics.mean import Mean
from neuroasync.study import Grid
from neuroasync.study.results.statistics import PairedDifference
from tools.regimes_page import one_for_all


class Results:
    """Results of a regime: one accuracy for each network, and others for some of its policies."""

    def __init__(self, accuracies):
        self.case = SimpleNamespace(name="regime", input="queued", grid=Grid())
        self.accuracies = accuracies

    def accuracy(self, training, mode):
        value = self.accuracies.get((training, mode.policy), self.accuracies[training])
        return Mean(value, None)

    def difference(self, one, other):
        difference = Mean(self.accuracies[one[0]] - self.accuracies[other[0]], None)
        return PairedDifference(difference, difference)


ACCURACIES = {
    "layered": 0.5,
    "unlayered-random": 0.625,
    "unlayered-momentum": 0.25,
    "unlayered-fifo": 0.75,
    "unlayered-any": 0.875,
}


@pytest.mark.parametrize("best", [name for name in ACCURACIES if name != "unlayered-any"])
def test_the_best_of_all_networks_for_one_order_is_compared(best):
    (row,) = one_for_all(Results(ACCURACIES | {best: 1.0}))
    assert row[2:6] == [f"100.0, 100.0 (`{best}`)", "87.5, 87.5", "-12.5", "12.5"]


def test_a_network_that_is_the_best_in_every_mode_is_behind_by_a_negative_difference():
    (row,) = one_for_all(Results(ACCURACIES))
    assert row[2:6] == ["75.0, 75.0 (`unlayered-fifo`)", "87.5, 87.5", "+12.5", "-12.5"]


def test_each_mode_is_compared_with_the_best_network_in_it():
    (row,) = one_for_all(Results(ACCURACIES | {("layered", "layer-sync"): 1.0}))
    assert row[2:6] == ["75.0, 75.0 (`unlayered-fifo`)", "87.5, 87.5", "+12.5", "12.5"]
