"""Input events as data: spike trains, which are checked when they are created."""

import math
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self, SupportsIndex, TypeAlias, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.core.model.checks import check_shape, must_be, shown
from neuroasync.errors import EventsError

__all__ = ["Events", "SpikeTrain", "SpikeTrains", "as_train", "event_count"]

_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTrain:
    """The input events of one sample.

    Attributes:
        t_us: i64[events], times in µs since the sample's time 0, in ascending order.
        index: i64[events], flattened input indices.

    Raises:
        EventsError: the lengths differ, times are negative or out of order, or an index is
            negative.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check the arrays, and replace them by contiguous, read-only int64 arrays."""
        t_us, index = _int64("t_us", self.t_us), _int64("index", self.index)
        _check_events(t_us, index, np.zeros(1, np.int64))
        object.__setattr__(self, "t_us", t_us)
        object.__setattr__(self, "index", index)

    def __len__(self) -> int:
        """Return the number of events."""
        return self.t_us.size

    def __eq__(self, other: object) -> bool:
        """Return whether both trains have the same events in the same order."""
        if not isinstance(other, SpikeTrain):
            return NotImplemented
        return np.array_equal(self.t_us, other.t_us) and np.array_equal(self.index, other.index)

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable

    def check_indices(self, inputs: int) -> None:
        """Check that all indices are below ``inputs``.

        Raises:
            EventsError: an index is too high.
        """
        _check_below(self.index, inputs, "the network has")


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTrains:
    """The input events of many samples, stored one after the other.

    An index returns a :class:`SpikeTrain`. A slice (``spikes[10:20]``) returns a ``SpikeTrains``
    that shares memory. All arrays are read-only; writable arrays are copied.

    Attributes:
        t_us: i64[events], times in µs since time 0 of the event's sample, ascending within each
            sample.
        index: i64[events], flattened input indices in C order.
        offsets: i64[samples + 1]; the events of sample k are ``t_us[offsets[k]:offsets[k + 1]]``.
            A sample may be empty.
        labels: i64[samples], classes of at least 0; None if they are not known.
        shape: shape of the input.

    Raises:
        EventsError: a field breaks these rules. The message names the field and the position.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the arrays, and replace them by contiguous, read-only int64 arrays."""
        shape = check_shape("shape", self.shape, limits.MAX_INPUTS, EventsError)
        t_us, index = _int64("t_us", self.t_us), _int64("index", self.index)
        offsets = _int64("offsets", self.offsets)
        labels = None if self.labels is None else _int64("labels", self.labels)
        _check_offsets(offsets, t_us.size)
        _check_events(t_us, index, offsets[:-1])
        _check_below(index, math.prod(shape), "`shape` has")
        if labels is not None:
            _check_labels(labels, offsets.size - 1)
        fields = {"t_us": t_us, "index": index, "offsets": offsets, "labels": labels}
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def from_trains(
        cls,
        trains: Iterable[SpikeTrain],
        shape: tuple[int, ...],
        labels: ArrayLike | None = None,
    ) -> Self:
        """Join single samples.

        Args:
            trains: one train per sample; there may be none.
            shape: shape of the input.
            labels: i64[samples], the classes, if they are known.

        Raises:
            EventsError: an index is outside ``shape``, or the labels do not fit.
        """
        trains = tuple(trains)
        nothing = np.zeros(0, np.int64)
        t_us = np.concatenate([nothing, *(train.t_us for train in trains)])
        index = np.concatenate([nothing, *(train.index for train in trains)])
        offsets = np.cumsum([0, *map(len, trains)], dtype=np.int64)
        return cls(
            t_us, index, offsets, None if labels is None else _int64("labels", labels), shape
        )

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.offsets.size - 1

    @overload
    def __getitem__(self, at: SupportsIndex) -> SpikeTrain: ...

    @overload
    def __getitem__(self, at: slice) -> Self: ...

    def __getitem__(self, at: SupportsIndex | slice) -> SpikeTrain | Self:
        """Return sample ``at``, or the samples of a slice whose step is 1.

        Raises:
            IndexError: the sample does not exist.
            ValueError: the slice has a step other than 1.
        """
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                raise ValueError(f"the step of a slice of samples must be 1, got {step}")
            return self._between(start, max(start, stop))
        k = operator.index(at)
        if not -len(self) <= k < len(self):
            raise IndexError(
                f"a sample number must be from {-len(self)} to {len(self) - 1}, got {k}"
            )
        k %= len(self)
        events = slice(int(self.offsets[k]), int(self.offsets[k + 1]))
        return SpikeTrain(self.t_us[events], self.index[events])

    def take(self, samples: ArrayLike) -> Self:
        """Return a copy of the samples with these numbers, in this order.

        Raises:
            IndexError: a sample does not exist.
        """
        chosen = np.atleast_1d(np.asarray(samples, np.int64))
        if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise IndexError(f"sample numbers must be from 0 to {len(self) - 1}")
        starts, sizes = self.offsets[chosen], np.diff(self.offsets)[chosen]
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        at = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)
        labels = None if self.labels is None else self.labels[chosen]
        return type(self)(self.t_us[at], self.index[at], offsets, labels, self.shape)

    def __iter__(self) -> Iterator[SpikeTrain]:
        """Iterate over the samples in order."""
        return (self[k] for k in range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Return whether samples, labels and shape are equal, in the same order."""
        if not isinstance(other, SpikeTrains):
            return NotImplemented
        if (self.labels is None) != (other.labels is None) or self.shape != other.shape:
            return False
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("t_us", "index", "offsets", "labels")
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable

    def _between(self, start: int, stop: int) -> Self:
        offsets = self.offsets[start : stop + 1]
        events = slice(int(offsets[0]), int(offsets[-1]))
        labels = None if self.labels is None else self.labels[start:stop]
        return type(self)(
            self.t_us[events], self.index[events], offsets - offsets[0], labels, self.shape
        )


def _int64(field: str, values: object) -> NDArray[np.int64]:
    """Return ``values`` as a contiguous, read-only i64[n]; integers only, nothing is rounded."""
    try:
        array = np.asarray(values)
    except (OverflowError, TypeError, ValueError) as error:
        raise EventsError(must_be(field, "a list of integers", shown(values))) from error
    if array.size == 0 and not isinstance(values, np.ndarray | np.generic):
        array = array.astype(np.int64)  # numpy gives an empty list the type float64
    if array.ndim != 1 or array.dtype.kind not in "iu":
        got = f"{array.dtype} of shape {array.shape}"
        raise EventsError(must_be(field, "one-dimensional integers", got))
    if array.dtype.kind == "u" and array.size and array.max() > _INT64_MAX:
        at = int(np.argmax(array > _INT64_MAX))
        raise EventsError(must_be(f"{field}[{at}]", f"at most {_INT64_MAX}", str(array[at])))
    # A new array that no caller holds, or one that cannot be written to, needs no copy.
    is_fresh = type(values) is list or type(values) is tuple
    shareable = is_fresh or (array.flags.aligned and not array.flags.writeable)
    result = np.array(array, np.int64, order="C", copy=None if shareable else True)
    result.flags.writeable = False
    return result


def _check_events(
    t_us: NDArray[np.int64], index: NDArray[np.int64], starts: NDArray[np.int64]
) -> None:
    """Check times and indices; times may decrease only where a sample starts."""
    if t_us.shape != index.shape:
        requirement = f"of the same length as `t_us` ({t_us.size})"
        raise EventsError(must_be("index", requirement, f"{index.size} events"))
    if not t_us.size:
        return
    if starts.size == 1 and _is_valid(t_us, index):
        return
    outside = (t_us < 0) | (t_us > limits.MAX_TIME_US)
    if outside.any():
        at = int(np.argmax(outside))
        requirement = "at least 0" if t_us[at] < 0 else f"at most {limits.MAX_TIME_US}"
        raise EventsError(must_be(f"t_us[{at}]", requirement, str(t_us[at])))
    falls = np.zeros(t_us.size, bool)
    falls[1:] = t_us[1:] < t_us[:-1]
    falls[starts[starts < t_us.size]] = False
    if falls.any():
        at = int(np.argmax(falls))
        requirement = f"at least {t_us[at - 1]}, the time of the event before it in the sample"
        raise EventsError(must_be(f"t_us[{at}]", requirement, str(t_us[at])))
    _check_not_negative("index", index)


def _is_valid(t_us: NDArray[np.int64], index: NDArray[np.int64]) -> bool:
    """Return whether one sample's events are valid, with as few passes over them as possible."""
    ends_fit = t_us[0] >= 0 and t_us[-1] <= limits.MAX_TIME_US and index.min() >= 0
    return bool(ends_fit and (t_us[1:] >= t_us[:-1]).all())


def _check_not_negative(field: str, values: NDArray[np.int64]) -> None:
    if values.size and values.min() < 0:
        at = int(np.argmax(values < 0))
        raise EventsError(must_be(f"{field}[{at}]", "at least 0", str(values[at])))


def _check_below(index: NDArray[np.int64], inputs: int, owner: str) -> None:
    if index.size and index.max() >= inputs:
        at = int(np.argmax(index >= inputs))
        requirement = f"at most {inputs - 1} ({owner} {inputs} inputs)"
        raise EventsError(must_be(f"index[{at}]", requirement, str(index[at])))


def _check_offsets(offsets: NDArray[np.int64], events: int) -> None:
    if not offsets.size:
        requirement = "one longer than the number of samples"
        raise EventsError(must_be("offsets", requirement, "an empty list"))
    if offsets[0] != 0:
        raise EventsError(must_be("offsets[0]", "0", str(offsets[0])))
    falls = offsets[1:] < offsets[:-1]
    if falls.any():
        at = int(np.argmax(falls)) + 1
        requirement = f"at least {offsets[at - 1]}, the offset before it"
        raise EventsError(must_be(f"offsets[{at}]", requirement, str(offsets[at])))
    if offsets[-1] != events:
        requirement = f"{events}, the number of events"
        raise EventsError(must_be(f"offsets[{offsets.size - 1}]", requirement, str(offsets[-1])))


def _check_labels(labels: NDArray[np.int64], samples: int) -> None:
    if labels.size != samples:
        requirement = f"a list of {samples} labels, one per sample"
        raise EventsError(must_be("labels", requirement, f"{labels.size} labels"))
    _check_not_negative("labels", labels)


Events: TypeAlias = SpikeTrain | tuple[ArrayLike, ArrayLike]
"""Input events: a spike train, or a pair (t_us, index) of integer arrays of equal length."""


def as_train(events: Events) -> SpikeTrain:
    """Return ``events`` as a spike train.

    Raises:
        EventsError: ``events`` is neither a spike train nor a valid pair (t_us, index).
    """
    if isinstance(events, SpikeTrain):
        return events
    if not isinstance(events, tuple) or len(events) != 2:
        requirement = "a SpikeTrain or a pair (t_us, index)"
        raise EventsError(must_be("events", requirement, type(events).__name__))
    return SpikeTrain(cast("NDArray[np.int64]", events[0]), cast("NDArray[np.int64]", events[1]))


def event_count(events: object) -> int:
    """Return the number of events in a possibly invalid argument; 0 if it has none.

    It serves to count the events of a call that was rejected.
    """
    if isinstance(events, SpikeTrain):
        return len(events)
    if not isinstance(events, tuple) or not events:
        return 0
    try:
        return int(np.size(events[0]))
    except ValueError:  # for example lists of different lengths
        return 0
