"""The cases of ``neuroasync study``: one for each data set, in full and quick."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from neuroasync.datasets.user_data import UserFiles
from neuroasync.study.design.case import Case
from neuroasync.train.recipes import ENCODINGS_PER_IMAGE, RECIPES, Recipe, recipes_for_topology

__all__ = ["CASES", "DEFAULT", "QUICK", "own_case", "quickly"]

_FOLDS: Final = {"digits": 5, "nmnist-small": 5, "braille": 5}
"""Sets so small that every seed is measured on another fold."""
_MAX_TRAIN: Final = {"mnist": 8000}
"""So many tell what is asked here, in a sixth of the time."""
_MAX_MEASURED: Final = {"mnist": 1000, "nmnist": 1000, "shd": 500, "dvs-gesture": 100}
"""Recordings of more would be large: 56 bytes an input event."""

CASES: Final[Mapping[str, Case]] = {
    name: Case(
        name=name,
        dataset=name,
        recipes=recipes,
        encodings_per_image=ENCODINGS_PER_IMAGE.get(name, 1),
        folds=_FOLDS.get(name, 0),
        max_train=_MAX_TRAIN.get(name),
        max_measured=_MAX_MEASURED.get(name),
    )
    for name, recipes in RECIPES.items()
}
"""The case of each data set."""

DEFAULT: Final = ("digits", "mnist", "nmnist-small", "spoken-digits", "braille")
"""Data sets that are studied if none is named: those that ship, in part or whole."""
QUICK: Final = ("digits", "nmnist-small", "mnist")
"""The same, for a quick study."""

_QUICK_EPOCHS: Final = {"digits": 16}
_QUICK_ENCODINGS: Final = {"digits": 2}
_QUICK_EPOCHS_ELSE: Final = 20
_QUICK_TRAIN: Final = 1200
_QUICK_MEASURED: Final = 150


def quickly(case: Case) -> Case:
    """The case with fewer samples and epochs; with none more than it has."""
    epochs = _QUICK_EPOCHS.get(case.dataset, _QUICK_EPOCHS_ELSE)
    recipes = {name: _shorter(recipe, epochs) for name, recipe in case.recipes.items()}
    return replace(
        case,
        recipes=recipes,
        encodings_per_image=min(case.encodings_per_image, _QUICK_ENCODINGS.get(case.dataset, 1)),
        max_train=_at_most(case.max_train, _QUICK_TRAIN),
        max_measured=_at_most(case.max_measured, _QUICK_MEASURED),
    )


def _at_most(known: int | None, most: int) -> int:
    return most if known is None else min(known, most)


def _shorter(recipe: Recipe, epochs: int) -> Recipe:
    """At most so many epochs, the same part of them under layer-sync."""
    config = recipe.config
    fewer = min(epochs, config.epochs)
    layered = config.layered_epochs
    if layered is not None:
        layered = round(layered * fewer / max(config.epochs, 1))
    return replace(recipe, config=replace(config, epochs=fewer, layered_epochs=layered))


def own_case(files: UserFiles, topology: str) -> Case:
    """The case of files of one's own."""
    return Case(name="own", dataset="own", recipes=recipes_for_topology(topology), files=files)
