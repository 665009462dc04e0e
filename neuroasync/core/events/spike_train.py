"""Spike events and trains: arrays of times and indices, checked once."""

import math
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self, SupportsIndex, TypeAlias, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.errors import SpikeFileError

__all__ = ["Events", "SpikeTrain", "SpikeTrains", "as_train", "event_count"]

_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTrain:
    """The input events of one sample.

    Attributes:
        t_us: i64[events], µs since the sample's time 0, ascending.
        index: i64[events], flattened input index.

    Raises:
        SpikeFileError: lengths differ, times are negative or do not ascend, an index is negative.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check, and hold contiguous read-only int64 arrays."""
        t_us, index = _int64("t_us", self.t_us), _int64("index", self.index)
        _check_events(t_us, index, np.zeros(1, np.int64))
        object.__setattr__(self, "t_us", t_us)
        object.__setattr__(self, "index", index)

    def __len__(self) -> int:
        """Number of events."""
        return self.t_us.size

    def __eq__(self, other: object) -> bool:
        """Same events in the same order."""
        if not isinstance(other, SpikeTrain):
            return NotImplemented
        return np.array_equal(self.t_us, other.t_us) and np.array_equal(self.index, other.index)

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def check_indices(self, inputs: int) -> None:
        """Raise SpikeFileError if an event addresses an index from ``inputs`` on."""
        _check_below(self.index, inputs, "the network's inputs")


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTrains:
    """The input events of many samples, one after the other.

    Indexing gives a :class:`SpikeTrain`, slicing (``spikes[10:20]``) a ``SpikeTrains`` that
    shares memory. Arrays are read-only; those passed in writable are copied.

    Attributes:
        t_us: i64[events], µs since the time 0 of the event's own sample, ascending in a sample.
        index: i64[events], flattened input index, C order.
        offsets: i64[samples + 1]; sample k is ``t_us[offsets[k]:offsets[k + 1]]``, maybe empty.
        labels: i64[samples], classes from 0; None where they are not known.
        shape: of the input.

    Raises:
        SpikeFileError: a field breaks these rules; the message names it and the position.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check, and hold contiguous read-only int64 arrays."""
        shape = _checked_shape(self.shape)
        t_us, index = _int64("t_us", self.t_us), _int64("index", self.index)
        offsets = _int64("offsets", self.offsets)
        labels = None if self.labels is None else _int64("labels", self.labels)
        _check_offsets(offsets, t_us.size)
        _check_events(t_us, index, offsets[:-1])
        _check_below(index, math.prod(shape), "the cells of shape")
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
        """Put single samples one after the other.

        Args:
            trains: one per sample, maybe none.
            shape: of the input.
            labels: i64[samples], if known.

        Raises:
            SpikeFileError: an index is outside ``shape``, or labels do not fit.
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
        """Number of samples."""
        return self.offsets.size - 1

    @overload
    def __getitem__(self, at: SupportsIndex) -> SpikeTrain: ...

    @overload
    def __getitem__(self, at: slice) -> Self: ...

    def __getitem__(self, at: SupportsIndex | slice) -> SpikeTrain | Self:
        """Sample ``at``, or the samples of a slice without a step.

        Raises:
            IndexError: there is no such sample.
            ValueError: the slice has a step other than 1.
        """
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                raise ValueError(f"step {step}, expected a slice of consecutive samples (step 1)")
            return self._between(start, max(start, stop))
        k = operator.index(at)
        if not -len(self) <= k < len(self):
            raise IndexError(f"sample {k}, expected {-len(self)} to {len(self) - 1}")
        k %= len(self)
        events = slice(int(self.offsets[k]), int(self.offsets[k + 1]))
        return SpikeTrain(self.t_us[events], self.index[events])

    def take(self, samples: ArrayLike) -> Self:
        """The samples of these numbers, in this order, as a copy.

        Raises:
            IndexError: there is no such sample.
        """
        chosen = np.atleast_1d(np.asarray(samples, np.int64))
        if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise IndexError(f"samples: expected 0 to {len(self) - 1}")
        starts, sizes = self.offsets[chosen], np.diff(self.offsets)[chosen]
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        at = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)
        labels = None if self.labels is None else self.labels[chosen]
        return type(self)(self.t_us[at], self.index[at], offsets, labels, self.shape)

    def __iter__(self) -> Iterator[SpikeTrain]:
        """Samples in order."""
        return (self[k] for k in range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Same samples, events, labels and shape, in the same order."""
        if not isinstance(other, SpikeTrains):
            return NotImplemented
        if (self.labels is None) != (other.labels is None) or self.shape != other.shape:
            return False
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("t_us", "index", "offsets", "labels")
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def _between(self, start: int, stop: int) -> Self:
        offsets = self.offsets[start : stop + 1]
        events = slice(int(offsets[0]), int(offsets[-1]))
        labels = None if self.labels is None else self.labels[start:stop]
        return type(self)(
            self.t_us[events], self.index[events], offsets - offsets[0], labels, self.shape
        )


def _int64(field: str, values: object) -> NDArray[np.int64]:
    """Return ``values`` as read-only, contiguous i64[n]; integers only, nothing is rounded."""
    try:
        array = np.asarray(values)
    except (OverflowError, TypeError, ValueError) as error:
        raise SpikeFileError(f"{field}: {values!r:.80}, expected a list of integers") from error
    if array.size == 0 and not isinstance(values, np.ndarray | np.generic):
        array = array.astype(np.int64)  # numpy takes an empty list for floats
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise SpikeFileError(
            f"{field}: {array.dtype} of shape {array.shape}, expected integers in one dimension"
        )
    if array.dtype.kind == "u" and array.size and array.max() > _INT64_MAX:
        at = int(np.argmax(array > _INT64_MAX))
        raise SpikeFileError(f"{field}[{at}]: {array[at]}, expected at most {_INT64_MAX}")
    is_fresh = type(values) is list or type(values) is tuple
    shareable = is_fresh or (array.flags.aligned and not array.flags.writeable)
    frozen = np.array(array, np.int64, order="C", copy=None if shareable else True)
    frozen.flags.writeable = False
    return frozen


def _check_events(
    t_us: NDArray[np.int64], index: NDArray[np.int64], starts: NDArray[np.int64]
) -> None:
    """Check i64[events] each; times may fall back only where a sample starts."""
    if t_us.shape != index.shape:
        raise SpikeFileError(f"index: {index.size} events, expected {t_us.size} as in t_us")
    if not t_us.size:
        return
    if starts.size == 1 and _is_plain(t_us, index):
        return
    wrong = (t_us < 0) | (t_us > limits.MAX_TIME_US)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise SpikeFileError(f"t_us[{at}]: {t_us[at]}, expected 0 to {limits.MAX_TIME_US}")
    falls = np.zeros(t_us.size, bool)
    falls[1:] = t_us[1:] < t_us[:-1]
    falls[starts[starts < t_us.size]] = False
    if falls.any():
        at = int(np.argmax(falls))
        raise SpikeFileError(
            f"t_us[{at}]: {t_us[at]} after {t_us[at - 1]}, expected ascending times in a sample"
        )
    if index.min() < 0:
        at = int(np.argmax(index < 0))
        raise SpikeFileError(f"index[{at}]: {index[at]}, expected from 0")


def _is_plain(t_us: NDArray[np.int64], index: NDArray[np.int64]) -> bool:
    """Whether one sample's events are in order, by the fewest looks."""
    ends_fit = t_us[0] >= 0 and t_us[-1] <= limits.MAX_TIME_US and index.min() >= 0
    return bool(ends_fit and (t_us[1:] >= t_us[:-1]).all())


def _check_below(index: NDArray[np.int64], inputs: int, whose: str) -> None:
    if index.size and index.max() >= inputs:
        at = int(np.argmax(index >= inputs))
        raise SpikeFileError(f"index[{at}]: {index[at]}, expected 0 to {inputs - 1}, {whose}")


def _check_offsets(offsets: NDArray[np.int64], events: int) -> None:
    if not offsets.size:
        raise SpikeFileError("offsets: empty, expected one more than there are samples")
    if offsets[0] != 0:
        raise SpikeFileError(f"offsets[0]: {offsets[0]}, expected 0")
    falls = offsets[1:] < offsets[:-1]
    if falls.any():
        at = int(np.argmax(falls)) + 1
        raise SpikeFileError(
            f"offsets[{at}]: {offsets[at]} after {offsets[at - 1]}, expected ascending offsets"
        )
    if offsets[-1] != events:
        raise SpikeFileError(
            f"offsets[{offsets.size - 1}]: {offsets[-1]}, expected {events}, the number of events"
        )


def _check_labels(labels: NDArray[np.int64], samples: int) -> None:
    if labels.size != samples:
        raise SpikeFileError(f"labels: {labels.size} of them, expected one for {samples} samples")
    if labels.size and labels.min() < 0:
        at = int(np.argmax(labels < 0))
        raise SpikeFileError(f"labels[{at}]: {labels[at]}, expected from 0")


def _checked_shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not 1 <= len(shape) <= limits.MAX_DIMENSIONS:
        raise SpikeFileError(
            f"shape: {shape!r:.80}, expected a tuple of 1 to {limits.MAX_DIMENSIONS} integers"
        )
    for k, extent in enumerate(shape):
        if type(extent) is not int or not 1 <= extent <= limits.MAX_INPUTS:
            raise SpikeFileError(
                f"shape[{k}]: {extent!r:.80}, expected an integer from 1 to {limits.MAX_INPUTS}"
            )
    if (cells := math.prod(shape)) > limits.MAX_INPUTS:
        raise SpikeFileError(f"shape: {shape} has {cells} cells, the limit is {limits.MAX_INPUTS}")
    return shape


Events: TypeAlias = SpikeTrain | tuple[ArrayLike, ArrayLike]
"""A spike train, or its (t_us, index)."""


def as_train(events: Events) -> SpikeTrain:
    """A spike train from either form. Raises SpikeFileError if it is none."""
    if isinstance(events, SpikeTrain):
        return events
    if not isinstance(events, tuple) or len(events) != 2:
        raise SpikeFileError(
            f"events: {type(events).__name__}, expected a SpikeTrain or (t_us, index)"
        )
    return SpikeTrain(cast("NDArray[np.int64]", events[0]), cast("NDArray[np.int64]", events[1]))


def event_count(events: object) -> int:
    """How many events somebody meant to send, where that can be told; else 0."""
    if isinstance(events, SpikeTrain):
        return len(events)
    if not isinstance(events, tuple) or not events:
        return 0
    try:
        return int(np.size(events[0]))
    except ValueError:  # lists of different lengths, for one
        return 0
