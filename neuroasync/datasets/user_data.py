"""A data set of the user's own, from spike files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.core.model.topology import parse_topology
from neuroasync.datasets.dataset import Dataset, DatasetInfo, LazySamples, join
from neuroasync.datasets.folds import Split, hold_out
from neuroasync.errors import DatasetError

__all__ = ["UserFiles", "user_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFiles:
    """Paths of spike files with labels.

    Attributes:
        train: samples to learn from.
        validation: samples to choose by; without, a fifth of ``train`` is held out.
        test: samples to measure on, if there are any.

    Raises:
        DatasetError: ``train`` is one of the others, too.
    """

    train: str
    validation: str | None = None
    test: str | None = None

    def __post_init__(self) -> None:
        """Check that nothing is learned from that is chosen by or measured on."""
        for part, path in (("validation", self.validation), ("test", self.test)):
            if path is not None and os.path.realpath(path) == os.path.realpath(self.train):
                raise DatasetError(
                    f"{part}: {path!r} is the same file as train, {self.train!r}; expected "
                    "samples that are not learned from"
                )

    def load(self, topology: str) -> Dataset:
        """The files as a data set for a network.

        Args:
            topology: text of the network, see :mod:`neuroasync.core.model.topology`.

        Raises:
            SpikeFileError: a file is missing or damaged.
            DatasetError: the files do not fit each other, or the network's outputs.
            ModelError: the text cannot be read.
        """
        model = parse_topology(topology)
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
    """Spike trains of one's own as a data set; its classes are called by their numbers.

    Args:
        name: what to call it.
        train: samples to learn from.
        validation: samples to choose by; without, a fifth of ``train`` is held out.
        test: samples to measure on, if there are any.
        timestep_us: that a network for it bins events to, µs.
        classes: how many there are.

    Raises:
        DatasetError: a part has no labels, no samples, a class too many, or another shape than
            ``train``.
    """
    parts = {"train": train, "validation": validation, "test": test}
    given = {part: spikes for part, spikes in parts.items() if spikes is not None}
    _check(name, given, classes)
    spikes = join(list(given.values()))
    labels = np.zeros(0, np.int64) if spikes.labels is None else spikes.labels
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
    shape = given["train"].shape
    for part, spikes in given.items():
        if spikes.labels is None or not len(spikes):
            raise DatasetError(f"{name}: {part}: expected samples with labels")
        if spikes.shape != shape:
            raise DatasetError(
                f"{name}: {part}: an input of shape {spikes.shape}, expected {shape} as in train"
            )
        if (most := int(spikes.labels.max())) >= classes:
            raise DatasetError(f"{name}: {part}: labels up to {most}, expected 0 to {classes - 1}")
    if "validation" not in given and len(given["train"]) < 5:
        raise DatasetError(f"{name}: train: {len(given['train'])} samples, expected 5 at least")
