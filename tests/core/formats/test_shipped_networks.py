"""The shipped networks and samples are those of their recipes."""

import pytest

from neuroasync.datasets import load_dataset
from neuroasync.shipped import NETWORKS, shipped_bundle, shipped_spikes


@pytest.mark.parametrize(
    ("name", "dataset", "coding"),
    [("digits", "digits", "rate"), ("digits-latency", "digits", "latency"),
     ("nmnist", "nmnist-small", None)],
)  # fmt: skip
def test_shipped_samples_are_the_test_split(name, dataset, coding):
    assert shipped_spikes(name) == load_dataset(dataset, coding=coding).test


RECIPES = ("layered-paper", "layered", "unlayered-random", "unlayered-momentum")


@pytest.mark.parametrize(("name", "recipe"), list(zip(NETWORKS, RECIPES, strict=True)))
def test_shipped_network_records_its_origin(name, recipe):
    bundle = shipped_bundle(name)
    assert bundle.meta["recipe"] == recipe
    assert bundle.meta["validation_accuracy"] > 0.9
    assert {"dataset", "dataset_credit", "coding", "torch", "numpy", "until"} <= set(bundle.meta)
    sizes = [p.size for p in bundle.model.populations]
    assert (bundle.model.input_size, sizes) == (64, [64, 64, 64, 10])
    assert len(bundle.golden) == 3
