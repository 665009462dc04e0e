"""One data set: its three parts as spike trains, and what one must know of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeAlias

import numpy as np

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.datasets.folds import Ints, Split, hold_out

__all__ = ["Dataset", "DatasetInfo", "Encode", "LazySamples", "dataset_from_files", "join"]

Encode: TypeAlias = Callable[[Ints, int], SpikeTrains]
"""Gives the samples of these numbers under this draw (0, 1, ...) of the code."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What is known of a set before any sample is read; see :class:`Dataset`."""

    name: str
    title: str
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    timestep_us: int
    licence: str
    credit: str


@dataclass(frozen=True, slots=True, eq=False)
class LazySamples:
    """All samples of a set, by number, encoded when they are asked for.

    Attributes:
        labels: i64[samples], classes.
        encode: gives some of them.
        group: i64[samples], index into ``groups``; None where the set has none.
        groups: names of who made the samples: speakers, say.
    """

    labels: Ints
    encode: Encode
    group: Ints | None = None
    groups: tuple[str, ...] = ()

    @property
    def strata(self) -> Ints:
        """i64[samples]: what the parts of a split shall have alike, class and group."""
        if self.group is None:
            return self.labels
        return self.labels * len(self.groups) + self.group


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set. A part is encoded when it is first asked for, and kept.

    Attributes:
        info: what the properties of the same names tell.
        samples: all of them, by number.
        split: the numbers of each part.
        encodings_per_image: how many times each training sample is encoded.
        coding: how its pixels become spikes; None where its samples are spikes already.
    """

    info: DatasetInfo
    samples: LazySamples
    split: Split
    encodings_per_image: int = 1
    coding: str | None = None

    @cached_property
    def train(self) -> SpikeTrains:
        """To learn from: every sample once a draw, the draws one after the other.

        Raises:
            DatasetError: a sample cannot be read or is mangled, as in each part.
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
        """To choose by; held out of the set's training file."""
        return self.samples.encode(self.split.validation, 0)

    @cached_property
    def test(self) -> SpikeTrains:
        """For measuring, never for training or for choosing."""
        return self.samples.encode(self.split.test, 0)

    @property
    def name(self) -> str:
        """As :func:`~neuroasync.datasets.load_dataset` takes it."""
        return self.info.name

    @property
    def title(self) -> str:
        """As its authors call it."""
        return self.info.title

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return self.info.classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the events; polarity comes first (0 off, 1 on), then y, x or the channel."""
        return self.info.input_shape

    @property
    def timestep_us(self) -> int:
        """A timestep to begin with, µs. The events are not binned to it."""
        return self.info.timestep_us

    @property
    def licence(self) -> str:
        """Of the samples."""
        return self.info.licence

    @property
    def credit(self) -> str:
        """Whom to name."""
        return self.info.credit

    @property
    def groups(self) -> tuple[str, ...]:
        """Who made the samples (speakers, say), by name; empty where nobody is told apart."""
        return self.samples.groups

    @cached_property
    def duration_us(self) -> int:
        """End of the longest train or validation sample, µs, in whole timesteps."""
        last = max(int(part.t_us.max(initial=0)) for part in (self.train, self.validation))
        return (last // self.timestep_us + 1) * self.timestep_us

    def fold(self, k: int, folds: int = 5, seed: int = 0) -> Self:
        """For cross-validation: fold ``k`` of the train and validation samples validates.

        The folds are stratified by class (and group); the test part stays as it is.

        Args:
            k: from 0 to ``folds - 1``.
            folds: from 2.
            seed: 64 bits; decides who is in which fold.

        Raises:
            ValueError: an argument is out of range.
        """
        _check_fold(k, folds)
        return replace(self, split=self.split.fold(k, folds, self.samples.strata, seed))

    def rotate(self, k: int, folds: int = 5, seed: int = 0) -> Self:
        """For cross-validated measuring: fold ``k`` of the train and validation samples is tested.

        The others are split anew into those that train and those that validate, by the set's own
        rule. The folds are stratified; the set's own test part is in none of them, and not used.

        Args:
            k: from 0 to ``folds - 1``.
            folds: from 2.
            seed: 64 bits; decides who is in which fold.

        Raises:
            ValueError: an argument is out of range.
        """
        _check_fold(k, folds)
        return replace(self, split=self.split.rotate(k, folds, self.samples.strata, seed))

    def at_most(self, train: int | None = None, measured: int | None = None) -> Self:
        """A smaller set, its classes (and groups) in their proportions.

        Args:
            train: samples to learn from, at most; None for all.
            measured: samples to validate and as many to test, at most; None for all.

        Raises:
            ValueError: a number is not above 0.
        """
        for name, most in (("train", train), ("measured", measured)):
            if most is not None and most < 1:
                raise ValueError(f"{name}: {most}, expected a number from 1, or None")
        return replace(self, split=self.split.at_most(train, measured, self.samples.strata))

    def leave_out(self, group: str) -> Self:
        """For the harder test: ``group`` is unknown in training, and alone in the test part.

        The others' train and validation samples are split anew, by the set's own rule.

        Args:
            group: one of ``groups``.

        Raises:
            ValueError: there is no such group, or it has no test sample.
        """
        if self.samples.group is None or group not in self.groups:
            known = ", ".join(self.groups) or "none: the set tells nobody apart"
            raise ValueError(f"group: {group!r:.80}, expected one of: {known}")
        of_group = self.samples.group == self.groups.index(group)
        pool = np.sort(np.concatenate([self.split.train, self.split.validation]))
        test = self.split.test[of_group[self.split.test]]
        if not test.size:
            raise ValueError(f"group: {group!r} has no sample in the test part")
        pool = pool[~of_group[pool]]
        return replace(self, split=hold_out(pool, test, self.samples.strata))


def _check_fold(k: int, folds: int) -> None:
    if not 0 <= k < folds:
        raise ValueError(f"k: {k}, expected 0 to {folds - 1}")


def join(parts: list[SpikeTrains]) -> SpikeTrains:
    """The samples of all parts, in order; the parts have labels, and one shape."""
    if len(parts) == 1:
        return parts[0]
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    labels = [part.labels for part in parts if part.labels is not None]
    return SpikeTrains(
        np.concatenate([part.t_us for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate(([0], np.cumsum(sizes))),
        np.concatenate(labels),
        parts[0].shape,
    )


def dataset_from_files(
    info: DatasetInfo,
    parts: tuple[SpikeTrains, SpikeTrains],
    group: Ints | None = None,
    groups: tuple[str, ...] = (),
) -> Dataset:
    """A set whose events are all there already.

    Args:
        info: the set.
        parts: what its training file has, and its test file; both have labels.
        group: i64[samples], index into ``groups``, of the first part, then of the second.
        groups: names.
    """
    spikes = join(list(parts))
    labels = np.zeros(0, np.int64) if spikes.labels is None else spikes.labels
    samples = LazySamples(labels, lambda chosen, _: spikes.take(chosen), group=group, groups=groups)
    numbers = np.arange(len(spikes))
    first_test = len(parts[0])
    split = hold_out(numbers[:first_test], numbers[first_test:], samples.strata)
    return Dataset(info, samples, split)
