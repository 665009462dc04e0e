"""A data set: its training, validation and test parts as spike trains, and its description."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np

from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.events.values import joined_values
from neuroasync.core.model.checks import check_int
from neuroasync.datasets.folds import Ints, Split, hold_out
from neuroasync.errors import DatasetError

__all__ = [
    "Dataset", "DatasetInfo", "Encode", "LazySamples", "dataset_from_files", "join", "label_kind",
]  # fmt: skip

Encode: TypeAlias = Callable[[Ints, int], SpikeTrains]
"""Function that encodes the samples with the given numbers.

Its second argument is the number of the encoding, from 0. A random code gives different
events for each encoding number.
"""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Description of a data set, known before any sample is read; see :class:`Dataset`."""

    name: str
    title: str
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    timestep_us: int
    licence: str
    credit: str


@dataclass(frozen=True, slots=True, eq=False)
class LazySamples:
    """All samples of a data set, by number, encoded on demand.

    Attributes:
        labels: i64[samples], the correct classes.
        encode: Function that encodes samples.
        group: i64[samples], index into ``groups``; None if the set has no groups.
        groups: Names of the groups that the samples come from, for example of speakers.
    """

    labels: Ints
    encode: Encode
    group: Ints | None = None
    groups: tuple[str, ...] = ()

    @property
    def strata(self) -> Ints:
        """i64[samples], stratum of each sample: its class and group, for stratified splits."""
        if self.group is None:
            return self.labels
        return self.labels * len(self.groups) + self.group


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with a training, a validation and a test part.

    A part is encoded at its first use, and then kept in memory.

    Attributes:
        info: Description of the set. The properties return its fields.
        samples: All samples, by number.
        split: Sample numbers of each part.
        encodings_per_image: Number of encodings of each training sample.
        coding: How pixels become spikes; None if the samples are recorded as events.
    """

    info: DatasetInfo
    samples: LazySamples
    split: Split
    encodings_per_image: int = 1
    coding: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields and the encoded parts, for a pickle.

        It has no samples outside of its parts, because the function that encodes them may need
        files, which other machines do not have.
        """
        samples = replace(self.samples, encode=_encode_nothing)
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return vars(self) | parts | {"samples": samples}

    def __copy__(self) -> Self:
        """Return a copy that can encode its samples, unlike a pickle."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a deep copy that can encode its samples, unlike a pickle."""
        twin = memo[id(self)] = object.__new__(type(self))
        vars(twin).update(deepcopy(vars(self), memo))
        return twin

    @cached_property
    def train(self) -> SpikeTrains:
        """The training samples, repeated once for each encoding.

        Raises:
            DatasetError: A sample cannot be read or is damaged. The other parts raise it, too.
        """
        numbers = self.split.train
        return join(
            [
                self.samples.encode(numbers, encoding_index)
                for encoding_index in range(self.encodings_per_image)
            ]
        )

    @cached_property
    def validation(self) -> SpikeTrains:
        """The validation samples, for choosing between networks and settings.

        They are held out from the set's training file.
        """
        return self.samples.encode(self.split.validation, 0)

    @cached_property
    def test(self) -> SpikeTrains:
        """The test samples, for measuring. Do not train on them or choose by them."""
        return self.samples.encode(self.split.test, 0)

    @property
    def name(self) -> str:
        """Name of the set for :func:`~neuroasync.datasets.load_dataset`."""
        return self.info.name

    @property
    def title(self) -> str:
        """Title that the authors gave the set."""
        return self.info.title

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return self.info.classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input: polarity (0 off, 1 on), if any, then y and x, or the channel."""
        return self.info.input_shape

    @property
    def timestep_us(self) -> int:
        """A suitable timestep for networks, µs. The events are not binned to it."""
        return self.info.timestep_us

    @property
    def licence(self) -> str:
        """Licence of the samples."""
        return self.info.licence

    @property
    def credit(self) -> str:
        """Attribution of the authors, as the licence requires it."""
        return self.info.credit

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that the samples come from, for example of speakers.

        It is empty if the set does not record groups.
        """
        return self.samples.groups

    @cached_property
    def duration_us(self) -> int:
        """End of the longest training or validation sample, µs, in whole timesteps."""
        last = max(int(part.t_us.max(initial=0)) for part in (self.train, self.validation))
        return (last // self.timestep_us + 1) * self.timestep_us

    def fold(self, k: int, folds: int = 5, seed: int = 0) -> Self:
        """Return the set with fold ``k`` as validation part, for cross-validation.

        The training and validation samples are split into folds, stratified by class and group.
        The test part does not change.

        Args:
            k: Number of the fold, from 0 to ``folds - 1``.
            folds: Number of folds, at least 2.
            seed: Seed of the assignment to folds, 64 bits.

        Raises:
            ValueError: An argument is out of range.
        """
        k = _checked_fold(k, folds)
        return replace(self, split=self.split.fold(k, folds, self.samples.strata, seed))

    def rotate(self, k: int, folds: int = 5, seed: int = 0) -> Self:
        """Return the set with fold ``k`` as test part, for cross-validated measurements.

        The training and validation samples are split into folds, stratified by class and group.
        The samples outside of fold ``k`` are split again into a training and a validation part.
        The set's original test part is not used.

        Args:
            k: Number of the fold, from 0 to ``folds - 1``.
            folds: Number of folds, at least 2.
            seed: Seed of the assignment to folds, 64 bits.

        Raises:
            ValueError: An argument is out of range.
            DatasetError: Fewer than 5 samples are outside of fold ``k``.
        """
        k = _checked_fold(k, folds)
        return replace(self, split=self.split.rotate(k, folds, self.samples.strata, seed))

    def at_most(self, train: int | None = None, measured: int | None = None) -> Self:
        """Return a smaller set with the same proportions of classes and groups.

        Args:
            train: Maximum number of training samples. None keeps all.
            measured: Maximum number of validation samples, and of test samples. None keeps all.

        Raises:
            ValueError: A number is below 1.
        """
        if train is not None:
            train = check_int("train", train, 1, 2**53, ValueError)
        if measured is not None:
            measured = check_int("measured", measured, 1, 2**53, ValueError)
        return replace(self, split=self.split.at_most(train, measured, self.samples.strata))

    def leave_out(self, group: str) -> Self:
        """Return the set with one group left out of training, as the only one in the test part.

        This tests whether a network generalises to an unknown group. The training and validation
        samples of the other groups are split again.

        Args:
            group: One of ``groups``.

        Raises:
            ValueError: The group is unknown, or it has no test sample.
            DatasetError: Fewer than 5 training and validation samples are left.
        """
        if not self.groups:
            raise ValueError(f"{self.name} does not record groups, so none can be left out")
        if self.samples.group is None or group not in self.groups:
            raise ValueError(f"`group` must be one of {', '.join(self.groups)}, got {group!r:.80}")
        of_group = self.samples.group == self.groups.index(group)
        pool = np.sort(np.concatenate([self.split.train, self.split.validation]))
        test = self.split.test[of_group[self.split.test]]
        if not test.size:
            raise ValueError(f"`group` must have samples in the test part, but {group!r} has none")
        pool = pool[~of_group[pool]]
        return replace(self, split=hold_out(pool, test, self.samples.strata))


def _encode_nothing(numbers: Ints, encoding_index: int) -> SpikeTrains:
    raise DatasetError("a pickled data set cannot be split again; split the original")


def _checked_fold(k: int, folds: int) -> int:
    return check_int("k", k, 0, check_int("folds", folds, 2, 2**53, ValueError) - 1, ValueError)


def label_kind(trains: SpikeTrains) -> str:
    """Return which labels samples have, such as ``"one per sample"`` or ``"one every 1000 µs"``."""
    if (over := trains.labels_over_time) is not None:
        return f"one every {over.every_us} µs"
    return "none" if trains.labels is None else "one per sample"


def join(parts: list[SpikeTrains]) -> SpikeTrains:
    """Concatenate samples. All parts have labels of the same kind and the same shape."""
    if len(parts) == 1:
        return parts[0]
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    labels = [part.labels for part in parts if part.labels is not None]
    over = [part.labels_over_time for part in parts if part.labels_over_time is not None]
    rows = (each[k] for each in over for k in range(len(each)))
    return SpikeTrains(
        np.concatenate([part.t_us for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate(([0], np.cumsum(sizes))),
        np.concatenate(labels) if labels else None,
        parts[0].shape,
        LabelsOverTime.from_samples(rows, over[0].every_us) if over else None,
        joined_values((part.t_us.size, part.value) for part in parts),
    )


def dataset_from_files(
    info: DatasetInfo,
    parts: tuple[SpikeTrains, SpikeTrains],
    group: Ints | None = None,
    groups: tuple[str, ...] = (),
) -> Dataset:
    """Return the data set of a training file and a test file, both of which were read.

    Args:
        info: Description of the set.
        parts: Samples of the training file and of the test file, with labels.
        group: i64[samples], index into ``groups`` of the training samples, then of the test
            samples; None if the set has no groups.
        groups: Names of the groups.
    """
    spikes = join(list(parts))
    labels = np.zeros(0, np.int64) if spikes.labels is None else spikes.labels
    samples = LazySamples(labels, lambda chosen, _: spikes.take(chosen), group=group, groups=groups)
    numbers = np.arange(len(spikes))
    first_test = len(parts[0])
    split = hold_out(numbers[:first_test], numbers[first_test:], samples.strata)
    return Dataset(info, samples, split)
