"""Decisions of a network on a data set, and the arguments that would make none of them."""

import numpy as np
import pytest

from neuroasync.core.formats.bundle import VoteWindow
from neuroasync.train import RunSettings, SpikingNetwork, evaluate, evaluate_over_time
from tests.helpers.labels_over_time import changing_samples
from tests.helpers.small_trainings import TINY, tiny_samples

NETWORK = SpikingNetwork(TINY, device="cpu")
WRONG = [
    ({"batch_size": 0}, "`batch_size` must be an integer of at least 1, got 0"),
    ({"batch_size": -1}, "`batch_size` must be an integer of at least 1, got -1"),
    ({"batch_size": 2.5}, "`batch_size` must be an integer of at least 1, got 2.5"),
    ({"seed": -1}, r"`seed` must be an integer from 0 to 2\*\*64 - 1, got -1"),
    ({"seed": "a"}, r"`seed` must be an integer from 0 to 2\*\*64 - 1, got 'a'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_arguments_that_would_leave_samples_undecided_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(NETWORK, tiny_samples(5), RunSettings(), **options)
    with pytest.raises(ValueError, match=message):
        evaluate_over_time(NETWORK, changing_samples(5), RunSettings(), VoteWindow(4000), **options)


def test_the_batch_size_does_not_change_the_result():
    network = SpikingNetwork(TINY, device="cpu")
    network.reset_parameters(1)
    results = [evaluate(network, tiny_samples(7), RunSettings(), batch_size=n) for n in (1, 3, 256)]
    assert len(np.unique(results[0][0])) > 1
    for labels, spikes in results:
        assert labels.tolist() == results[0][0].tolist()
        assert spikes.tolist() == results[0][1].tolist()
