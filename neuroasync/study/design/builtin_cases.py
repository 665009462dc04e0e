"""The cases of ``neuroasync study``: one per data set, in full or reduced with ``--quick``."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from neuroasync.datasets.user_data import UserFiles
from neuroasync.study.design.case import Case
from neuroasync.train.recipes import ENCODINGS_PER_IMAGE, RECIPES, recipes_for_topology

__all__ = ["CASES", "DEFAULT", "QUICK", "quick_case", "user_case"]

_FOLDS: Final = {"digits": 5, "nmnist-small": 5, "braille": 5}
"""Number of folds of small data sets, in which every seed is measured on a different fold."""
_MAX_TRAIN: Final = {"mnist": 8000, "fashion-mnist": 8000}
"""Training samples that are enough for these comparisons; whole sets take six times as long."""
_MAX_MEASURED: Final = {
    "mnist": 1000,
    "fashion-mnist": 1000,
    "nmnist": 1000,
    "shd": 500,
    "dvs-gesture": 100,
}
"""Limits of measured samples, because recordings take 56 bytes per input event."""

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

DEFAULT: Final = ("digits", "mnist", "fashion-mnist", "nmnist-small", "spoken-digits", "braille")
"""Data sets of a study that names none: the data sets that ship, complete or in part."""
QUICK: Final = ("digits", "nmnist-small", "mnist")
"""The same for a quick study."""

_QUICK_EPOCHS: Final = {"digits": 13}
_QUICK_ENCODINGS: Final = {"digits": 2}
_QUICK_DEFAULT_EPOCHS: Final = 16
_QUICK_TRAIN: Final = 1000
_QUICK_MEASURED: Final = 120


def quick_case(case: Case) -> Case:
    """Return the case with fewer samples and epochs, and without shifts; no limit is raised.

    With so few epochs, networks are far less accurate if the training samples are shifted.
    """
    epochs = _QUICK_EPOCHS.get(case.dataset, _QUICK_DEFAULT_EPOCHS)
    recipes = {
        name: recipe.with_training(epochs=min(epochs, recipe.config.epochs), shift=0)
        for name, recipe in case.recipes.items()
    }
    return replace(
        case,
        recipes=recipes,
        encodings_per_image=min(case.encodings_per_image, _QUICK_ENCODINGS.get(case.dataset, 1)),
        max_train=_lower(case.max_train, _QUICK_TRAIN),
        max_measured=_lower(case.max_measured, _QUICK_MEASURED),
    )


def _lower(limit: int | None, maximum: int) -> int:
    return maximum if limit is None else min(limit, maximum)


def user_case(files: UserFiles, topology: str) -> Case:
    """Return the case of a user's data files."""
    return Case(name="own", dataset="own", recipes=recipes_for_topology(topology), files=files)
