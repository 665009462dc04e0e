"""Spike trains: what they accept, refuse and give back."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.errors import EventsError
from tests.helpers.strategies import models, spike_trains

NOTHING = np.zeros(0, np.int64)


def pickled(value):
    return pickle.loads(pickle.dumps(value))


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
        ([1.5], r"^`t_us` must be one-dimensional integers, got float64 of shape \(1,\); if they"),
        ([True], r"^`t_us` must be one-dimensional integers, got bool of shape \(1,\); np\.flatn"),
        ([[1]], r"^`t_us` must be one-dimensional integers, got int64 of shape \(1, 1\)$"),
        (5, r"^`t_us` must be one-dimensional integers, got int64 of shape \(\)$"),
        ([2**70], r"^`t_us` must be one-dimensional integers, got object of shape \(1,\)$"),
        ([None], r"^`t_us` must be one-dimensional integers, got object of shape \(1,\)$"),
        (["1"], r"^`t_us` must be one-dimensional integers, got <U1 of shape \(1,\)$"),
        ([[1], [1, 2]], r"^`t_us` must be a list of integers, got \[\[1\], \[1, 2\]\]$"),
        (np.zeros(0), r"^`t_us` must be one-dimensional integers, got float64 of shape \(0,\)$"),
        (np.array([1, 2**63], np.uint64), r"^`t_us\[1\]` must be at most 9223372036854775807, got"),
        ([-1], r"^`t_us\[0\]` must be at least 0, got -1$"),
        ([limits.MAX_TIME_US + 1], r"^`t_us\[0\]` must be at most 9007199254740992, got 900719925"),
    ],
)
def test_invalid_time_is_rejected_by_position(t_us, message):
    with pytest.raises(EventsError, match=message):
        SpikeTrain(t_us, [0])


def test_decreasing_time_is_rejected_by_position():
    with pytest.raises(
        EventsError,
        match=r"^`t_us\[2\]` must be at least 5, the time of the event before it in the ",
    ):
        SpikeTrain([0, 5, 4], [0, 0, 0])


def test_arrays_of_different_length_are_rejected():
    with pytest.raises(
        EventsError, match=r"^`index` must be of the same length as `t_us` \(2\), got 1 events$"
    ):
        SpikeTrain([0, 5], [0])


def test_negative_index_is_rejected_by_position():
    with pytest.raises(EventsError, match=r"^`index\[1\]` must be at least 0, got -3$"):
        SpikeTrain([0, 5], [0, -3])


def test_index_beyond_the_network_is_rejected_by_position():
    train = SpikeTrain([0, 5], [0, 3])
    train.check_indices(4)
    with pytest.raises(
        EventsError,
        match=r"^`index\[1\]` must be at most 2 \(the network has 3 inputs\), got 3$",
    ):
        train.check_indices(3)


def test_train_is_independent_of_the_array_it_was_made_from():
    t_us = np.array([1, 2])
    train = SpikeTrain(t_us, [0, 0])
    t_us[0] = 7
    assert train.t_us.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        train.t_us[0] = 7


def test_the_owner_of_a_read_only_view_cannot_change_a_train():
    owner = np.array([1, 2])
    view = owner.view()
    view.flags.writeable = False
    train = SpikeTrain(view, view[:])
    owner[:] = 2**40
    assert (train.t_us.tolist(), train.index.tolist()) == ([1, 2], [1, 2])


def test_a_read_only_buffer_is_copied(tmp_path):
    np.save(tmp_path / "t.npy", np.array([1, 2]))
    mapped = np.load(tmp_path / "t.npy", mmap_mode="r")
    writable = np.frombuffer(memoryview(bytearray(mapped.tobytes())).toreadonly(), np.int64)
    released = np.frombuffer(memoryview(mapped.tobytes()), np.int64)
    for array in (mapped, writable, released):
        train = SpikeTrain(array, [0, 0])
        assert train.t_us.tolist() == [1, 2]
        assert not np.shares_memory(train.t_us, array)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_array_of_a_pickle_cannot_change_a_train(protocol):
    # NumPy lets an array of more than 1,000 bytes use the memory of the pickle's bytes.
    array = pickle.loads(pickle.dumps(np.zeros(200, np.int64), protocol))
    view = array[:]
    fixed = array.view()
    fixed.flags.writeable = False
    array.flags.writeable = False
    trains = SpikeTrain(array, array), SpikeTrain(fixed, fixed)
    view[:] = 2**40
    for train in trains:
        assert not train.t_us.any()
        assert not train.index.any()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_copies_and_pickles_are_equal_and_stay_read_only(duplicate):
    for original in (SpikeTrain([0, 5], [0, 1]), trains(), trains(labels=None)[1:]):
        found = duplicate(original)
        assert found == original
        assert not found.t_us.flags.writeable
        assert not found.index.flags.writeable


def test_trains_are_equal_by_their_events():
    assert SpikeTrain([1], [2]) == SpikeTrain(np.array([1], np.uint8), [2])
    assert SpikeTrain([1], [2]) != SpikeTrain([1], [3])
    assert SpikeTrain([1], [2]) != "train"


def trains(**changes):
    """Return three trains, with some fields replaced."""
    fields = {"t_us": [0, 9, 3], "index": [0, 1, 5], "offsets": [0, 2, 2, 3], "labels": [1, 0, 1]}
    return SpikeTrains(**(fields | {"shape": (2, 3)} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t_us": [0, 9, -3]}, r"^`t_us\[2\]` must be at least 0, got -3$"),
        ({"t_us": [9, 0, 3]}, r"^`t_us\[1\]` must be at least 9, the time of the event before it"),
        ({"t_us": [0.5, 9, 3]}, r"^`t_us` must be one-dimensional integers, got float64 of shape"),
        ({"index": [0, 1]}, r"^`index` must be of the same length as `t_us` \(3\), got 2 events$"),
        ({"index": [0, -1, 5]}, r"^`index\[1\]` must be at least 0, got -1$"),
        ({"index": [0, 1, 6]}, r"^`index\[2\]` must be at most 5 \(`shape` has 6 inputs\), got 6$"),
        ({"offsets": []}, r"^`offsets` must be one longer than the number of samples, got an empt"),
        ({"offsets": [1, 2, 2, 3]}, r"^`offsets\[0\]` must be 0, got 1$"),
        ({"offsets": [0, 2, 1, 3]}, r"^`offsets\[2\]` must be at least 2, the offset before it, g"),
        ({"offsets": [0, 2, 2, 4]}, r"^`offsets\[3\]` must be 3, the number of events, got 4$"),
        ({"labels": [1, 0]}, r"^`labels` must be a list of 3 labels, one per sample, got 2 labels"),
        ({"labels": [1, -1, 0]}, r"^`labels\[1\]` must be at least 0, got -1$"),
        ({"labels": [1, 0.5, 0]}, r"^`labels` must be one-dimensional integers, got float64 of sh"),
        ({"shape": ()}, r"^`shape` must be a tuple of 1 to 8 integers, got \(\)$"),
        ({"shape": [2, 3]}, r"^`shape` must be a tuple of 1 to 8 integers, got \[2, 3\]$"),
        ({"shape": (0, 3)}, r"^`shape\[0\]` must be an integer from 1 to 16777216, got 0$"),
        ({"shape": (2, 3.0)}, r"^`shape\[1\]` must be an integer from 1 to 16777216, got 3\.0$"),
        ({"shape": (True, 3)}, r"^`shape\[0\]` must be an integer from 1 to 16777216, got True$"),
        ({"shape": (2**13, 2**13)}, r"^`shape` must be a shape of at most 16777216 elements, got"),
    ],
)
def test_invalid_trains_are_rejected_by_field_and_position(changes, message):
    with pytest.raises(EventsError, match=message):
        trains(**changes)


def test_samples_are_found_by_index_and_in_order():
    spikes = trains()
    samples = [SpikeTrain([0, 9], [0, 1]), SpikeTrain([], []), SpikeTrain([3], [5])]
    assert len(spikes) == 3
    assert list(spikes) == samples
    assert [spikes[k] for k in (-3, -2, -1)] == samples
    assert spikes[np.int64(2)] == samples[2]


@pytest.mark.parametrize("k", [3, -4])
def test_missing_sample_raises_an_index_error(k):
    with pytest.raises(IndexError, match=rf"^a sample number must be from -3 to 2, got {k}$"):
        trains()[k]


def test_slice_with_a_step_is_rejected():
    with pytest.raises(ValueError, match=r"^the step of a slice of samples must be 1, got 2$"):
        trains()[::2]


@given(start=st.none() | st.integers(-5, 5), stop=st.none() | st.integers(-5, 5))
def test_slices_have_the_samples_that_slices_of_a_list_have(start, stop):
    spikes, span = trains(), slice(start, stop)
    assert list(spikes[span]) == list(spikes)[span]
    assert spikes[span].labels.tolist() == spikes.labels.tolist()[span]
    assert spikes[span].shape == spikes.shape


def test_a_slice_shares_memory():
    spikes = trains()
    assert np.shares_memory(spikes[1:].t_us, spikes.t_us)


@settings(deadline=None)
@given(data=st.data(), model=models(max_populations=1))
def test_joined_trains_can_be_split_into_equal_trains(data, model):
    samples = data.draw(st.lists(spike_trains(model), max_size=4))
    labels = data.draw(st.none() | st.just(list(range(len(samples)))))
    spikes = SpikeTrains.from_trains(iter(samples), model.input_shape, labels)
    assert list(spikes) == samples
    assert spikes == SpikeTrains.from_trains(list(spikes), model.input_shape, labels)


def test_equality_includes_labels_and_shape():
    assert trains() == trains()
    assert trains() != trains(labels=None)
    assert trains() != trains(labels=[1, 1, 1])
    assert trains() != trains(shape=(6,))
    assert trains() != 3


def test_trains_may_have_no_samples():
    spikes = SpikeTrains.from_trains([], (4,))
    assert len(spikes) == 0
    assert list(spikes[:]) == []


@pytest.mark.parametrize(
    ("train", "text"),
    [
        (SpikeTrain([], []), "<SpikeTrain: no events>"),
        (SpikeTrain([7], [3]), "<SpikeTrain: 1 event, 7 to 7 µs, indices 3 to 3>"),
        (SpikeTrain([0, 5], [4, 1]), "<SpikeTrain: 2 events, 0 to 5 µs, indices 1 to 4>"),
        (trains(), "<SpikeTrains: 3 samples of shape (2, 3), labels 0 to 1, 3 events>"),
        (trains(labels=None)[:1], "<SpikeTrains: 1 sample of shape (2, 3), no labels, 2 events>"),
        (trains()[:0], "<SpikeTrains: 0 samples of shape (2, 3), no labels, 0 events>"),
    ],
)
def test_trains_are_shown_in_one_line(train, text):
    assert repr(train) == text


def test_integers_of_numpy_give_a_shape_of_ints():
    shape = trains(shape=(np.int64(2), np.uint8(3))).shape
    assert shape == (2, 3)
    assert [type(extent) for extent in shape] == [int, int]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([0.5, 1.0], r"^`samples` must be one-dimensional integers, got float64 of shape \(2,\)$"),
        ([True, False, True], r"; np\.flatnonzero\(samples\) returns the positions that are true$"),
    ],
)
def test_sample_numbers_that_are_no_integers_are_refused(samples, message):
    with pytest.raises(ValueError, match=message):
        trains().take(samples)


def test_a_field_of_trains_can_be_replaced():
    assert dataclasses.replace(trains(), labels=[2, 2, 2]).labels.tolist() == [2, 2, 2]
    with pytest.raises(EventsError, match=r"^`labels` must be a list of 3 labels"):
        dataclasses.replace(trains(), labels=[2])
    with pytest.raises(dataclasses.FrozenInstanceError):
        trains().shape = (1,)


def test_before_leaves_out_later_events_and_keeps_all_samples():
    trains = SpikeTrains.from_trains(
        [SpikeTrain([0, 5, 9], [0, 1, 2]), SpikeTrain([], []), SpikeTrain([5], [1])],
        (3,),
        [0, 1, 2],
    )
    expected = [SpikeTrain([0], [0]), SpikeTrain([], []), SpikeTrain([], [])]
    assert trains.before(5) == SpikeTrains.from_trains(expected, (3,), [0, 1, 2])
    assert trains.before(None) is trains.before(10) is trains
