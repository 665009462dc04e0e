"""The batches of a data set: each sample once per epoch, reproducible, sorted only once."""

import numpy as np
import pytest

from neuroasync import SpikeTrain, SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.train import Batches, make_batch
from neuroasync.train import batch as batch_module
from tests.helpers.small_trainings import TINY, tiny_samples

SAMPLES = tiny_samples(10)


def unsorted(samples=10):
    """Return samples whose events at the same time are in descending order."""
    return SpikeTrains.from_trains(
        [SpikeTrain([0, 0, 1000], [5, k % 5, 2]) for k in range(samples)],
        (6,),
        np.arange(samples) % 3,
    )


def test_an_epoch_has_each_sample_once_in_an_order_of_its_own():
    batches = Batches(TINY, SAMPLES, 4, seed=3)
    epochs = [np.concatenate(batches.chosen(k)).tolist() for k in range(3)]
    assert all(sorted(order) == list(range(10)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 3
    assert [len(batch) for batch, _ in batches.epoch(0)] == [4, 4, 2]
    assert len(batches) == 3


def test_the_labels_belong_to_the_samples_of_the_batch():
    batches = Batches(TINY, SAMPLES, 4)
    for (batch, labels), chosen in zip(batches.epoch(1), batches.chosen(1), strict=True):
        assert labels.tolist() == SAMPLES.labels[chosen].tolist()
        expected = make_batch(TINY, SAMPLES, chosen, batch.seeds)
        assert np.array_equal(batch.t_us, expected.t_us)
        assert np.array_equal(batch.index, expected.index)


def test_each_sample_has_a_seed_of_its_own_in_each_epoch():
    batches = Batches(TINY, SAMPLES, 4, seed=2**64 - 1)
    for epoch in range(2):
        for (batch, _), chosen in zip(batches.epoch(epoch), batches.chosen(epoch), strict=True):
            base = sample_seed(2**64 - 1, epoch)
            assert batch.seeds.tolist() == [sample_seed(base, i) for i in chosen.tolist()]


def test_the_seed_determines_order_and_dropout():
    def events(seed):
        batches = Batches(TINY, SAMPLES, 4, seed=seed, dropout=0.5)
        return [batch.index.tolist() for batch, _ in batches.epoch(2)]

    assert events(1) == events(1)
    assert events(1) != events(2)


def test_a_data_set_is_sorted_once_and_not_at_every_batch(monkeypatch):
    sizes = []
    original = batch_module.sorted_by_time

    def counting(trains):
        sizes.append(len(trains))
        return original(trains)

    monkeypatch.setattr("neuroasync.train.batches.sorted_by_time", counting)
    monkeypatch.setattr("neuroasync.train.batch.sorted_by_time", counting)
    list(Batches(TINY, unsorted(), 4).epoch(0))
    assert sizes == [10]
    sizes.clear()
    make_batch(TINY, unsorted(), [7, 1], [0, 0])
    assert sizes == [2]


def test_unsorted_samples_give_the_same_batch_as_sorted_ones():
    trains = unsorted()
    one = make_batch(TINY, trains, [7, 1], [5, 6], dropout=0.3)
    other = make_batch(TINY, batch_module.sorted_by_time(trains), [7, 1], [5, 6], dropout=0.3)
    assert one.index.tolist() == other.index.tolist()
    assert one.offsets.tolist() == other.offsets.tolist()


def test_samples_without_labels_and_invalid_sizes_are_refused():
    with pytest.raises(ValueError, match="`trains` must have labels"):
        Batches(TINY, SpikeTrains.from_trains(SAMPLES, (6,)))
    with pytest.raises(ValueError, match="`batch_size` must be an integer of at least 1, got 0"):
        Batches(TINY, SAMPLES, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": -0.1}, "`dropout` must be a number from 0 to 1, got -0.1"),
        ({"dropout": float("nan")}, "`dropout` must be a number from 0 to 1, got nan"),
        ({"dropout": "a"}, "`dropout` must be a number from 0 to 1, got 'a'"),
        ({"duration_us": -1}, "`duration_us` must be an integer of at least 0, got -1"),
        ({"duration_us": "soon"}, "`duration_us` must be a whole number of µs with a unit"),
    ],
)
def test_options_out_of_range_are_refused_before_the_first_batch(options, message):
    with pytest.raises(ValueError, match=message):
        Batches(TINY, SAMPLES, **options)


def test_numbers_of_epochs_and_samples_are_checked_and_samples_may_be_a_list():
    batches = Batches(TINY, SAMPLES, 4, seed=3)
    listed, given = batches.batch(2, [7, 0]), batches.batch(2, np.array([7, 0]))
    assert listed.seeds.tolist() == given.seeds.tolist()
    assert listed.t_us.tolist() == given.t_us.tolist()
    with pytest.raises(ValueError, match=r"`samples\[1\]` must be an integer from 0 to 9, got 10"):
        batches.batch(0, [0, 10])
    for epoch in (-1, 1.5, "first"):
        with pytest.raises(ValueError, match="`epoch` must be an integer of at least 0"):
            list(batches.epoch(epoch))
        with pytest.raises(ValueError, match="`epoch` must be an integer of at least 0"):
            batches.batch(epoch, [0])


def test_an_augmentation_must_return_as_many_samples_as_it_gets():
    batches = Batches(TINY, SAMPLES, 4, augmentation=lambda trains, seeds: trains[:3])
    with pytest.raises(ValueError, match="as many samples as it gets, 4, got 3 samples"):
        next(batches.epoch(0))
