"""Folds and encodings split a data set without mixing its parts."""

import copy
import pickle

import numpy as np
import pytest

from neuroasync import DatasetError
from neuroasync.datasets import load_dataset


@pytest.fixture(scope="module")
def digits():
    """The shipped handwritten digits."""
    return load_dataset("digits")


@pytest.fixture(scope="module")
def spoken():
    """The shipped spoken digits."""
    return load_dataset("spoken-digits")


def test_more_encodings_only_change_the_training_part(digits):
    encoded = load_dataset("digits", encodings_per_image=3)
    assert len(encoded.train) == 3 * 1197
    assert encoded.train[:1197] == digits.train
    assert encoded.train[1197:2394] != digits.train
    assert encoded.train.labels.tolist() == digits.train.labels.tolist() * 3
    assert encoded.validation == digits.validation
    assert encoded.test == digits.test


def test_a_pickle_has_the_encoded_parts_and_cannot_be_split_again():
    original = load_dataset("digits", encodings_per_image=2).at_most(30, 10)
    twin = pickle.loads(pickle.dumps(original))
    for part in ("train", "validation", "test"):
        assert getattr(twin, part) == getattr(original, part)
    assert (twin.info, twin.coding, twin.encodings_per_image) == (original.info, "rate", 2)
    assert len(original.fold(1, 2).train) > 0  # the original still can
    with pytest.raises(DatasetError, match="cannot be split again; split the original"):
        _ = twin.fold(1, 2).train


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_encodes_its_parts_at_their_first_use_and_can_be_split_again(duplicate):
    original = load_dataset("digits").at_most(30, 10)
    twin = duplicate(original)
    assert not {"train", "validation", "test"} & (vars(original).keys() | vars(twin).keys())
    assert twin.train == original.train
    assert twin.fold(1, 2).train == original.fold(1, 2).train
    assert duplicate(original).train == original.train  # the part that is in memory


def test_an_image_has_the_same_events_in_every_fold(digits):
    fold = digits.fold(2)
    first = dict(zip(fold.split.validation.tolist(), fold.validation, strict=True))
    second = dict(zip(digits.split.train.tolist(), digits.train, strict=True))
    shared = first.keys() & second.keys()
    assert len(shared) > 200
    assert all(first[number] == second[number] for number in shared)


def test_folds_validate_each_training_sample_once_and_never_touch_the_test_part(digits):
    folds = [digits.fold(k, 4, seed=7) for k in range(4)]
    validated = np.concatenate([fold.split.validation for fold in folds])
    pool = np.concatenate([digits.split.train, digits.split.validation])
    assert np.array_equal(np.sort(validated), np.sort(pool))
    for fold in folds:
        assert not set(fold.split.train) & set(fold.split.validation)
        assert fold.split.test is digits.split.test


def test_encodings_of_one_image_are_never_in_both_training_and_validation():
    encoded = load_dataset("digits", encodings_per_image=2).fold(0)
    assert len(encoded.train) == 2 * len(encoded.split.train)
    assert len(encoded.validation) == len(encoded.split.validation)
    assert not set(encoded.split.train) & set(encoded.split.validation)


@pytest.mark.parametrize("k", [-1, 5])
def test_a_fold_out_of_range_is_rejected(digits, k):
    with pytest.raises(ValueError, match=f"`k` must be an integer from 0 to 4, got {k}"):
        digits.fold(k)


def test_test_part_has_only_the_speaker_that_is_left_out(spoken):
    assert spoken.groups == ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    without = spoken.leave_out("theo")
    group = spoken.samples.group
    assert set(group[without.split.test]) == {4}
    assert set(group[without.split.train]) == {0, 1, 2, 3, 5}
    assert set(group[without.split.validation]) == {0, 1, 2, 3, 5}
    assert len(without.test) == 50
    assert len(without.train) + len(without.validation) == 5 * 150
    assert np.isin(without.split.test, spoken.split.test).all()


def test_all_speakers_have_the_same_share_of_the_validation_part(spoken):
    counts = np.bincount(spoken.samples.strata[spoken.split.validation])
    assert counts.tolist() == [3] * 60


def test_only_a_group_of_the_set_can_be_left_out(spoken, digits):
    with pytest.raises(ValueError, match=r"^`group` must be one of george, jackson, .*, got 'hal'"):
        spoken.leave_out("hal")
    with pytest.raises(ValueError, match="digits does not record groups"):
        digits.leave_out("theo")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar", {}, r"^`name` must be one of digits, mnist, .*, got 'cifar'"),
        ("digits", {"coding": "phase"}, "`coding` must be 'rate', 'latency' or 'current', got"),
        (
            "digits",
            {"encodings_per_image": 0},
            "`encodings_per_image` must be an integer of at least 1, got 0",
        ),
        (
            "digits",
            {"encodings_per_image": 2.5},
            "`encodings_per_image` must be an integer of at least 1, got 2.5",
        ),
        (
            "braille",
            {"encodings_per_image": 2},
            "`encodings_per_image` must be 1 for braille, .*, got 2",
        ),
        ("braille", {"coding": "rate"}, "`coding` must be None for braille, .*, got 'rate'"),
    ],
)
def test_arguments_that_do_not_apply_to_the_set_are_rejected(name, options, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(name, **options)


def test_rotated_folds_test_each_training_sample_once_and_never_the_original_test_part(spoken):
    folds = [spoken.rotate(k) for k in range(5)]
    tested = np.concatenate([fold.split.test for fold in folds])
    pool = np.concatenate([spoken.split.train, spoken.split.validation])
    assert np.array_equal(np.sort(tested), np.sort(pool))
    for fold in folds:
        parts = np.concatenate([fold.split.train, fold.split.validation, fold.split.test])
        assert np.array_equal(np.sort(parts), np.sort(pool))
        rest = len(fold.split.train) + len(fold.split.validation)
        assert len(fold.split.validation) == pytest.approx(rest / 5, abs=1)
    assert not np.array_equal(spoken.rotate(0, seed=1).split.test, folds[0].split.test)
    with pytest.raises(ValueError, match="`k` must be an integer from 0 to 4, got 5"):
        spoken.rotate(5)


def test_a_smaller_set_keeps_the_proportions_of_its_classes(spoken):
    small = spoken.at_most(train=100, measured=50)
    assert [len(part) for part in (small.train, small.validation, small.test)] == [100, 50, 50]
    for name in ("train", "validation", "test"):
        chosen, whole = getattr(small.split, name), getattr(spoken.split, name)
        assert set(chosen) <= set(whole)
        assert np.all(np.diff(np.searchsorted(whole, chosen)) > 0), "the original order is kept"
        counts = np.bincount(spoken.samples.labels[chosen])
        assert counts.max() - counts.min() <= 2
    assert spoken.at_most(train=10_000, measured=10_000).split.train is spoken.split.train
    with pytest.raises(ValueError, match="`measured` must be an integer of at least 1, got 0"):
        spoken.at_most(measured=0)
