"""The baselines: features by hand, and a task that each model learns."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from bench import baselines
from bench.baselines import features, with_copies
from bench.snntorch_classifier import Task, train_snntorch
from neuroasync import SpikeTrains
from neuroasync.study.design.builtin_cases import CASES
from neuroasync.study.run.samples import StudySamples
from neuroasync.train.augmentation import Shift


def two_classes(samples, seed):
    """Return samples in which input k and no other fires 1 to 6 times for class k."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, samples)
    counts = rng.integers(1, 7, samples)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    t_us = np.concatenate([np.sort(rng.integers(0, 5000, n)) for n in counts])
    return SpikeTrains(t_us, np.repeat(labels, counts), offsets, labels, (2,))


def test_features_are_the_roots_of_the_counts():
    samples = SpikeTrains([0, 0, 7, 1], [2, 2, 0, 1], [0, 3, 3, 4], None, (3,))
    expected = np.sqrt([[1, 0, 2], [0, 0, 0], [0, 1, 0]])
    assert np.array_equal(features(samples), expected)


def test_snntorch_learns_two_classes():
    pytest.importorskip("snntorch")
    decide = train_snntorch(two_classes(64, 0), Task(1000, 20, 16, 0.01, 0.9), seed=0)
    held_out = two_classes(40, 1)
    labels, hidden = decide(held_out)
    assert (labels == held_out.labels).mean() > 0.9
    assert hidden > 0


def test_copies_are_shifted_and_keep_their_labels():
    samples = SpikeTrains([0, 1, 2], [4, 4, 4], [0, 1, 3], [1, 0], (3, 3))
    copied = with_copies(samples, Shift(1), seed=0)
    assert copied.labels.tolist() == [1, 0] * 5
    assert copied[:2].index.tolist() == [4, 4, 4]
    places = {tuple(sample.index.tolist()) for sample in copied[2:]}
    assert len(places) > 2
    assert all(len(set(place)) == 1 for place in places)


def swapped(trains, seeds):
    """Return the samples with the events of each input at the other one."""
    return replace(trains, index=1 - trains.index)


def test_snntorch_is_trained_on_other_shifts_in_each_epoch():
    pytest.importorskip("snntorch")
    given = []

    def note(trains, seeds):
        given.append(seeds)
        return swapped(trains, seeds)

    decide = train_snntorch(two_classes(64, 0), Task(1000, 20, 16, 0.01, 0.9, note), seed=0)
    assert len({seeds.tobytes() for seeds in given}) == 20
    held_out = two_classes(40, 1)
    labels, _ = decide(held_out)
    assert (labels == 1 - held_out.labels).mean() > 0.8


def test_a_classifier_of_counts_is_trained_on_samples_and_changed_copies():
    dataset = SimpleNamespace(train=two_classes(64, 0))
    held_out = two_classes(40, 1)
    for augmentation, right in ((None, held_out.labels), (swapped, 1 - held_out.labels)):
        train = baselines._linear(augmentation)["C = 1"]
        labels, spikes = train(dataset, 0)(held_out)
        assert labels.tolist() == right.tolist()
        assert spikes is None


@pytest.mark.filterwarnings("error")
def test_logistic_regression_converges_on_the_samples_of_braille(monkeypatch):
    monkeypatch.delenv("NEUROASYNC_DATA", raising=False)
    dataset = StudySamples(CASES["braille"], None).of_seed(0).dataset
    baselines._linear(None)["C = 10"](dataset, 0)


def test_shifts_of_the_recipe_double_the_settings():
    def settings(name):
        return list(baselines._models(CASES[name])["linear"])

    assert settings("digits") == ["C = 0.01", "C = 0.1", "C = 1", "C = 10"]
    plain = settings("digits")
    assert settings("nmnist-small") == [*plain, *(f"{c}, shifts up to 2" for c in plain)]


def test_setting_is_chosen_on_the_validation_samples_of_the_first_seed(monkeypatch, capsys):
    right_of = {"good": (0.75, 0.5), "bad": (0.25, 1.0)}  # on validation and on held-out samples
    trained = []

    def with_setting(name):
        def train(dataset, seed):
            trained.append((name, seed))

            def predict(samples):
                share = right_of[name][samples is dataset.test]
                wrong = np.arange(len(samples)) >= share * len(samples)
                return np.where(wrong, -1, samples.labels), None

            return predict

        return train

    settings = {name: with_setting(name) for name in right_of}
    monkeypatch.setattr(baselines, "_models", lambda _: {"linear": settings})
    monkeypatch.setattr(baselines, "CASES", {"digits": replace(CASES["digits"], max_measured=100)})
    monkeypatch.delenv("NEUROASYNC_DATA", raising=False)
    baselines.main(["digits", "--seeds", "2", "--json"])
    printed = json.loads(capsys.readouterr().out)
    (result,) = printed["results"]
    assert "python_version" in printed["environment"]
    assert trained == [("good", 0), ("bad", 0), ("good", 1)]
    assert (result["setting"], result["accuracy"]) == ("good (2)", [0.5, 0.5])


def test_unknown_data_set_is_named(capsys):
    with pytest.raises(SystemExit):
        baselines.main(["cifar"])
    assert "'cifar' is not one of" in capsys.readouterr().err
