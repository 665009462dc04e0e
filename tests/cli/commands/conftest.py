"""Fixtures of the tests of single commands."""

import pytest

from tests.helpers.cli_files import golden_bundle


@pytest.fixture
def trained(monkeypatch):
    """Replace the training by a function that records its calls and reports progress twice."""
    train = pytest.importorskip("neuroasync.train")
    calls = []

    def train_dataset(dataset, recipe, *, on_batch, **options):
        calls.append((dataset, recipe, options))
        on_batch(train.BatchResult(0, 0, 2, 2.3, 0.1, 50.0), 1)
        on_batch(train.BatchResult(0, 1, 2, 1.3, 0.6, 40.0), 1)
        return golden_bundle()

    monkeypatch.setattr("neuroasync.train.recipes.training.train_dataset", train_dataset)
    return calls
