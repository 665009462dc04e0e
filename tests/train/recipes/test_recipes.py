"""The recipes of the data sets."""

from collections import Counter

import numpy as np
import pytest

from neuroasync import parse_run_modes, parse_topology
from neuroasync.train.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_paper_like_recipe_has_the_same_neurons_and_learning_rate_for_all_data(name):
    recipe = RECIPES[name]["layered-paper"]
    assert recipe.config.lr == 4e-3
    for population in parse_topology(recipe.topology).populations:
        neuron = population.neuron
        assert neuron.v_threshold == 0.3
        assert neuron.refractory
        assert neuron.reset == "zero"


@pytest.mark.parametrize("name", RECIPES)
def test_a_network_for_every_order_takes_twice_the_epochs(name):
    epochs = {training: recipe.config.epochs for training, recipe in RECIPES[name].items()}
    longer = epochs.pop("unlayered-any")
    assert set(epochs.values()) == {longer / 2}


@pytest.mark.parametrize(
    ("name", "share"),
    [("mnist", 4), ("nmnist-small", 4), ("braille", 4), ("digits", 2), ("spoken-digits", 2)],
)
def test_neurons_that_repeat_need_fewer_epochs_under_layer_sync(name, share):
    config = RECIPES[name]["unlayered-any"].config
    policies = [config.epoch_policy(epoch) for epoch in range(config.epochs)]
    assert policies.count("layer-sync") == policies.index("drawn") == config.epochs // share


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"epochs": 20}, (20, 5)),
        ({"epochs": np.int64(2)}, (2, 0)),
        ({"epochs": 20, "layered_epochs": 7}, (20, 7)),
        ({"epochs": 20, "layered_epochs": None}, (20, None)),
        ({"layered_epochs": 7}, (96, 7)),
        ({"lr": 0.5}, (96, 24)),
    ],
)
def test_the_share_of_epochs_under_layer_sync_stays_with_other_epochs(settings, expected):
    config = RECIPES["mnist"]["unlayered-any"].with_training(**settings).config
    assert (config.epochs, config.layered_epochs) == expected
    for key, value in settings.items():
        assert getattr(config, key) == value


def test_half_of_the_epochs_stays_half_and_no_layered_epochs_stay_none():
    half = RECIPES["digits"]["unlayered-any"].with_training(epochs=6)
    assert half.config.layered_epochs is None
    none = half.with_training(layered_epochs=0).with_training(epochs=60)
    assert none.config.layered_epochs == 0


def test_a_wrong_number_of_epochs_is_refused_by_its_name():
    for wrong in ("20", -1, 1.5):
        with pytest.raises(ValueError, match="`epochs` must be an integer"):
            RECIPES["mnist"]["unlayered-any"].with_training(epochs=wrong)


@pytest.mark.parametrize(("name", "weight"), [("braille", 8), ("digits", 4), ("mnist", 4)])
def test_only_layer_sync_on_braille_is_drawn_more_often_than_other_orders(name, weight):
    weights = Counter()
    for mode, each in parse_run_modes(RECIPES[name]["unlayered-any"].config.modes):
        weights[mode.name] += each
    assert weights == {"layer-sync": weight, "random": 4, "momentum": 4, "fifo": 4}


@pytest.mark.parametrize(
    ("name", "cells"),
    [("mnist", 1), ("fashion-mnist", 0), ("nmnist-small", 2), ("nmnist", 2), ("braille", 0)],
)
def test_every_recipe_of_a_data_set_shifts_its_samples_as_far(name, cells):
    assert {recipe.config.shift for recipe in RECIPES[name].values()} == {cells}


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "nmnist-small", "braille"])
def test_all_neurons_repeat_in_the_other_recipes_of(name):
    for training, recipe in RECIPES[name].items():
        if training != "layered-paper":
            for population in parse_topology(recipe.topology).populations:
                assert (population.neuron.reset, population.neuron.refractory) == (
                    "subtract",
                    False,
                )
