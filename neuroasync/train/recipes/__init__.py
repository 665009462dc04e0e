"""Recipes: how the networks of each data set are trained, and training by one of them."""

from neuroasync.train.recipes.own_topology import default_topology
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
    for_labels_over_time,
    recipes_for_bundle,
    recipes_for_topology,
    recipes_of,
)
from neuroasync.train.recipes.training import train_dataset

__all__ = [
    "ENCODINGS_PER_IMAGE",
    "RECIPES",
    "TRAININGS",
    "VOTING",
    "Recipe",
    "Recipes",
    "Training",
    "default_topology",
    "fine_tuning",
    "for_input",
    "for_labels_over_time",
    "recipes_for_bundle",
    "recipes_for_topology",
    "recipes_of",
    "train_dataset",
]
