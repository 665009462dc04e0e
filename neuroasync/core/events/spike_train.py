"""The input events of one sample as data, which is checked when it is created."""

from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.events.event_checks import (
    check_below,
    check_events,
    int64_array,
)
from neuroasync.core.events.hints import kind_of, pair_hint
from neuroasync.core.events.pixel_grid import PixelGrid, View
from neuroasync.core.events.sensor_array import sensor_pixels, sensor_times
from neuroasync.core.events.time_unit import UserCall, warn_of_time_unit
from neuroasync.core.events.values import same_values, taken_values, value_array
from neuroasync.core.model.checks import must_be
from neuroasync.core.quantity import quantity
from neuroasync.errors import EventsError

__all__ = ["Events", "SpikeTrain", "as_train"]

_UNKNOWN: Final = -2


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class SpikeTrain:
    """The input events of one sample.

    Attributes:
        t_us: i64[events], times in µs since the sample's time 0, in ascending order.
        index: i64[events], flattened input indices.
        value: f32[events], what each event delivers, as a multiple of the weight; None if all
            events are spikes, which deliver the weight.

    Raises:
        EventsError: the lengths differ, times are negative or out of order, an index is
            negative, or a value is not finite or too large.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    value: NDArray[np.float32] | None
    _max_index: int

    def __init__(self, t_us: ArrayLike, index: ArrayLike, value: ArrayLike | None = None) -> None:
        """Check the events, and keep them as contiguous, read-only arrays.

        Values may be integers or floating-point numbers, which are rounded to float32.
        """
        times, indices = int64_array("t_us", t_us), int64_array("index", index)
        check_events(times, indices, np.zeros(1, np.int64))
        object.__setattr__(self, "t_us", times)
        object.__setattr__(self, "index", indices)
        values = None if value is None else value_array(value, times.size)
        object.__setattr__(self, "value", values)
        object.__setattr__(self, "_max_index", _UNKNOWN)

    def __len__(self) -> int:
        """Return the number of events."""
        return self.t_us.size

    def __eq__(self, other: object) -> bool:
        """Return whether both trains have the same events in the same order."""
        if not isinstance(other, SpikeTrain):
            return NotImplemented
        return (
            np.array_equal(self.t_us, other.t_us)
            and np.array_equal(self.index, other.index)
            and same_values(self.value, other.value)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are not hashable

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Return how to make an equal train of a pickle or a copy, with read-only arrays."""
        return type(self), (self.t_us, self.index, self.value)

    def __repr__(self) -> str:
        """Return one line: the number of events, and the ranges of times and indices."""
        if not len(self):
            return "<SpikeTrain: no events>"
        values = ""
        if self.value is not None:
            values = f", values {self.value.min():g} to {self.value.max():g}"
        return (
            f"<SpikeTrain: {quantity(len(self), 'event')}, {self.t_us[0]} to {self.t_us[-1]} µs, "
            f"indices {self.index.min()} to {self.index.max()}{values}>"
        )

    @classmethod
    def from_events(
        cls, events: NDArray[Any], shape: tuple[int, ...], view: View | None = None
    ) -> Self:
        """Return the events of a structured array from the driver of a camera, or from a library.

        Arrays of Metavision, dv-processing, tonic, faery and similar software are read. The fields
        are called ``x``, ``y``, ``t`` or ``timestamp``, and ``p``, ``polarity`` or ``on``. Times
        count from the first event. Polarities are bool, 0 and 1, or -1 and 1. An array without
        ``y`` has one row, and a shape without polarity needs no polarity.

        Args:
            events: [events], in order of time. Coordinates are integers of any type; times are
                integers of µs.
            shape: input shape of the network: (2, H, W), (1, H, W), (H, W), or (N,) for one row.
            view: the pixels of the sensor that the network sees, with binning; the others are left
                out. None if the network sees all pixels that have events.

        Raises:
            EventsError: the array has other fields or types, its events are not in order of time,
                or ``view`` is None and an event is outside the shape.
            ValueError: ``shape`` has another form.

        Warns:
            TimeUnitWarning: the times look like ms or ns.
        """
        grid, t_us = PixelGrid.of(shape), sensor_times(events)
        pixels = sensor_pixels(events, grid, view)
        warn_of_time_unit(t_us, pixels.pixel, UserCall.current())
        is_seen = pixels.index >= 0
        since_first = t_us - t_us[:1].sum()
        return cls(since_first[is_seen], pixels.index[is_seen])

    @classmethod
    def of_checked(
        cls,
        t_us: NDArray[np.int64],
        index: NDArray[np.int64],
        value: NDArray[np.float32] | None,
        max_index: int | None = None,
    ) -> Self:
        """Return events of a train with other times, without checking them again.

        Args:
            t_us: i64[events], times in ascending order, which are at least 0, in an array that
                only the caller can write. All arrays become read-only.
            index: i64[events], a contiguous part of the indices of a train, or a copy.
            value: f32[events], the values of the same events, or None.
            max_index: the highest index, if it is known.
        """
        t_us.setflags(write=False)  # takes half as long as setting a flag
        index.setflags(write=False)
        if value is not None:
            value.setflags(write=False)
        return cls._of(t_us, index, value, _UNKNOWN if max_index is None else max_index)

    @classmethod
    def of_checked_rows(cls, rows: NDArray[np.int64], max_index: int) -> Self:
        """Return events with the times and indices in the rows of an array, without checking them.

        Args:
            rows: i64[2, events], times and indices as for :meth:`of_checked`. The array and its
                memory are read-only.
            max_index: the highest index; -1 if there is no event.
        """
        return cls._of(rows[0], rows[1], None, max_index)

    @classmethod
    def _of(
        cls,
        t_us: NDArray[np.int64],
        index: NDArray[np.int64],
        value: NDArray[np.float32] | None,
        max_index: int,
    ) -> Self:
        train, assign = object.__new__(cls), object.__setattr__
        assign(train, "t_us", t_us)
        assign(train, "index", index)
        assign(train, "value", value)
        assign(train, "_max_index", max_index)
        return train

    def part(self, events: slice | NDArray[np.int64]) -> Self:
        """Return the events of a slice, or with these numbers, whose times must ascend."""
        value = taken_values(self.value, events)
        return type(self)(self.t_us[events], self.index[events], value)

    @property
    def max_index(self) -> int:
        """The highest index; -1 if there is no event. It is determined once."""
        if self._max_index == _UNKNOWN:
            highest = int(self.index.max()) if self.index.size else -1
            object.__setattr__(self, "_max_index", highest)
        return self._max_index

    def check_indices(self, inputs: int) -> None:
        """Check that all indices are below ``inputs``.

        Raises:
            EventsError: an index is too high.
        """
        if self.max_index >= inputs:
            check_below(self.t_us, self.index, inputs, "the network has")


Events: TypeAlias = (
    SpikeTrain | tuple[ArrayLike, ArrayLike] | tuple[ArrayLike, ArrayLike, ArrayLike | None]
)
"""Input events: a spike train, a pair (t_us, index) of integer arrays of equal length, or a triple
(t_us, index, value) with the values of the events."""


def as_train(events: Events) -> SpikeTrain:
    """Return ``events`` as a spike train.

    Raises:
        EventsError: ``events`` is neither a spike train nor a valid (t_us, index) or (t_us, index,
            value).
    """
    if isinstance(events, SpikeTrain):
        return events
    if not isinstance(events, tuple) or len(events) not in (2, 3) or _are_rows(events):
        requirement = "a SpikeTrain, a pair (t_us, index) or a triple (t_us, index, value)"
        hint = pair_hint(events)
        if hasattr(events, "offsets"):  # those of many samples
            hint = "; pass one of its samples, such as spikes[0], or use decide_all"
        raise EventsError(must_be("events", requirement, kind_of(events)) + hint)
    return SpikeTrain(*events)


def _are_rows(events: tuple[object, ...]) -> bool:
    """Return whether a triple looks like three events (t_us, index) instead of three arrays."""
    return len(events) == 3 and all(
        isinstance(row, list | tuple) and len(row) == 2 and all(type(x) is int for x in row)
        for row in events
    )
