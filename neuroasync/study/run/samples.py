"""The samples of a case."""

import hashlib
import os
from dataclasses import dataclass

from neuroasync.core.events.sample_bytes import sample_bytes
from neuroasync.core.model.topology import parse_topology
from neuroasync.datasets import Dataset, load_dataset
from neuroasync.errors import DatasetError
from neuroasync.study.design.case import Case
from neuroasync.train.recipes import Recipe

__all__ = ["SeedSamples", "StudySamples"]


@dataclass(frozen=True, slots=True, eq=False)
class SeedSamples:
    """The samples of one seed.

    Attributes:
        dataset: Samples to train on, to choose stop rules by, and to measure on.
        digest: SHA-256 digest of all of them, with labels and in order, hex.
    """

    dataset: Dataset
    digest: str


class StudySamples:
    """The data set of one case; with folds, each seed has a different split.

    Args:
        case: The case.
        data_dir: Folder of data sets, or None for the data sets that ship.

    Raises:
        ValueError, ImportError: The data set cannot be loaded; see ``load_dataset`` and
            ``UserFiles.load``.
    """

    def __init__(self, case: Case, data_dir: str | os.PathLike[str] | None) -> None:
        self.case = case
        self._latest: tuple[int, SeedSamples] | None = None
        recipe: Recipe = next(iter(case.recipes.values()))
        if case.files is not None:
            self._all = case.files.load(parse_topology(recipe.topology))
            if self._all.train.labels_over_time is not None:
                raise DatasetError(
                    f"{case.name}: a study compares decisions on whole samples, which must "
                    "not have labels over time"
                )
        else:
            self._all = load_dataset(
                case.dataset,
                data_dir=data_dir,
                coding=case.coding,
                encodings_per_image=case.encodings_per_image,
            )

    def of_seed(self, seed: int) -> SeedSamples:
        """Return the samples of a seed.

        The latest result is cached, because a study uses the same samples for each training.

        Raises:
            DatasetError: There are no validation samples or no test samples.
        """
        if self._latest is None or self._latest[0] != seed:
            dataset = self._split(seed)
            self._latest = seed, SeedSamples(dataset, _digest(dataset))
        return self._latest[1]

    def check(self, seed: int) -> None:
        """Check that the samples can be split for a seed.

        Raises:
            DatasetError: There are no validation samples or no test samples.
        """
        self._split(seed)

    def _split(self, seed: int) -> Dataset:
        case, dataset = self.case, self._all
        if case.folds:
            dataset = dataset.rotate(seed % case.folds, case.folds, seed // case.folds)
        dataset = dataset.at_most(case.max_train, case.max_measured)
        if not dataset.split.test.size or not dataset.split.validation.size:
            raise DatasetError(
                f"{case.name}: the data set has no validation samples or test samples"
            )
        return dataset


def _digest(dataset: Dataset) -> str:
    digest = hashlib.sha256()
    for part in (dataset.train, dataset.validation, dataset.test):
        for data in sample_bytes(part):
            digest.update(data)
    return digest.hexdigest()
