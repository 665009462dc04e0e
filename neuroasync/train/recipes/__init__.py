"""Recipes: how the networks of each data set are trained, and training by one of them."""

from neuroasync.train.recipes.recipe import (
    ENCODINGS_PER_IMAGE,
    RECIPES,
    TRAININGS,
    VOTING,
    Recipe,
    Recipes,
    Training,
    fine_tuning,
    for_input,
    recipes_for_topology,
    recipes_of,
)

__all__ = [
    "ENCODINGS_PER_IMAGE",
    "RECIPES",
    "TRAININGS",
    "VOTING",
    "Recipe",
    "Recipes",
    "Training",
    "fine_tuning",
    "for_input",
    "recipes_for_topology",
    "recipes_of",
]
