"""Folds are stratified and depend on the seed only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.datasets.folds import hold_out, stratified_folds
from neuroasync.errors import DatasetError

STRATA = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(np.array)


@given(strata=STRATA, data=st.data(), seed=st.integers(0, 2**64 - 1))
def test_each_fold_has_its_share_of_each_stratum_and_of_all_samples(strata, data, seed):
    folds = data.draw(st.integers(2, len(strata)))
    fold = stratified_folds(strata, folds, seed)
    shares = [fold, *(fold[strata == stratum] for stratum in np.unique(strata))]
    for share in shares:
        counts = np.bincount(share, minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_folds_depend_on_the_seed_only():
    strata = np.arange(100) % 10
    once, again, other = (stratified_folds(strata, 5, seed) for seed in (1, 1, 2))
    assert once.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("folds", [0, 1, 5])
def test_a_number_of_folds_out_of_range_is_rejected(folds):
    with pytest.raises(ValueError, match=f"`folds` must be from 2 .* 4, got {folds}"):
        stratified_folds(np.zeros(4, np.int64), folds, 0)


def test_a_fifth_is_held_out_and_the_test_part_does_not_change():
    strata = np.array([0] * 10 + [1] * 10 + [9] * 3)
    split = hold_out(np.arange(20), np.arange(20, 23), strata)
    assert np.bincount(strata[split.validation]).tolist() == [2, 2]
    assert sorted([*split.train, *split.validation]) == list(range(20))
    assert split.test.tolist() == [20, 21, 22]


def test_fewer_than_five_samples_cannot_be_split():
    assert len(hold_out(np.arange(5), np.arange(5, 6), np.zeros(6, np.int64)).validation) == 1
    with pytest.raises(DatasetError, match=r"at least 5 training samples, .*, got 4"):
        hold_out(np.arange(4), np.arange(4, 6), np.zeros(6, np.int64))
