"""The vote window in bundles."""

import dataclasses

import numpy as np
import pytest

import neuroasync as na
from tests.helpers.small_networks import chain

WINDOW = na.VoteWindow(50_000, 0.25)


def test_a_bundle_keeps_its_vote_window():
    bundle = dataclasses.replace(chain(), vote_window=WINDOW)
    assert na.read_bundle(na.dump_bundle(bundle)).vote_window == WINDOW
    assert bundle != chain()


def test_a_bundle_without_one_has_the_bytes_that_it_had():
    assert b"vote_window" not in na.dump_bundle(chain())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0,), "`duration_us` must be an integer of at least 1, got 0"),
        ((10, 0), "`scale` must be a number above 0"),
        ((10, float("nan")), "`scale` must be a number from 0"),
        ((10, "1"), "`scale` must be a number from 0"),
    ],
)
def test_fields_out_of_range_are_refused(fields, message):
    with pytest.raises(na.BundleError, match=message):
        na.VoteWindow(*fields)


def test_probabilities_are_the_softmax_of_scaled_votes():
    found = na.VoteWindow(1, 2).probabilities([[0, 0], [0, np.log(3) / 2]])
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.25, 0.75]])
