"""Training by recipe: the meta of the bundle describes data, recipe and stop rule."""

import asyncio

import numpy as np
import pytest

from neuroasync import SpikeTrain, SpikeTrains, read_bundle
from neuroasync.core.formats.bundle import dump_bundle
from neuroasync.datasets import load_dataset
from neuroasync.datasets.user_data import user_dataset
from neuroasync.errors import BundleError, ModelError
from neuroasync.metrics import StopPoint
from neuroasync.replay import verify
from neuroasync.train.recipes import RECIPES, TRAININGS, for_input, recipes_for_topology
from neuroasync.train.recipes.stop_rule_search import best_rule, with_stop_rules
from neuroasync.train.recipes.training import train_dataset


def some(samples):
    """Return samples of two classes with three events each."""
    labels = np.arange(samples) % 2
    trains = [SpikeTrain([0, 1000, 2000], [k, k, k]) for k in labels]
    return SpikeTrains.from_trains(trains, (2,), labels)


RECIPES_OF_USER = recipes_for_topology("timestep_us=1000; input 2; a d6; output d2")


def short(recipe, **changes):
    """Return a recipe that trains for two epochs on the CPU."""
    return recipe.with_training(epochs=2, device="cpu", **changes)


def test_every_data_set_has_five_recipes():
    assert all(tuple(recipes) == TRAININGS[:5] for recipes in RECIPES.values())


def test_only_unlayered_recipes_change_for_queued_input():
    changed = {name: for_input(recipe, "queued") for name, recipe in RECIPES_OF_USER.items()}
    inputs = {name: recipe.config.input for name, recipe in changed.items()}
    assert inputs == {
        "layered-paper": "prioritised",
        "layered": "prioritised",
        "unlayered-random": "queued",
        "unlayered-momentum": "queued",
        "unlayered-any": "queued",
    }


def test_a_second_checkpoint_of_an_earlier_training_does_not_end_a_later_one(tmp_path):
    dataset = user_dataset("mine.npz", some(20), timestep_us=1000, classes=2)
    recipe, path = short(RECIPES_OF_USER["layered"]), tmp_path / "training"
    options = {"name": "layered", "all_data": True, "checkpoint": path}
    train_dataset(dataset, short(RECIPES_OF_USER["layered"], seed=1), **options)
    reported = []

    def interrupt(batch, epochs):
        reported.append(batch.epoch)
        if reported[-2:] == [1, 0]:  # the second training begins
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_dataset(dataset, recipe, on_batch=interrupt, **options)
    resumed = train_dataset(dataset, recipe, resume=True, **options)
    expected = train_dataset(dataset, recipe, name="layered", all_data=True)
    assert dump_bundle(resumed) == dump_bundle(expected)


def test_a_bundle_trained_on_user_data_describes_its_origin():
    dataset = user_dataset("mine.npz", some(20), timestep_us=1000, classes=2)
    bundle = train_dataset(
        dataset, short(RECIPES_OF_USER["layered"]), name="layered", meta={"by": "me"}
    )
    again = train_dataset(
        dataset, short(RECIPES_OF_USER["layered"]), name="layered", meta={"by": "me"}
    )
    assert dump_bundle(bundle) == dump_bundle(again)
    assert read_bundle(dump_bundle(bundle)).classes == ("0", "1")
    meta = bundle.meta
    assert (meta["dataset"], meta["recipe"], meta["by"]) == ("mine.npz", "layered", "me")
    assert meta["topology"] == RECIPES_OF_USER["layered"].topology
    assert "coding" not in meta
    assert "dataset_credit" not in meta


async def test_training_in_a_running_loop_as_in_a_notebook_gives_the_same_bundle():
    dataset = user_dataset("mine.npz", some(20), timestep_us=1000, classes=2)
    recipe = short(RECIPES_OF_USER["layered"])
    bundle = train_dataset(dataset, recipe, name="layered")
    alone = await asyncio.to_thread(train_dataset, dataset, recipe, name="layered")
    assert dump_bundle(bundle) == dump_bundle(alone)


def test_a_bundle_trained_on_images_describes_their_coding():
    digits = load_dataset("digits", coding="latency", encodings_per_image=2).at_most(
        train=60, measured=20
    )
    bundle = train_dataset(digits, short(RECIPES["digits"]["layered"]), name="layered")
    assert bundle.meta["coding"] == "latency"
    assert bundle.meta["encodings_per_training_image"] == 2
    assert bundle.meta["dataset_credit"] == digits.credit
    assert with_stop_rules(bundle, digits.validation, 0, 0.0).meta == bundle.meta


def test_progress_reports_each_batch_and_the_number_of_epochs():
    dataset = user_dataset("mine.npz", some(20), timestep_us=1000, classes=2)
    reported = []
    recipe = short(RECIPES_OF_USER["layered"], batch_size=8)
    train_dataset(
        dataset, recipe, name="layered",
        on_batch=lambda batch, epochs: reported.append((batch.epoch, batch.batch, epochs)),
    )  # fmt: skip
    assert reported == [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)]


def point(rule, right, rounds):
    """Return a stop point of four samples with the given number of correct ones."""
    target = np.zeros(4, np.int64)
    label = np.where(np.arange(4) < right, 0, 1)
    spent = np.full(4, rounds)
    return StopPoint(rule, target, label, np.ones(4, bool), spent, spent, spent)


@pytest.mark.parametrize(
    ("loss", "rule"), [(0.0, "margin(3)"), (0.25, "votes(2)"), (1.0, "first-spike")]
)
def test_the_best_rule_has_the_fewest_rounds_within_the_loss(loss, rule):
    points = [
        point("quiet", 3, 90),
        point("first-spike", 1, 2),
        point("votes(2)", 2, 10),
        point("margin(3)", 3, 30),
        point("margin(4)", 4, 40),
    ]
    assert best_rule(points, loss).rule == rule


def test_a_bundle_keeps_the_duration_of_the_training_and_is_calibrated_with_it():
    trains = [SpikeTrain([0, 1000, 2000, 9000], [k, k, k, 1 - k]) for k in np.arange(20) % 2]
    samples = SpikeTrains.from_trains(trains, (2,), np.arange(20) % 2)
    dataset = user_dataset("mine.npz", samples, timestep_us=1000, classes=2)
    recipe = short(RECIPES_OF_USER["layered"], duration_us=5000)
    bundle = train_dataset(dataset, recipe, name="layered")
    assert read_bundle(dump_bundle(bundle)).duration_us == 5000
    assert {golden.events.t_us[-1] for golden in bundle.golden} == {2000}
    assert all(result.holds for result in verify(bundle))
    whole = train_dataset(dataset, short(RECIPES_OF_USER["layered"]), name="layered")
    assert whole.duration_us is None


def test_what_a_bundle_cannot_hold_is_refused_before_the_training():
    data = user_dataset("mine.npz", some(10), timestep_us=1000, classes=2)
    odd = user_dataset("mi\udcffne.npz", some(10), timestep_us=1000, classes=2)
    wide = recipes_for_topology("timestep_us=1000; input 2; a d6; output d3")
    batches = []
    for dataset, recipes, message in (
        (data, wide, "`classes` must be a list of 3 names, one per output neuron"),
        (odd, RECIPES_OF_USER, r"`meta\['dataset'\]` must be text that UTF-8 can encode"),
    ):
        with pytest.raises(ModelError, match=message):
            train_dataset(
                dataset, short(recipes["layered"]), name="layered",
                on_batch=lambda *result: batches.append(result),
            )  # fmt: skip
    assert not batches


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"meta": {"a": [1]}}, BundleError, r"`meta\['a'\]` must be text, a number, a bool or nil"),
        ({"meta": 3}, BundleError, "`meta` must be a map from text to plain values, got int"),
        ({"name": ["layered"]}, BundleError, r"`meta\['recipe'\]` must be text"),
        ({"recipe": "layered"}, TypeError, "`recipe` must be a Recipe, got str"),
        ({"dataset": some(4)}, TypeError, "`dataset` must be a Dataset, got SpikeTrains"),
        ({"on_batch": 3}, ValueError, "`on_batch` must be a function, got 3"),
        ({"start": "layered"}, TypeError, "`start` must be a Bundle, got str"),
    ],
)
def test_arguments_are_checked_before_the_training(changes, error, message, monkeypatch):
    trained = []
    monkeypatch.setattr("neuroasync.train.recipes.training.fit", trained.append)
    dataset = user_dataset("mine.npz", some(20), timestep_us=1000, classes=2)
    arguments = {"dataset": dataset, "recipe": RECIPES_OF_USER["layered"], "name": "layered"}
    with pytest.raises(error, match=f"^{message}"):
        train_dataset(**arguments | changes)
    assert trained == []
