"""Values of input events: they stay with their events wherever these go."""

import copy
import pickle

import numpy as np
import pytest

from neuroasync import limits
from neuroasync.core.events.input_buffer import InputBuffer
from neuroasync.core.events.spike_train import SpikeTrain, as_train
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.events.waiting_events import PlacedChunk, WaitingEvents
from neuroasync.core.formats.spike_file import read_spikes, write_spikes
from neuroasync.errors import EventsError, SpikeFileError
from tests.helpers.small_networks import chain

SPIKES = SpikeTrain([0, 5], [1, 0])
VALUED = SpikeTrain([5, 5, 7], [2, 0, 2], [0.5, -1.0, 0.25])


def test_values_are_owned_read_only_float32():
    given = np.array([0.5, -1.0, 0.25])
    train = SpikeTrain([5, 5, 7], [2, 0, 2], given)
    given[:] = 9
    assert train.value.dtype == np.float32
    assert train.value.tolist() == [0.5, -1.0, 0.25]
    assert not train.value.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        train.value.flags.writeable = True


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ([1, 2], [1.0, 2.0]),
        (np.array([1, 255], np.uint8), [1.0, 255.0]),
        (np.array([0.1, 2], np.float64), [np.float32(0.1), 2.0]),
        (np.array([0.1, 2], np.float16), [np.float16(0.1), 2.0]),
        ([limits.MAX_VALUE, -limits.MAX_VALUE], [2.0**24, -(2.0**24)]),
    ],
)
def test_numbers_of_any_type_become_float32(value, kept):
    assert SpikeTrain([0, 1], [0, 0], value).value.tolist() == [float(x) for x in kept]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0], r"`value` must be of the same length as `t_us` \(2\), got 1 values"),
        ([[1.0, 2.0]], "`value` must be one-dimensional numbers, got float64 of shape"),
        ([True, False], "`value` must be one-dimensional numbers, got bool"),
        (["a", "b"], "`value` must be one-dimensional numbers, got"),
        ([1, np.nan], r"`value\[1\]` must be a number from -16777216 to 16777216, got nan"),
        ([np.inf, 1], r"`value\[0\]` must be a number from -16777216 to 16777216, got inf"),
        ([1, 2**24 + 1], r"`value\[1\]` must be a number from -16777216 to 16777216"),
        ([1, [2]], "`value` must be a list of numbers"),
    ],
)
def test_values_that_are_not_allowed_are_named(value, message):
    with pytest.raises(EventsError, match=message):
        SpikeTrain([0, 1], [0, 0], value)
    with pytest.raises(EventsError, match=message):
        SpikeTrains([0, 1], [0, 0], [0, 2], None, (3,), value=value)


def test_copies_and_pickles_keep_values():
    trains = SpikeTrains.from_trains([VALUED, SPIKES], (3,))
    for data in (VALUED, trains):
        for same in (copy.copy(data), copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
            assert same == data
            assert not same.value.flags.writeable
    assert SpikeTrain(VALUED.t_us, VALUED.index) != VALUED
    assert SpikeTrain(VALUED.t_us, VALUED.index, [0.5, -1.0, 0.5]) != VALUED
    assert as_train(([5, 5, 7], [2, 0, 2], [0.5, -1, 0.25])) == VALUED
    assert as_train(([0, 5], [1, 0], None)) == SPIKES


def test_spikes_among_events_with_values_have_the_value_1():
    trains = SpikeTrains.from_trains([SPIKES, VALUED], (3,))
    assert trains.value.tolist() == [1, 1, 0.5, -1, 0.25]
    assert trains[1] == VALUED
    assert trains[1:][0] == VALUED
    assert trains.take([1, 0]).value.tolist() == [0.5, -1, 0.25, 1, 1]
    assert trains.before(6).value.tolist() == [1, 1, 0.5, -1]
    assert SpikeTrains.from_trains([SPIKES, SPIKES], (3,)).value is None
    assert repr(VALUED).endswith("indices 0 to 2, values -1 to 0.5>")
    assert repr(trains).endswith("5 events with values>")


def test_a_spike_file_holds_values_only_if_there_are_some(tmp_path):
    trains, path = SpikeTrains.from_trains([SPIKES, VALUED], (3,)), tmp_path / "x.npz"
    write_spikes(trains, path)
    assert read_spikes(path) == trains
    with np.load(path) as arrays:
        assert arrays["value"].dtype == np.float32
    write_spikes(SpikeTrains.from_trains([SPIKES], (3,)), path)
    with np.load(path) as arrays:
        assert "value" not in arrays


def test_a_spike_file_with_wrong_values_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    fields = {"t_us": np.zeros(1, np.int64), "index": np.zeros(1, np.uint32)}
    fields |= {"offsets": np.array([0, 1]), "shape": np.array([3])}
    for value in (np.array([np.nan], np.float32), np.zeros(2, np.float32), np.zeros(1)):
        np.savez(path, **fields, value=value)
        with pytest.raises(SpikeFileError, match="value"):
            read_spikes(path)


def test_a_buffer_merges_sorts_and_drops_values_with_their_events():
    buffer = InputBuffer(chain().model, sorts=True, keeps=True)
    buffer.accept(SPIKES, True)
    buffer.accept(VALUED, True)
    t_us, index, value = buffer.events
    assert (t_us.tolist(), index.tolist()) == ([0, 5, 5, 5, 7], [1, 0, 0, 2, 2])
    assert value.tolist() == [1, 1, -1, 0.5, 0.25]
    buffer.drop(2)
    assert buffer.events[2].tolist() == [-1, 0.5, 0.25]
    assert buffer.train().value.tolist() == [1, 1, 0.5, -1, 0.25]
    buffer.drop(3)
    assert buffer.events[2] is None


def test_waiting_events_are_taken_with_their_values():
    waiting = WaitingEvents()
    for chunk in (SPIKES, VALUED):
        waiting.append(PlacedChunk(chunk))
    assert waiting.all().value.tolist() == [1, 1, 0.5, -1, 0.25]
    assert waiting.take(1, 0).value is None
    joined = waiting.take(2, 0)
    assert joined.value.tolist() == [1, 0.5]
    arrays = joined.t_us, joined.index, joined.value
    assert not any(array.flags.writeable for array in arrays)
    assert waiting.take(1, 0).value.tolist() == [-1]
