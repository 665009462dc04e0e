"""The recipe for training a network further follows from how its output votes."""

from dataclasses import replace

import pytest

from neuroasync import LIF, Bundle
from neuroasync.train.recipes import RECIPES, fine_tuning, for_labels_over_time
from tests.helpers.small_networks import chain


def with_output(neuron):
    bundle = chain()
    *hidden, output = bundle.model.populations
    populations = (*hidden, replace(output, neuron=neuron))
    return Bundle(replace(bundle.model, populations=populations))


@pytest.mark.parametrize("name", ["layered", "unlayered-random", "unlayered-momentum"])
def test_few_votes_count_more_and_at_the_end(name):
    recipe = RECIPES["mnist"][name]
    tuned = fine_tuning(recipe, with_output(LIF())).config
    assert (tuned.loss, tuned.vote_scale) == ("final", 2.0)
    assert tuned.lr == recipe.config.lr / 4


@pytest.mark.parametrize(
    ("name", "neuron"), [("layered-paper", LIF()), ("unlayered-random", LIF(refractory=False))]
)
def test_other_losses_stay_as_in_the_recipe(name, neuron):
    recipe = RECIPES["mnist"][name]
    tuned = fine_tuning(recipe, with_output(neuron)).config
    assert (tuned.loss, tuned.vote_scale) == (recipe.config.loss, recipe.config.vote_scale)


def test_samples_stay_as_long_as_in_the_bundle_unless_labels_end_them():
    start = replace(with_output(LIF()), duration_us=7000)
    tuned = fine_tuning(RECIPES["mnist"]["unlayered-random"], start)
    assert tuned.config.duration_us == 7000
    assert for_labels_over_time(tuned, 2000, 1000).config.duration_us is None
