"""Augmentations are reproducible, independent, keep the length of samples, and can be composed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import SpikeTrain, SpikeTrains, parse_topology
from neuroasync.train import Batches, Compose, DropEvents, JitterTimes, Shift, TrainConfig, fit
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples

SHAPE = (2, 5, 6)
SEEDS = np.arange(40, dtype=np.uint64)


def frames(count=40):
    """Return samples with one event in the middle of the second channel, and one at a corner."""
    middle, corner = np.ravel_multi_index(([1, 0], [2, 0], [3, 0]), SHAPE)
    return SpikeTrains.from_trains(
        [SpikeTrain([1000, 5000], [middle, corner]) for _ in range(count)], SHAPE
    )


def test_a_shift_moves_all_events_of_a_sample_by_the_same_number_of_cells():
    shifted = Shift(2)(frames(), SEEDS)
    moves = set()
    for train in shifted:
        channel, y, x = np.unravel_index(np.array(train.index), SHAPE)
        dy, dx = y[0] - 2, x[0] - 3
        moves.add((int(dy), int(dx)))
        stays = dy >= 0 and dx >= 0
        assert channel.tolist() == [1, 0][: 1 + stays]
        assert [y.tolist(), x.tolist()] == (
            [[2 + dy, dy], [3 + dx, dx]] if stays else [[y[0]], [x[0]]]
        )
    assert {dy for dy, _ in moves} == {dx for _, dx in moves} == {-2, -1, 0, 1, 2}
    assert len(moves) > 10


def test_a_shift_may_be_along_one_axis():
    shifted = Shift(1, axes=(-1,))(frames(), SEEDS)
    rows = {int(np.unravel_index(train.index[0], SHAPE)[1]) for train in shifted}
    assert rows == {2}
    with pytest.raises(ValueError, match=r"`axes` must be axes of the input, .* \(6,\), got \(-2"):
        Shift(1)(tiny_samples(3), SEEDS[:3])


def test_events_are_dropped_with_the_probability():
    trains = SpikeTrains.from_trains([SpikeTrain(np.arange(500), np.zeros(500, int))] * 40, (3,))
    kept = np.diff(DropEvents(0.3)(trains, SEEDS).offsets)
    assert 0.68 < kept.mean() / 500 < 0.72
    assert len(set(kept.tolist())) > 10
    assert DropEvents(0.0)(trains, SEEDS) == trains
    assert not DropEvents(1.0)(trains, SEEDS).t_us.size


def test_jitter_has_the_standard_deviation_and_stays_within_the_sample():
    times = np.append(np.full(500, 50_000), 100_000)
    trains = SpikeTrains.from_trains([SpikeTrain(times, np.arange(501))] * 40, (501,))
    jittered = JitterTimes(2_000.0)(trains, SEEDS)
    moved = np.array([train.t_us[train.index < 500] - 50_000 for train in jittered]).reshape(-1)
    assert abs(moved.mean()) < 60
    assert 1_950 < moved.std() < 2_050
    wide = JitterTimes(1e6)(trains, SEEDS)
    assert (wide.t_us.min(), wide.t_us.max()) == (0, 100_000)


augmentations = st.sampled_from([Shift(1), DropEvents(0.5), JitterTimes(700.0)])


@given(st.lists(augmentations, max_size=3), st.integers(0, 2**64 - 41))
def test_the_same_seeds_give_the_same_valid_samples_whatever_the_others_are(chosen, first):
    augment, seeds = Compose(*chosen), np.arange(first, first + 40, dtype=np.uint64)
    trains = frames()
    whole = augment(trains, seeds)
    assert whole == augment(trains, seeds)
    alone = augment(trains.take([7]), seeds[7:8])
    assert alone == whole.take([7])
    assert len(whole) == 40


def test_the_parts_of_a_composition_are_independent():
    trains = SpikeTrains.from_trains([SpikeTrain(np.arange(400), np.zeros(400, int))] * 40, (3,))
    twice = np.diff(Compose(DropEvents(0.5), DropEvents(0.5))(trains, SEEDS).offsets)
    assert 0.22 < twice.mean() / 400 < 0.28


@pytest.mark.parametrize("timestep_us", [0, 1000])
def test_a_batch_keeps_the_length_of_its_samples(timestep_us):
    text = f"timestep_us={timestep_us} tau_mem_us=9000; input 2x5x6; output d3"
    trains = replace(frames(), labels=np.zeros(40, np.int64))
    batches = Batches(parse_topology(text), trains, 40, augmentation=DropEvents(0.9))
    ((batch, _),) = batches.epoch(0)
    assert batch.t_us.size < 30
    if timestep_us:
        assert set(batch.passes.tolist()) == {6}
        assert set(batch.end_us.tolist()) == {5000}


def test_training_with_augmentation_is_reproducible_and_differs_in_each_epoch():
    samples = tiny_samples()
    shaped = replace(samples, shape=(2, 3))
    changed = replace(SHORT, shift=1, time_jitter_us=500.0)
    assert outcome(fit(TINY, shaped, changed)) == outcome(fit(TINY, shaped, changed))
    assert outcome(fit(TINY, shaped, changed)) != outcome(fit(TINY, shaped, SHORT))
    batches = Batches(TINY, shaped, 24, augmentation=changed.augmentation)
    numbers = np.arange(24)
    first, second = (batches.batch(epoch, numbers) for epoch in (0, 1))
    assert first.index.tolist() != second.index.tolist()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shift(-1), "`cells` must be an integer of at least 0, got -1"),
        (lambda: Shift(1, axes=0), "`axes` must be a tuple of integers, got 0"),
        (lambda: Shift(1, axes=(0.5,)), r"`axes` must be a tuple of integers, got \(0.5,\)"),
        (lambda: DropEvents(1.5), "`probability` must be a number from 0 to 1, got 1.5"),
        (lambda: JitterTimes(np.nan), "`sd_us` must be a finite number of at least 0, got nan"),
        (lambda: TrainConfig(shift=-1), "`shift` must be an integer of at least 0, got -1"),
        (lambda: TrainConfig(time_jitter_us=-1), "`time_jitter_us` must be a finite number"),
    ],
)
def test_invalid_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("axes", [[-2, -1], np.array([-2, -1]), (np.int64(-2), -1)])
def test_axes_may_be_any_integers(axes):
    shift = Shift(1, axes)
    assert shift == Shift(1)
    assert shift(frames(), SEEDS).index.tolist() == Shift(1)(frames(), SEEDS).index.tolist()


@pytest.mark.parametrize("augment", [Shift(1), DropEvents(0.5), JitterTimes(100.0), Compose()])
def test_seeds_may_be_any_integers_and_each_sample_needs_one(augment):
    expected, listed = augment(frames(), SEEDS), augment(frames(), SEEDS.tolist())
    assert listed.t_us.tolist() == expected.t_us.tolist()
    assert augment(frames(), np.arange(40)).index.tolist() == expected.index.tolist()
    with pytest.raises(ValueError, match="`seeds` must be one seed for each of the 40 samples"):
        augment(frames(), SEEDS[:3])
    with pytest.raises(ValueError, match="`seed` must be an integer from 0"):
        augment(frames(), [-1] * 40)
