"""What a study is, as plain data: its cases, its seeds, its grid of runs."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from neuroasync.core.engine.policies import make_policy
from neuroasync.core.engine.run_settings import InputMode, RunOptions, RunSettings
from neuroasync.datasets.images import Coding
from neuroasync.datasets.user_data import UserFiles
from neuroasync.train.recipes import TRAININGS, Recipe, Recipes, Training, for_input

__all__ = ["GROUP_SIZE", "Case", "Grid", "Mode", "StudyPlan", "network_name"]

GROUP_SIZE: Final = 8
"""F of what the report shows, where it shows one: what networks are trained for."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to run a network."""

    policy: str
    group_size: int
    input: InputMode

    def __post_init__(self) -> None:
        """Check it as the runtime would."""
        RunSettings(make_policy(self.policy), self.group_size, self.input)

    @property
    def options(self) -> RunOptions:
        """As the runtime takes it."""
        return {"policy": self.policy, "group_size": self.group_size, "input": self.input}


@dataclass(frozen=True, slots=True)
class Grid:
    """The modes that each network runs in: all combinations."""

    policies: tuple[str, ...] = ("layer-sync", "random", "momentum", "fifo")
    group_sizes: tuple[int, ...] = (1, 8, 32)
    inputs: tuple[InputMode, ...] = ("prioritised", "queued")

    def __iter__(self) -> Iterator[Mode]:
        """Mode by mode, in the order in which results are listed."""
        for mode in self.inputs:
            for group_size in self.group_sizes:
                for policy in self.policies:
                    yield Mode(policy, group_size, mode)

    def __len__(self) -> int:
        """Number of modes."""
        return len(self.policies) * len(self.group_sizes) * len(self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question: a data set, networks for it, and how their input comes.

    Attributes:
        name: of letters, digits, ``-``, ``.`` and ``_``; files are called by it.
        dataset: a name of ``neuroasync.datasets``; of files of one's own, what to call them.
        recipes: network and training by the trainings' names; one that is not there is not run.
        input: how the input of unlayered networks comes, in training and in what the report
            shows; their recipes' own ``input`` does not count.
        coding: of images; None for the data set's default.
        encodings_per_image: encodings of each training image.
        folds: seed s is measured on fold s of so many of the training file; 0 leaves every seed
            with the set's own test part.
        max_train: training samples, at most; None for all.
        max_measured: validation samples, and test samples, at most; None for all.
        grid: the modes that each network runs in.
        files: the samples, where they are files of one's own.

    Raises:
        ValueError: the name has other characters, a training is unknown or there is none, a
            recipe is for another F than the report shows, or the grid lacks a mode it shows.
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
        """Check the name, the trainings and the grid."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", self.name):
            raise ValueError(f"name: {self.name!r:.80}, expected letters, digits, '-', '.', '_'")
        for name, recipe in self.recipes.items():
            if (size := recipe.config.group_size) != GROUP_SIZE:
                raise ValueError(
                    f"{self.name}: recipes[{name!r}].config.group_size: {size}, expected "
                    f"{GROUP_SIZE}, which the report shows"
                )
        own = [self.own_mode(name) for name in self.recipes if name in TRAININGS]
        shown = [Mode(policy, GROUP_SIZE, self.input) for policy in self.grid.policies]
        if missing := [mode for mode in (*own, *shown) if mode not in list(self.grid)]:
            raise ValueError(f"{self.name}: grid without {missing[0]}, which the report shows")
        unknown = [name for name in self.recipes if name not in TRAININGS]
        if unknown or not self.recipes:
            raise ValueError(f"{self.name}: recipes {unknown}, expected some of {list(TRAININGS)}")

    @property
    def trainings(self) -> tuple[Training, ...]:
        """Those that it has a recipe for, in the order in which they are compared."""
        return tuple(name for name in TRAININGS if name in self.recipes)

    def recipe(self, training: Training) -> Recipe:
        """The recipe as it is trained: for this case's input."""
        return for_input(self.recipes[training], self.input)

    def own_mode(self, training: Training, group_size: int = GROUP_SIZE) -> Mode:
        """The mode that a training is meant for; a layered one always has its input first."""
        config = self.recipe(training).config
        return Mode(config.policy, group_size, config.input)

    def shown_mode(self, training: Training, group_size: int = GROUP_SIZE) -> Mode:
        """The order that a training is meant for, with its input as it comes in this case."""
        return Mode(self.recipe(training).config.policy, group_size, self.input)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study: every case with every seed.

    Attributes:
        cases: of different names.
        seeds: of training, of the fold, and of the order keys.
        data_dir: folder of data sets; None for what ships.

    Raises:
        ValueError: a name or seed occurs twice, or there is none; or a case has fewer folds than
            there are seeds.
    """

    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    data_dir: str | None = None

    def __post_init__(self) -> None:
        """Check that nothing would overwrite anything, nor be counted twice."""
        for what, values in (("cases", [case.name for case in self.cases]), ("seeds", self.seeds)):
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{what}: {values!r:.80}, expected some, all different")
        for case in self.cases:
            # Else a sample is measured twice, and differences count it as two.
            if 0 < case.folds < len(self.seeds):
                raise ValueError(
                    f"seeds: {len(self.seeds)}, but {case.name} has {case.folds} folds, one for "
                    f"each seed; expected {case.folds} seeds at most"
                )

    @property
    def networks(self) -> list[tuple[Case, Training, int]]:
        """All that are trained, in order."""
        return [
            (case, training, seed)
            for case in self.cases
            for seed in self.seeds
            for training in case.trainings
        ]

    def to_json(self) -> dict[str, Any]:
        """All that determines the results, but for the samples themselves."""
        return asdict(self)


def network_name(case: Case, training: Training, seed: int) -> str:
    """What the files of a network are called."""
    return f"{case.name}-{training}-{seed}"
