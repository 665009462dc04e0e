"""Labels over time: the class of each interval of a sample, where the class changes within it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.core.events.event_checks import check_offsets, int64_array
from neuroasync.core.model.checks import check_int, must_be
from neuroasync.core.quantity import quantity
from neuroasync.errors import EventsError

__all__ = ["LabelsOverTime"]


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class LabelsOverTime:
    """The classes of the intervals of many samples, stored one sample after the other.

    Interval k of a sample begins ``k * every_us`` µs after its time 0 and ends where the next one
    begins. The intervals cover the sample, so they also say how long it lasts. All arrays are
    read-only; writable arrays are copied.

    Attributes:
        labels: i64[intervals], class of each interval, or -1 where there is none.
        offsets: i64[samples + 1]; sample k has the labels ``labels[offsets[k]:offsets[k + 1]]``.
        every_us: length of an interval, µs.

    Raises:
        EventsError: a field breaks these rules. The message names the field and the position.
    """

    labels: NDArray[np.int64]
    offsets: NDArray[np.int64]
    every_us: int

    def __init__(self, labels: ArrayLike, offsets: ArrayLike, every_us: int) -> None:
        """Check the labels, and keep them as contiguous, read-only int64 arrays."""
        every = check_int("label_every_us", every_us, 1, limits.MAX_TIME_US, EventsError)
        classes, starts = int64_array("labels", labels), int64_array("label_offsets", offsets)
        check_offsets(starts, classes.size, "label_offsets", "labels")
        if classes.size and classes.min() < -1:
            at = int(np.argmax(classes < -1))
            raise EventsError(must_be(f"labels[{at}]", "at least -1", str(classes[at])))
        longest = int(np.diff(starts).max(initial=0))
        if longest * every > limits.MAX_TIME_US:
            requirement = f"such that the labels of a sample last at most {limits.MAX_TIME_US} µs"
            got = f"{every} with {quantity(longest, 'label')} in a sample"
            raise EventsError(must_be("label_every_us", requirement, got))
        for name, value in (("labels", classes), ("offsets", starts), ("every_us", every)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_samples(cls, labels: Iterable[ArrayLike], every_us: int) -> Self:
        """Join the labels of single samples.

        Args:
            labels: i64[intervals] for each sample; an array i64[samples, intervals] if all samples
                have the same length.
            every_us: length of an interval, µs.
        """
        each = [int64_array(f"labels[{k}]", row) for k, row in enumerate(labels)]
        offsets = np.cumsum([0, *map(len, each)], dtype=np.int64)
        return cls(np.concatenate([np.zeros(0, np.int64), *each]), offsets, every_us)

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.offsets.size - 1

    def __getitem__(self, k: int) -> NDArray[np.int64]:
        """Return the labels of sample ``k``, i64[intervals]."""
        if not -len(self) <= k < len(self):
            raise IndexError(
                f"a sample number must be from {-len(self)} to {len(self) - 1}, got {k}"
            )
        k %= len(self)
        return self.labels[self.offsets[k] : self.offsets[k + 1]]

    @property
    def durations_us(self) -> NDArray[np.int64]:
        """i64[samples], length of each sample, µs."""
        return np.diff(self.offsets) * self.every_us

    def take(self, samples: NDArray[np.int64]) -> Self:
        """Return the labels of the samples with these numbers, in this order."""
        sizes = np.diff(self.offsets)[samples]
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        at = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][samples] - offsets[:-1], sizes)
        return type(self)(self.labels[at], offsets, self.every_us)

    def before(self, t_us: int) -> Self:
        """Return the labels of the intervals that end at ``t_us`` µs or earlier."""
        sizes = np.diff(self.offsets)
        place = np.arange(self.labels.size) - np.repeat(self.offsets[:-1], sizes)
        offsets = np.cumsum([0, *np.minimum(sizes, t_us // self.every_us)])
        return type(self)(self.labels[place < t_us // self.every_us], offsets, self.every_us)

    def check_covers(self, t_us: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        """Check that there are labels for each sample, until its last event or longer.

        Args:
            t_us: i64[events], times of the events, µs.
            offsets: i64[samples + 1], start of each sample's events.

        Raises:
            EventsError: labels are missing.
        """
        if len(self) != offsets.size - 1:
            requirement = f"one longer than the number of samples, {offsets.size - 1}"
            got = quantity(self.offsets.size, "offset")
            raise EventsError(must_be("label_offsets", requirement, got))
        used = np.flatnonzero(offsets[1:] > offsets[:-1])
        last_us, ends_us = t_us[offsets[1:][used] - 1], self.durations_us[used]
        if (last_us >= ends_us).any():
            at = int(np.argmax(last_us >= ends_us))
            requirement = f"labelled until its last event at {last_us[at]} µs, with -1 for no class"
            raise EventsError(
                must_be(f"sample {used[at]}", requirement, f"labels until {ends_us[at]} µs")
            )

    def __eq__(self, other: object) -> bool:
        """Return whether the labels of all samples are equal, in the same order."""
        if not isinstance(other, LabelsOverTime):
            return NotImplemented
        same = self.every_us == other.every_us and np.array_equal(self.offsets, other.offsets)
        return same and np.array_equal(self.labels, other.labels)

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Return how to make equal labels of a pickle or a copy, with read-only arrays."""
        return type(self), (self.labels, self.offsets, self.every_us)

    def __repr__(self) -> str:
        """Return one line: the numbers of samples and labels, and the length of an interval."""
        return (
            f"<LabelsOverTime: {quantity(len(self), 'sample')}, "
            f"{quantity(self.labels.size, 'label')}, one every {self.every_us} µs>"
        )
