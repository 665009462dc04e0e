"""The recipes of the data sets."""

import pytest

from neuroasync import parse_topology
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


@pytest.mark.parametrize("name", ["mnist", "nmnist-small"])
def test_all_neurons_repeat_in_the_other_recipes_of(name):
    for training, recipe in RECIPES[name].items():
        if training != "layered-paper":
            for population in parse_topology(recipe.topology).populations:
                assert (population.neuron.reset, population.neuron.refractory) == (
                    "subtract",
                    False,
                )
