"""Batches sort the events of a data set by (time, index), and refuse what they would round."""

import copy
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import SpikeTrain, SpikeTrains
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.model.topology import parse_topology
from neuroasync.train import SpikingNetwork
from neuroasync.train.batch import Batch, make_batch, sorted_by_time
from tests.helpers.small_trainings import TINY, tiny_samples


def pickled(value):
    return pickle.loads(pickle.dumps(value))


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


TIMELESS = parse_topology("timestep_us=0 tau_mem_us=10000; input 6; hidden d5; output d3")


def batch_of(model=TINY, **changes):
    """Return a small batch with some of its fields replaced."""
    return replace(make_batch(model, tiny_samples(4), range(4), range(4)), **changes)


@pytest.mark.parametrize("model", [TINY, TIMELESS])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_of_a_batch_is_equal_and_nobody_can_write_its_arrays(model, duplicate):
    batch = batch_of(model)
    twin = duplicate(batch)
    for field in fields(Batch):
        value = getattr(batch, field.name)
        assert np.array_equal(getattr(twin, field.name), value)
        if isinstance(value, np.ndarray):
            with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
                getattr(twin, field.name).flags.writeable = True


@pytest.mark.parametrize("model", [TINY, TIMELESS])
@pytest.mark.parametrize("name", ["t_us", "index", "offsets", "passes"])
@pytest.mark.parametrize("value", [-1, 2**40])
def test_a_batch_that_would_lead_kernels_outside_their_memory_is_refused(model, name, value):
    array = getattr(batch_of(model), name).copy()
    array[-2] = value
    if name == "passes" and value > 0:
        assert batch_of(model, passes=array).timesteps == value  # only a waste of memory
        return
    with pytest.raises(ValueError, match="use `make_batch` to make one"):
        batch_of(model, **{name: array})


@pytest.mark.parametrize("name", ["t_us", "index", "offsets", "end_us", "passes", "seeds"])
def test_a_batch_with_an_array_of_another_size_is_refused(name):
    with pytest.raises(ValueError, match="use `make_batch` to make one"):
        batch_of(**{name: getattr(batch_of(), name)[:-1]})


def test_a_batch_of_another_network_is_refused():
    network = SpikingNetwork(parse_topology("timestep_us=1000 decay=0.9; input 5; output d3"))
    with pytest.raises(ValueError, match="for a network with 5 inputs and a timestep of 1000 µs"):
        network(batch_of(), RunSettings())
    event_driven = SpikingNetwork(TIMELESS)
    with pytest.raises(ValueError, match="got one for 6 inputs and 1000 µs"):
        event_driven(batch_of(), RunSettings())
