"""Batches sort the events of a data set by (time, index), and refuse what they would round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import SpikeTrain, SpikeTrains
from neuroasync.train.batch import make_batch, sorted_by_time
from tests.helpers.small_trainings import TINY, tiny_samples

events = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6)


@given(st.lists(events, max_size=4))
def test_each_sample_is_sorted_by_itself(samples):
    trains = [
        SpikeTrain(*np.array(sorted(s, key=lambda e: e[0]), np.int64).reshape(-1, 2).T)
        for s in samples
    ]
    result = sorted_by_time(SpikeTrains.from_trains(trains, (4,)))
    pairs = [list(zip(t.t_us.tolist(), t.index.tolist(), strict=True)) for t in result]
    assert pairs == [sorted(sample) for sample in samples]


@given(st.lists(events, max_size=4))
def test_sorted_samples_are_returned_unchanged(samples):
    trains = [SpikeTrain(*np.array(sorted(s), np.int64).reshape(-1, 2).T) for s in samples]
    given_trains = SpikeTrains.from_trains(trains, (4,))
    assert sorted_by_time(given_trains) is given_trains


@pytest.mark.parametrize("seeds", [[0.9, 1], [-1, 0], [2**64, 0], ["1", "2"], [True, 0]])
def test_seeds_that_are_no_unsigned_integers_are_refused(seeds):
    with pytest.raises(ValueError, match=r"`seed` must be an integer from 0 to 2\*\*64 - 1, got "):
        make_batch(TINY, tiny_samples(4), [0, 1], seeds)


@pytest.mark.parametrize("seeds", [[], [1], [1, 2, 3]])
def test_another_number_of_seeds_than_of_samples_is_refused(seeds):
    with pytest.raises(ValueError, match="`seeds` must be one seed for each of the 2 samples, got"):
        make_batch(TINY, tiny_samples(4), [0, 1], seeds)


@pytest.mark.parametrize("number", [-1, 4, 2**62])
def test_the_number_of_a_sample_that_does_not_exist_is_refused(number):
    with pytest.raises(ValueError, match=r"`samples\[1\]` must be an integer from 0 to 3, got"):
        make_batch(TINY, tiny_samples(4), [0, number], [1, 2])


@pytest.mark.parametrize("numbers", [[0.5, 1.0], [True, False], ["0", "1"]])
def test_sample_numbers_that_would_be_rounded_are_refused(numbers):
    with pytest.raises(ValueError, match="`samples` must be one-dimensional integers"):
        make_batch(TINY, tiny_samples(4), numbers, [1, 2])
