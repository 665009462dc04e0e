"""The tables of the page of regimes compare all networks of a regime."""

from types import SimpleNamespace

from neuroasync.metrics.mean import Mean
from neuroasync.study import Grid
from neuroasync.study.results.statistics import PairedDifference
from tools.regimes_page import one_for_all


class Results:
    """Results of a regime whose networks have the same accuracy in every mode."""

    def __init__(self, accuracies):
        self.case = SimpleNamespace(name="regime", input="queued", grid=Grid())
        self.accuracies = accuracies

    def __contains__(self, training):
        return training in self.accuracies

    def accuracy(self, training, mode):
        return Mean(self.accuracies[training], None)

    def difference(self, one, other):
        difference = Mean(self.accuracies[one[0]] - self.accuracies[other[0]], None)
        return PairedDifference(difference, difference)


WITHOUT_FIFO = {
    "layered": 0.5,
    "unlayered-random": 0.625,
    "unlayered-momentum": 0.25,
    "unlayered-any": 0.875,
}


def test_a_network_for_fifo_order_counts_as_another_network():
    (row,) = one_for_all(Results(WITHOUT_FIFO | {"unlayered-fifo": 0.75}))
    assert row[2:6] == ["75.0, 75.0 (`unlayered-fifo`)", "87.5, 87.5", "+12.5", "-12.5"]


def test_a_regime_may_lack_a_network_for_fifo_order():
    (row,) = one_for_all(Results(WITHOUT_FIFO))
    assert row[2:6] == ["62.5, 62.5 (`unlayered-random`)", "87.5, 87.5", "+25.0", "-25.0"]
