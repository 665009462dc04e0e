"""A data set from the user's spike files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.core.model.checks import must_be
from neuroasync.core.model.model import Model
from neuroasync.datasets.dataset import Dataset, DatasetInfo, LazySamples, join, label_kind
from neuroasync.datasets.folds import Split, hold_out
from neuroasync.errors import DatasetError

__all__ = ["UserFiles", "user_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFiles:
    """Paths of the user's spike files, with labels.

    Attributes:
        train: Training samples.
        validation: Validation samples. Defaults to a fifth of ``train``, which is held out.
        test: Test samples, if there are any.

    Raises:
        DatasetError: ``validation`` or ``test`` is the same file as ``train``.
        TypeError: A path is not a string or ``os.PathLike``.
    """

    train: str | os.PathLike[str]
    validation: str | os.PathLike[str] | None = None
    test: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        """Check that no training samples are used for validation or testing."""
        for part in ("train", "validation", "test"):
            path = getattr(self, part)
            if path is None and part != "train":
                continue
            if not isinstance(path, str | os.PathLike):
                raise TypeError(must_be(part, "a str or os.PathLike", type(path).__name__))
            object.__setattr__(self, part, os.fspath(path))
        for part, path in (("validation", self.validation), ("test", self.test)):
            if path is not None and os.path.realpath(path) == os.path.realpath(self.train):
                raise DatasetError(
                    f"{part} must be another file than train, {self.train!r}, got {path!r}"
                )

    def load(self, model: Model) -> Dataset:
        """Read the files as a data set for a network.

        Args:
            model: The network; its weights do not matter.

        Raises:
            SpikeFileError: A file is missing or damaged.
            DatasetError: The files do not fit each other, or the network's output.
        """
        return user_dataset(
            Path(self.train).name,
            read_spikes(self.train),
            validation=None if self.validation is None else read_spikes(self.validation),
            test=None if self.test is None else read_spikes(self.test),
            timestep_us=model.timestep_us,
            classes=model.populations[model.index(model.output)].size,
        )


def user_dataset(
    name: str,
    train: SpikeTrains,
    *,
    validation: SpikeTrains | None = None,
    test: SpikeTrains | None = None,
    timestep_us: int,
    classes: int,
) -> Dataset:
    """Return the user's spike trains as a data set. The names of the classes are their numbers.

    Args:
        name: Name of the set.
        train: Training samples.
        validation: Validation samples. Defaults to a fifth of ``train``, which is held out.
        test: Test samples, if there are any.
        timestep_us: Timestep of the network, µs.
        classes: Number of classes.

    Raises:
        DatasetError: A part has no samples or labels, a label is out of range, or the shape
            differs from that of ``train``.
    """
    parts = {"train": train, "validation": validation, "test": test}
    given = {part: spikes for part, spikes in parts.items() if spikes is not None}
    _check(name, given, classes)
    spikes = join(list(given.values()))
    # Samples with labels over time are not stratified by class.
    labels = np.zeros(len(spikes), np.int64) if spikes.labels is None else spikes.labels
    numbers = np.arange(len(spikes))
    sizes = [len(given[part]) if part in given else 0 for part in parts]
    split = Split(*np.split(numbers, np.cumsum(sizes)[:-1]))
    if validation is None:
        split = hold_out(split.train, split.test, labels)
    info = DatasetInfo(
        name=name,
        title=name,
        classes=tuple(map(str, range(classes))),
        input_shape=train.shape,
        timestep_us=timestep_us,
        licence="",
        credit="",
    )
    return Dataset(info, LazySamples(labels, lambda chosen, _: spikes.take(chosen)), split)


def _check(name: str, given: Mapping[str, SpikeTrains], classes: int) -> None:
    """Raise DatasetError unless the parts have labels and fit each other."""
    shape, kind = given["train"].shape, label_kind(given["train"])
    for part, spikes in given.items():
        labels = spikes.labels
        if spikes.labels_over_time is not None:
            labels = spikes.labels_over_time.labels
        if labels is None or not len(spikes):
            raise DatasetError(f"{name}: {part} must have at least one sample, and labels")
        if (found := label_kind(spikes)) != kind:
            raise DatasetError(f"{name}: {part} must have labels as train has, {kind}, got {found}")
        if spikes.shape != shape:
            raise DatasetError(
                f"{name}: {part} must have the input shape of train, {shape}, got {spikes.shape}"
            )
        if (highest := int(labels.max(initial=-1))) >= classes:
            raise DatasetError(
                f"{name}: labels of {part} must be from 0 to {classes - 1}, got {highest}"
            )
    if "validation" not in given and len(given["train"]) < 5:
        raise DatasetError(
            f"{name}: train must have at least 5 samples if there is no validation file, "
            f"got {len(given['train'])}"
        )
