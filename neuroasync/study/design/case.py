"""The design of a study as plain data: cases, seeds and the grid of modes."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

from neuroasync import limits
from neuroasync.core.engine.policies import PolicyName, make_policy
from neuroasync.core.engine.run_settings import InputMode, RunOptions, RunSettings, check_seed
from neuroasync.core.model.checks import check_int, check_type, must_be, shown
from neuroasync.datasets.images import Coding
from neuroasync.datasets.user_data import UserFiles
from neuroasync.train.recipes import TRAININGS, Recipe, Recipes, Training, for_input

__all__ = ["GROUP_SIZE", "Case", "Grid", "Mode", "StudyNetwork", "StudyPlan"]

GROUP_SIZE: Final = 8
"""F of the results that the report shows for a single F. Networks are trained with it."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run a network: ordering policy, group size and input mode."""

    policy: str
    group_size: int
    input: InputMode

    def __post_init__(self) -> None:
        """Check the mode with the rules of the runtime."""
        settings = RunSettings(make_policy(self.policy), self.group_size, self.input)
        object.__setattr__(self, "group_size", settings.group_size)

    @property
    def options(self) -> RunOptions:
        """The mode as options of the runtime."""
        return {
            "policy": cast("PolicyName", self.policy),
            "group_size": self.group_size,
            "input": self.input,
        }


@dataclass(frozen=True, slots=True)
class Grid:
    """The modes that each network runs in: all combinations of the given values.

    Raises:
        PolicyError, ValueError: A value is invalid or occurs twice, or there are no modes.
    """

    policies: tuple[str, ...] = ("layer-sync", "random", "momentum", "fifo")
    group_sizes: tuple[int, ...] = (1, 8, 32)
    inputs: tuple[InputMode, ...] = ("prioritised", "queued")

    def __post_init__(self) -> None:
        """Check all modes."""
        for name in ("policies", "group_sizes", "inputs"):
            object.__setattr__(self, name, _different(name, getattr(self, name)))
        sizes = tuple(mode.group_size for mode in self if mode.policy == self.policies[0])
        object.__setattr__(self, "group_sizes", tuple(dict.fromkeys(sizes)))

    def __iter__(self) -> Iterator[Mode]:
        """Iterate over the modes in the order in which results are listed."""
        for mode in self.inputs:
            for group_size in self.group_sizes:
                for policy in self.policies:
                    yield Mode(policy, group_size, mode)

    def __len__(self) -> int:
        """Return the number of modes."""
        return len(self.policies) * len(self.group_sizes) * len(self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A data set, the networks trained on it, and how their input is delivered.

    Attributes:
        name: Name of the case, from letters, digits, ``-``, ``.`` and ``_``; part of file names.
        dataset: Name of a data set of ``neuroasync.datasets``, or a label for a user's files.
        recipes: Recipe (topology and training) by training. Trainings without a recipe are
            left out. A study trains on the CPU, even with ``device="auto"``.
        input: Input mode of unlayered networks, in training and in the tables of the report. It
            overrides the ``input`` of their recipes.
        coding: Coding of images, or None for the default of the data set.
        encodings_per_image: Number of encodings of each training image.
        folds: Number of folds of the training file; seed s is measured on fold s. With 0, every
            seed is measured on the test part of the data set.
        max_train: Maximum number of training samples, or None for all.
        max_measured: Maximum number of validation samples and of test samples, or None for all.
        grid: Modes that each network runs in.
        files: The user's data files, if there are any.

    Raises:
        ValueError: The name has other characters, a training is unknown, there is no recipe, a
            recipe has the device ``"cuda"`` or another F than the report shows, a number is out of
            range, the files are to be encoded, or the grid lacks a mode that the report shows.
        TypeError: A field has another type.
    """

    name: str
    dataset: str
    recipes: Recipes
    input: InputMode = "prioritised"
    coding: Coding | None = None
    encodings_per_image: int = 1
    folds: int = 0
    max_train: int | None = None
    max_measured: int | None = None
    grid: Grid = field(default_factory=Grid)
    files: UserFiles | None = None

    def __post_init__(self) -> None:
        """Check all fields but the data set and the coding, which ``load_dataset`` checks."""
        check_type("name", self.name, str)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", self.name):
            raise ValueError(
                "`name` must consist of at most 80 letters, digits, '-', '.' and '_' and start "
                f"with a letter or digit, got {self.name!r:.80}"
            )
        self._check_samples()
        check_type("grid", self.grid, Grid)
        self._check_recipes()
        trained = [self.trained_mode(name) for name in self.recipes]
        shown_modes = [Mode(policy, GROUP_SIZE, self.input) for policy in self.grid.policies]
        if missing := [mode for mode in (*trained, *shown_modes) if mode not in list(self.grid)]:
            raise ValueError(f"{self.name}: `grid` must have {missing[0]}, which the report shows")

    def _check_samples(self) -> None:
        """Check the fields that choose the samples."""
        lowest = {"encodings_per_image": 1, "folds": 0, "max_train": 1, "max_measured": 1}
        for name, low in lowest.items():
            value = getattr(self, name)
            if value is None and name in ("max_train", "max_measured"):
                continue  # All samples are used.
            number = check_int(name, value, low, limits.MAX_TIME_US, ValueError)
            object.__setattr__(self, name, number)
        if self.folds == 1:
            raise ValueError(must_be("folds", "0, or an integer of at least 2", "1"))
        if self.files is None:
            return
        check_type("files", self.files, UserFiles)
        if self.coding is not None or self.encodings_per_image != 1:
            raise ValueError(
                f"{self.name}: `coding` and `encodings_per_image` are for images, but `files` has "
                "events; leave them out"
            )

    def _check_recipes(self) -> None:
        check_type("recipes", self.recipes, Mapping)
        unknown = [name for name in self.recipes if name not in TRAININGS]
        if unknown or not self.recipes:
            raise ValueError(
                f"{self.name}: `recipes` must be one or more of {list(TRAININGS)}, "
                f"got {list(self.recipes)}"
            )
        for name, recipe in self.recipes.items():
            check_type(f"recipes[{name!r}]", recipe, Recipe)
            if (size := recipe.config.group_size) != GROUP_SIZE:
                raise ValueError(
                    f"{self.name}: recipes[{name!r}].config.group_size must be {GROUP_SIZE}, which "
                    f"the report shows, got {size}"
                )
            if recipe.config.device == "cuda":
                raise ValueError(
                    f"{self.name}: recipes[{name!r}].config.device must be 'auto' or 'cpu', "
                    "because a study trains on the CPU, got 'cuda'"
                )

    @property
    def trainings(self) -> tuple[Training, ...]:
        """The trainings of the case, in the order in which they are compared."""
        return tuple(name for name in TRAININGS if name in self.recipes)

    def recipe(self, training: Training) -> Recipe:
        """Return the recipe of a training, adapted to the input mode of this case."""
        return for_input(self.recipes[training], self.input)

    def trained_mode(self, training: Training, group_size: int = GROUP_SIZE) -> Mode:
        """Return the mode that a training is for; layered ones always have prioritised input."""
        config = self.recipe(training).config
        return Mode(config.policy, group_size, config.input)

    def shown_mode(self, training: Training, group_size: int = GROUP_SIZE) -> Mode:
        """Return the policy that a training is for, with the input mode of this case."""
        return Mode(self.recipe(training).config.policy, group_size, self.input)


@dataclass(frozen=True, slots=True)
class StudyNetwork:
    """A network of a study: a case, a training and a seed."""

    case: Case
    training: Training
    seed: int

    @property
    def name(self) -> str:
        """Name of the network, which the names of its files contain."""
        return f"{self.case.name}-{self.training}-{self.seed}"

    @property
    def recipe(self) -> Recipe:
        """Recipe of the network, adapted to the input mode of its case."""
        return self.case.recipe(self.training)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study: every case with every seed.

    Attributes:
        cases: Cases with different names.
        seeds: Seeds of the training, of the fold, and of the order keys.
        data_dir: Folder of data sets, or None for the data sets that ship.

    Raises:
        ValueError: A name or seed occurs twice, a seed is out of range, there are no cases or no
            seeds, or a case has fewer folds than there are seeds.
        TypeError: A field has another type.
    """

    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    data_dir: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        """Check that no network overwrites another, and that no sample counts twice."""
        cases = _listed("cases", self.cases)
        for k, case in enumerate(cases):
            check_type(f"cases[{k}]", case, Case)
        seeds = _different("seeds", map(check_seed, _listed("seeds", self.seeds)))
        _different("cases", [case.name for case in cases])
        data_dir = None if self.data_dir is None else os.fspath(self.data_dir)
        for name, value in (("cases", cases), ("seeds", seeds), ("data_dir", data_dir)):
            object.__setattr__(self, name, value)
        for case in self.cases:
            # With more seeds than folds, two seeds would be measured on the same fold, and
            # differences between trainings would count its samples twice.
            if 0 < case.folds < len(self.seeds):
                raise ValueError(
                    f"`seeds` must have at most {case.folds} entries, one for each fold of "
                    f"{case.name}, got {len(self.seeds)}"
                )

    @property
    def networks(self) -> list[StudyNetwork]:
        """All networks to train, in order."""
        return [
            StudyNetwork(case, training, seed)
            for case in self.cases
            for seed in self.seeds
            for training in case.trainings
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything that determines the results, except the samples themselves."""
        return asdict(self)


def _listed(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Return values as a tuple."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(must_be(name, "a tuple", shown(values)))
    return tuple(values)


def _different(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Return values as a tuple; raise ValueError if there are none, or one occurs twice."""
    entries = _listed(name, values)
    if not entries or len(set(entries)) != len(entries):
        raise ValueError(
            f"`{name}` must have one or more different entries, got {list(entries)!r:.80}"
        )
    return entries
