"""Spike trains: what they accept, refuse and give back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain, SpikeTrains
from neuroasync.errors import SpikeFileError
from tests.helpers.strategies import models, spike_trains

NOTHING = np.zeros(0, np.int64)


@pytest.mark.parametrize(
    "values",
    [[1, 2], (1, 2), np.array([1, 2], np.uint8), np.array([1, 9, 2], np.int16)[::2], range(1, 3)],
)
def test_integers_of_any_kind_become_contiguous_int64(values):
    train = SpikeTrain(values, [0, 0])
    assert train.t_us.dtype == np.int64
    assert train.t_us.flags.c_contiguous
    assert train.t_us.tolist() == [1, 2]


def test_an_empty_list_is_an_empty_train():
    assert len(SpikeTrain([], [])) == 0


@pytest.mark.parametrize(
    ("t_us", "message"),
    [
        ([1.0], r"^t_us: float64 of shape \(1,\), expected integers in one dimension$"),
        ([True], r"^t_us: bool of shape \(1,\), expected integers"),
        ([[1]], r"^t_us: int64 of shape \(1, 1\), expected integers"),
        (5, r"^t_us: int64 of shape \(\), expected integers"),
        ([2**70], r"^t_us: object of shape \(1,\), expected integers"),
        ([None], r"^t_us: object of shape"),
        (["1"], r"^t_us: <U1 of shape"),
        ([[1], [1, 2]], r"^t_us: \[\[1\], \[1, 2\]\], expected a list of integers$"),
        (np.zeros(0), r"^t_us: float64 of shape \(0,\)"),
        (np.array([1, 2**63], np.uint64), r"^t_us\[1\]: 9223372036854775808, expected at most"),
        ([-1], r"^t_us\[0\]: -1, expected 0 to 9007199254740992$"),
        ([limits.MAX_TIME_US + 1], r"^t_us\[0\]: 9007199254740993, expected 0 to"),
    ],
)
def test_a_time_that_is_no_small_integer_is_refused_by_position(t_us, message):
    with pytest.raises(SpikeFileError, match=message):
        SpikeTrain(t_us, [0])


def test_times_that_fall_back_are_refused_by_position():
    with pytest.raises(SpikeFileError, match=r"^t_us\[2\]: 4 after 5, expected ascending times"):
        SpikeTrain([0, 5, 4], [0, 0, 0])


def test_lengths_that_differ_are_refused():
    with pytest.raises(SpikeFileError, match=r"^index: 1 events, expected 2 as in t_us$"):
        SpikeTrain([0, 5], [0])


def test_a_negative_index_is_refused_by_position():
    with pytest.raises(SpikeFileError, match=r"^index\[1\]: -3, expected from 0$"):
        SpikeTrain([0, 5], [0, -3])


def test_an_index_beyond_the_network_is_refused_by_position():
    train = SpikeTrain([0, 5], [0, 3])
    train.check_indices(4)
    with pytest.raises(
        SpikeFileError, match=r"^index\[1\]: 3, expected 0 to 2, the network's inputs$"
    ):
        train.check_indices(3)


def test_a_train_does_not_change_with_the_array_it_came_from():
    t_us = np.array([1, 2])
    train = SpikeTrain(t_us, [0, 0])
    t_us[0] = 7
    assert train.t_us.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        train.t_us[0] = 7


def test_trains_are_equal_by_their_events():
    assert SpikeTrain([1], [2]) == SpikeTrain(np.array([1], np.uint8), [2])
    assert SpikeTrain([1], [2]) != SpikeTrain([1], [3])
    assert SpikeTrain([1], [2]) != "train"


def trains(**changes):
    fields = {"t_us": [0, 9, 3], "index": [0, 1, 5], "offsets": [0, 2, 2, 3], "labels": [1, 0, 1]}
    return SpikeTrains(**(fields | {"shape": (2, 3)} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t_us": [0, 9, -3]}, r"^t_us\[2\]: -3, expected 0 to"),
        ({"t_us": [9, 0, 3]}, r"^t_us\[1\]: 0 after 9, expected ascending times in a sample$"),
        ({"t_us": [0.5, 9, 3]}, r"^t_us: float64 of shape \(3,\)"),
        ({"index": [0, 1]}, r"^index: 2 events, expected 3 as in t_us$"),
        ({"index": [0, -1, 5]}, r"^index\[1\]: -1, expected from 0$"),
        ({"index": [0, 1, 6]}, r"^index\[2\]: 6, expected 0 to 5, the cells of shape$"),
        ({"offsets": []}, r"^offsets: empty, expected one more than there are samples$"),
        ({"offsets": [1, 2, 2, 3]}, r"^offsets\[0\]: 1, expected 0$"),
        ({"offsets": [0, 2, 1, 3]}, r"^offsets\[2\]: 1 after 2, expected ascending offsets$"),
        ({"offsets": [0, 2, 2, 4]}, r"^offsets\[3\]: 4, expected 3, the number of events$"),
        ({"labels": [1, 0]}, r"^labels: 2 of them, expected one for 3 samples$"),
        ({"labels": [1, -1, 0]}, r"^labels\[1\]: -1, expected from 0$"),
        ({"labels": [1, 0.5, 0]}, r"^labels: float64 of shape"),
        ({"shape": ()}, r"^shape: \(\), expected a tuple of 1 to 8 integers$"),
        ({"shape": [2, 3]}, r"^shape: \[2, 3\], expected a tuple"),
        ({"shape": (0, 3)}, r"^shape\[0\]: 0, expected an integer from 1 to 16777216$"),
        ({"shape": (2, 3.0)}, r"^shape\[1\]: 3.0, expected an integer"),
        ({"shape": (True, 3)}, r"^shape\[0\]: True, expected an integer"),
        ({"shape": (2**13, 2**13)}, r"^shape: \(8192, 8192\) has 67108864 cells, the limit is"),
    ],
)
def test_trains_that_break_a_rule_are_refused_by_field_and_position(changes, message):
    with pytest.raises(SpikeFileError, match=message):
        trains(**changes)


def test_samples_are_found_by_index_and_in_order():
    spikes = trains()
    samples = [SpikeTrain([0, 9], [0, 1]), SpikeTrain([], []), SpikeTrain([3], [5])]
    assert len(spikes) == 3
    assert list(spikes) == samples
    assert [spikes[k] for k in (-3, -2, -1)] == samples
    assert spikes[np.int64(2)] == samples[2]


@pytest.mark.parametrize("k", [3, -4])
def test_a_sample_that_is_not_there_is_an_index_error(k):
    with pytest.raises(IndexError, match=rf"^sample {k}, expected -3 to 2$"):
        trains()[k]


def test_a_slice_with_a_step_is_refused():
    with pytest.raises(ValueError, match=r"^step 2, expected a slice of consecutive samples"):
        trains()[::2]


@given(start=st.none() | st.integers(-5, 5), stop=st.none() | st.integers(-5, 5))
def test_slices_hold_what_slices_of_a_list_hold(start, stop):
    spikes, span = trains(), slice(start, stop)
    assert list(spikes[span]) == list(spikes)[span]
    assert spikes[span].labels.tolist() == spikes.labels.tolist()[span]
    assert spikes[span].shape == spikes.shape


def test_a_slice_shares_memory():
    spikes = trains()
    assert np.shares_memory(spikes[1:].t_us, spikes.t_us)


@settings(deadline=None)
@given(data=st.data(), model=models(max_populations=1))
def test_trains_put_together_come_apart_the_same(data, model):
    samples = data.draw(st.lists(spike_trains(model), max_size=4))
    labels = data.draw(st.none() | st.just(list(range(len(samples)))))
    spikes = SpikeTrains.from_trains(iter(samples), model.input_shape, labels)
    assert list(spikes) == samples
    assert spikes == SpikeTrains.from_trains(list(spikes), model.input_shape, labels)


def test_equality_sees_labels_and_shape():
    assert trains() == trains()
    assert trains() != trains(labels=None)
    assert trains() != trains(labels=[1, 1, 1])
    assert trains() != trains(shape=(6,))
    assert trains() != 3


def test_no_samples_are_trains_too():
    spikes = SpikeTrains.from_trains([], (4,))
    assert len(spikes) == 0
    assert list(spikes[:]) == []
