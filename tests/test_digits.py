import numpy as np
import pytest

from neuroasync.datasets import load_digits
from neuroasync.shipped import NETWORKS, shipped_bundle, shipped_spikes


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_the_split_covers_the_set_once(digits):
    assert [len(part) for part in digits] == [1197, 240, 360]
    counts = np.bincount(np.concatenate([part.labels for part in digits]))
    # As scikit-learn ships it.
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_more_draws_encode_the_training_images_again_and_nothing_else(digits):
    drawn = load_digits(draws=3)
    assert len(drawn.train) == 3 * 1197
    assert drawn.train[:1197] == digits.train
    assert drawn.train[1197:2394] != digits.train
    assert drawn.train.labels.tolist() == digits.train.labels.tolist() * 3
    assert drawn.validation == digits.validation
    assert drawn.test == digits.test


@pytest.mark.parametrize("coding", ["rate", "latency"])
def test_the_shipped_samples_are_the_test_part(coding):
    assert shipped_spikes(coding) == load_digits(coding).test


def test_an_unknown_coding_is_refused():
    with pytest.raises(ValueError, match="expected 'rate' or 'latency'"):
        load_digits("phase")
    with pytest.raises(ValueError, match="draws: 0, expected an integer from 1"):
        load_digits(draws=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shipped_network_says_how_it_came_to_be(name):
    bundle = shipped_bundle(name)
    assert bundle.meta["recipe"] == name
    assert bundle.meta["validation_accuracy"] > 0.9
    assert {"dataset", "dataset_credit", "coding", "torch", "numpy", "until"} <= set(bundle.meta)
    sizes = [p.size for p in bundle.model.populations]
    assert (bundle.model.input_size, sizes) == (64, [64, 64, 64, 10])
    assert len(bundle.golden) == 3
