import numpy as np
import pytest

from neuroasync.datasets import load_dataset


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def spoken():
    return load_dataset("spoken-digits")


def test_more_draws_encode_the_training_images_again_and_nothing_else(digits):
    drawn = load_dataset("digits", encodings_per_image=3)
    assert len(drawn.train) == 3 * 1197
    assert drawn.train[:1197] == digits.train
    assert drawn.train[1197:2394] != digits.train
    assert drawn.train.labels.tolist() == digits.train.labels.tolist() * 3
    assert drawn.validation == digits.validation
    assert drawn.test == digits.test


def test_an_image_has_the_same_events_in_whatever_fold_it_is(digits):
    fold = digits.fold(2)
    ours = dict(zip(fold.split.validation.tolist(), fold.validation, strict=True))
    theirs = dict(zip(digits.split.train.tolist(), digits.train, strict=True))
    shared = ours.keys() & theirs.keys()
    assert len(shared) > 200
    assert all(ours[number] == theirs[number] for number in shared)


def test_folds_validate_each_training_sample_once_and_never_touch_the_test_part(digits):
    folds = [digits.fold(k, 4, seed=7) for k in range(4)]
    validated = np.concatenate([fold.split.validation for fold in folds])
    pool = np.concatenate([digits.split.train, digits.split.validation])
    assert np.array_equal(np.sort(validated), np.sort(pool))
    for fold in folds:
        assert not set(fold.split.train) & set(fold.split.validation)
        assert fold.split.test is digits.split.test


def test_draws_of_one_image_never_train_and_validate():
    drawn = load_dataset("digits", encodings_per_image=2).fold(0)
    assert len(drawn.train) == 2 * len(drawn.split.train)
    assert len(drawn.validation) == len(drawn.split.validation)
    assert not set(drawn.split.train) & set(drawn.split.validation)


@pytest.mark.parametrize("k", [-1, 5])
def test_a_fold_out_of_range_is_refused(digits, k):
    with pytest.raises(ValueError, match=f"k: {k}, expected 0 to 4"):
        digits.fold(k)


def test_a_speaker_who_is_left_out_is_alone_in_the_test_part(spoken):
    assert spoken.groups == ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    without = spoken.leave_out("theo")
    group = spoken.samples.group
    assert set(group[without.split.test]) == {4}
    assert set(group[without.split.train]) == {0, 1, 2, 3, 5}
    assert set(group[without.split.validation]) == {0, 1, 2, 3, 5}
    assert len(without.test) == 50
    assert len(without.train) + len(without.validation) == 5 * 150
    assert np.isin(without.split.test, spoken.split.test).all()


def test_speakers_have_like_shares_of_the_validation_part(spoken):
    counts = np.bincount(spoken.samples.strata[spoken.split.validation])
    assert counts.tolist() == [3] * 60


def test_only_a_group_of_the_set_can_be_left_out(spoken, digits):
    with pytest.raises(ValueError, match=r"^group: 'hal', expected one of: george, jackson, "):
        spoken.leave_out("hal")
    with pytest.raises(ValueError, match="none: the set tells nobody apart"):
        digits.leave_out("theo")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar", {}, r"^name: 'cifar', expected one of digits, mnist, "),
        ("digits", {"coding": "phase"}, "expected 'rate' or 'latency'"),
        (
            "digits",
            {"encodings_per_image": 0},
            "encodings_per_image: 0, expected 1, or more for images",
        ),
        (
            "braille",
            {"encodings_per_image": 2},
            "encodings_per_image: 2, expected 1, or more for images",
        ),
        ("braille", {"coding": "rate"}, "braille has spikes of its own"),
    ],
)
def test_what_does_not_go_with_the_set_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(name, **options)


def test_rotated_folds_test_each_training_sample_once_and_never_the_own_test_part(spoken):
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
    with pytest.raises(ValueError, match="k: 5, expected 0 to 4"):
        spoken.rotate(5)


def test_a_smaller_set_keeps_the_proportions_of_its_classes(spoken):
    small = spoken.at_most(train=100, measured=50)
    assert [len(part) for part in (small.train, small.validation, small.test)] == [100, 50, 50]
    for name in ("train", "validation", "test"):
        chosen, whole = getattr(small.split, name), getattr(spoken.split, name)
        assert set(chosen) <= set(whole)
        assert np.all(np.diff(np.searchsorted(whole, chosen)) > 0), "in their order"
        counts = np.bincount(spoken.samples.labels[chosen])
        assert counts.max() - counts.min() <= 2
    assert spoken.at_most(train=10_000, measured=10_000).split.train is spoken.split.train
    with pytest.raises(ValueError, match="measured: 0, expected a number from 1, or None"):
        spoken.at_most(measured=0)
