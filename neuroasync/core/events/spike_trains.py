"""The input events of many samples as data, which is checked when it is created."""

import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.core.events.event_checks import (
    check_below,
    check_events,
    check_labels,
    check_offsets,
    int64_array,
)
from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.values import joined_values, same_values, taken_values, value_array
from neuroasync.core.model.checks import check_shape, must_be
from neuroasync.core.quantity import quantity
from neuroasync.errors import EventsError

__all__ = ["SpikeTrains"]


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
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
        labels_over_time: classes of the intervals of each sample, in the place of ``labels``;
            None if there are none.
        value: f32[events], what each event delivers, as a multiple of the weight; None if all
            events are spikes, which deliver the weight.

    Raises:
        EventsError: a field breaks these rules. The message names the field and the position.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    shape: tuple[int, ...]
    labels_over_time: LabelsOverTime | None
    value: NDArray[np.float32] | None

    def __init__(
        self,
        t_us: ArrayLike,
        index: ArrayLike,
        offsets: ArrayLike,
        labels: ArrayLike | None,
        shape: tuple[int, ...],
        labels_over_time: LabelsOverTime | None = None,
        value: ArrayLike | None = None,
    ) -> None:
        """Check the samples, and keep them as contiguous, read-only arrays."""
        extents = check_shape("shape", shape, limits.MAX_INPUTS, EventsError)
        fields: dict[str, NDArray[np.int64]] = {
            "t_us": int64_array("t_us", t_us),
            "index": int64_array("index", index),
            "offsets": int64_array("offsets", offsets),
        }
        classes = None if labels is None else int64_array("labels", labels)
        check_offsets(fields["offsets"], fields["t_us"].size)
        check_events(fields["t_us"], fields["index"], fields["offsets"][:-1])
        check_below(fields["t_us"], fields["index"], math.prod(extents), "`shape` has")
        if classes is not None:
            check_labels(classes, fields["offsets"].size - 1)
        if labels_over_time is not None:
            if classes is not None:
                raise EventsError(must_be("labels", "None beside `labels_over_time`", "labels"))
            labels_over_time.check_covers(fields["t_us"], fields["offsets"])
        values = None if value is None else value_array(value, fields["t_us"].size)
        rest = {"labels": classes, "shape": extents, "labels_over_time": labels_over_time}
        self._keep(fields | rest | {"value": values})

    @classmethod
    def from_trains(
        cls,
        trains: Iterable[SpikeTrain],
        shape: tuple[int, ...],
        labels: ArrayLike | None = None,
        labels_over_time: LabelsOverTime | None = None,
    ) -> Self:
        """Join single samples.

        Args:
            trains: one train per sample; there may be none.
            shape: shape of the input.
            labels: i64[samples], the classes, if they are known.
            labels_over_time: the classes of the intervals of each sample, in their place.

        Raises:
            EventsError: an index is outside ``shape``, or the labels do not fit.
        """
        trains = tuple(trains)
        nothing = np.zeros(0, np.int64)
        t_us = np.concatenate([nothing, *(train.t_us for train in trains)])
        index = np.concatenate([nothing, *(train.index for train in trains)])
        offsets = np.cumsum([0, *map(len, trains)], dtype=np.int64)
        value = joined_values((len(train), train.value) for train in trains)
        return cls(t_us, index, offsets, labels, shape, labels_over_time, value)

    @classmethod
    def of_checked(
        cls,
        t_us: NDArray[np.int64],
        index: NDArray[np.int64],
        offsets: NDArray[np.int64],
        shape: tuple[int, ...],
        value: NDArray[np.float32] | None,
        labels: NDArray[np.int64] | None = None,
        labels_over_time: LabelsOverTime | None = None,
    ) -> Self:
        """Return samples from arrays of checked ones, without checking or copying them.

        The arrays are kept without a copy, so the caller must not write to them.
        """
        trains = object.__new__(cls)
        trains._keep(
            {
                "t_us": t_us,
                "index": index,
                "offsets": offsets,
                "labels": labels,
                "shape": shape,
                "labels_over_time": labels_over_time,
                "value": value,
            }
        )
        return trains

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
        # The events were checked when this was created, and nobody can write them.
        value = taken_values(self.value, events)
        return SpikeTrain.of_checked(self.t_us[events], self.index[events], value)

    def take(self, samples: ArrayLike) -> Self:
        """Return a copy of the samples with these numbers, in this order.

        Raises:
            IndexError: a sample does not exist.
            ValueError: the numbers are not integers.
        """
        given = [samples] if np.ndim(samples) == 0 else samples
        chosen = int64_array("samples", given, ValueError)
        if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise IndexError(f"sample numbers must be from 0 to {len(self) - 1}")
        starts, sizes = self.offsets[chosen], np.diff(self.offsets)[chosen]
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        at = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)
        labels = None if self.labels is None else self.labels[chosen]
        over = None if self.labels_over_time is None else self.labels_over_time.take(chosen)
        value = taken_values(self.value, at)
        return type(self)(self.t_us[at], self.index[at], offsets, labels, self.shape, over, value)

    def before(self, t_us: int | None) -> Self:
        """Return the samples without their events at ``t_us`` µs and later; None keeps all.

        Of labels over time, those of intervals that end at ``t_us`` or earlier are kept.
        """
        over = self.labels_over_time
        if t_us is not None and over is not None:
            over = over.before(t_us)
            t_us = t_us // over.every_us * over.every_us
        is_kept = self.t_us < (limits.MAX_TIME_US + 1 if t_us is None else t_us)
        if is_kept.all() and over is self.labels_over_time:
            return self
        offsets = np.concatenate(([0], np.cumsum(is_kept)))[self.offsets]
        kept = self.t_us[is_kept], self.index[is_kept], offsets
        value = taken_values(self.value, is_kept)
        return type(self)(*kept, self.labels, self.shape, over, value)

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
        ) and (
            self.labels_over_time == other.labels_over_time and same_values(self.value, other.value)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Return how to make equal trains of a pickle or a copy, with read-only arrays."""
        arrays = (self.t_us, self.index, self.offsets, self.labels)
        return type(self), (*arrays, self.shape, self.labels_over_time, self.value)

    def __repr__(self) -> str:
        """Return one line: the numbers of samples and events, the shape and the labels."""
        labels = "no labels"
        if self.labels is not None and self.labels.size:
            labels = f"labels {self.labels.min()} to {self.labels.max()}"
        if self.labels_over_time is not None:
            labels = f"labels every {self.labels_over_time.every_us} µs"
        samples, values = quantity(len(self), "sample"), ""
        if self.value is not None:
            values = " with values"
        return (
            f"<SpikeTrains: {samples} of shape {self.shape}, {labels}, "
            f"{quantity(self.t_us.size, 'event')}{values}>"
        )

    def _between(self, start: int, stop: int) -> Self:
        offsets = self.offsets[start : stop + 1]
        events = slice(int(offsets[0]), int(offsets[-1]))
        labels = None if self.labels is None else self.labels[start:stop]
        over = self.labels_over_time
        over = None if over is None else over.take(np.arange(start, stop))
        offsets = int64_array("offsets", offsets - offsets[0])
        value = taken_values(self.value, events)
        t_us, index = self.t_us[events], self.index[events]
        return self.of_checked(t_us, index, offsets, self.shape, value, labels, over)

    def _keep(self, fields: Mapping[str, object]) -> None:
        """Set all fields of a new object, which are checked."""
        for name, field in fields.items():
            object.__setattr__(self, name, field)
