"""Recipes: what a bundle says of the data and the rule that it was made with."""

from dataclasses import replace

import numpy as np
import pytest

from neuroasync import SpikeTrain, SpikeTrains, read_bundle
from neuroasync.core.formats.bundle import dump_bundle
from neuroasync.datasets import load_dataset
from neuroasync.datasets.user_data import user_dataset
from neuroasync.metrics import StopPoint
from neuroasync.train.recipe_training import train_dataset
from neuroasync.train.recipes import RECIPES, TRAININGS, for_input, recipes_for_topology
from neuroasync.train.stop_rule_search import best_rule, with_stop_rules


def some(samples):
    labels = np.arange(samples) % 2
    trains = [SpikeTrain([0, 1000, 2000], [k, k, k]) for k in labels]
    return SpikeTrains.from_trains(trains, (2,), labels)


OWN = recipes_for_topology("timestep_us=1000; input 2; a d6; output d2")


def short(recipe, **changes):
    return replace(recipe, config=replace(recipe.config, epochs=2, device="cpu", **changes))


def test_every_data_set_has_the_four_trainings():
    assert all(tuple(recipes) == TRAININGS[:4] for recipes in RECIPES.values())


def test_only_unlayered_recipes_are_trained_for_queued_input():
    changed = {name: for_input(recipe, "queued") for name, recipe in OWN.items()}
    inputs = {name: recipe.config.input for name, recipe in changed.items()}
    assert inputs == {
        "layered-paper": "prioritised",
        "layered": "prioritised",
        "unlayered-random": "queued",
        "unlayered-momentum": "queued",
    }


def test_a_bundle_of_own_samples_says_what_it_was_made_from():
    dataset = user_dataset("mine.npz", some(20), timestep_us=1000, classes=2)
    bundle = train_dataset(dataset, short(OWN["layered"]), name="layered", meta={"by": "me"})
    again = train_dataset(dataset, short(OWN["layered"]), name="layered", meta={"by": "me"})
    assert dump_bundle(bundle) == dump_bundle(again)
    assert read_bundle(dump_bundle(bundle)).classes == ("0", "1")
    said = bundle.meta
    assert (said["dataset"], said["recipe"], said["by"]) == ("mine.npz", "layered", "me")
    assert said["topology"] == OWN["layered"].topology
    assert "coding" not in said
    assert "dataset_credit" not in said


def test_a_bundle_of_images_says_how_they_were_coded():
    digits = load_dataset("digits", coding="latency", encodings_per_image=2).at_most(
        train=60, measured=20
    )
    bundle = train_dataset(digits, short(RECIPES["digits"]["layered"]), name="layered")
    assert bundle.meta["coding"] == "latency"
    assert bundle.meta["encodings_per_training_image"] == 2
    assert bundle.meta["dataset_credit"] == digits.credit
    assert with_stop_rules(bundle, digits.validation, 0, 0.0).meta == bundle.meta


def test_progress_tells_the_batches_and_the_epochs_there_will_be():
    dataset = user_dataset("mine.npz", some(20), timestep_us=1000, classes=2)
    told = []
    recipe = short(OWN["layered"], batch_size=8)
    train_dataset(
        dataset, recipe, name="layered",
        on_batch=lambda batch, epochs: told.append((batch.epoch, batch.batch, epochs)),
    )  # fmt: skip
    assert told == [(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)]


def point(rule, right, rounds):
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
