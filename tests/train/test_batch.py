"""Batches sort the events of a data set by (time, index)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import SpikeTrain, SpikeTrains
from neuroasync.train.batch import sorted_by_time

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
