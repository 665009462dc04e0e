"""The input buffer of a session: events that wait for their forward pass."""

import math
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import Events, SpikeTrain, as_train
from neuroasync.core.events.values import Values, joined_values
from neuroasync.core.model.checks import must_be, shown
from neuroasync.core.model.model import Model
from neuroasync.errors import EventsError, LimitError, PassLimitError

__all__ = ["InputBuffer", "MergedEvents", "check_duration"]

MergedEvents: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], Values]
"""Times, indices and values of the events that wait in a buffer, in arrays that are read-only."""

_NONE: Final[NDArray[np.int64]] = np.empty(0, np.int64)
_NONE.flags.writeable = False

_NO_EVENTS: Final[MergedEvents] = (_NONE, _NONE, None)

_MAX_COPIED: Final = 100_000
"""Largest number of events that are copied to free the memory of others, in about 0.1 ms."""


class InputBuffer:
    """A buffer for the events of a sample that no forward pass has read yet.

    Adding events takes two steps: :meth:`checked` validates them and changes nothing,
    :meth:`accept` appends them.

    Args:
        model: the network that reads the events.
        sorts: whether to sort events of equal time by their index.
        keeps: whether to keep events after they were read, for :meth:`train`.
        max_passes: maximum number of passes of a sample.

    Attributes:
        last_us: time of the last event of the sample so far, µs; -1 if there was none.
        waiting: number of events that no pass has read.
    """

    __slots__ = ("_added", "_inputs", "_keeps", "_kept", "_max_passes", "_merged", "_sorts",
                 "_timestep_us", "_too_late_us", "last_us", "waiting")  # fmt: skip

    def __init__(
        self, model: Model, sorts: bool, keeps: bool, max_passes: int = limits.MAX_PASSES
    ) -> None:
        self._inputs, self._timestep_us = model.input_size, model.timestep_us
        self._sorts = sorts
        self._keeps = keeps
        self._max_passes = max_passes
        # Time, µs, from which on a sample has too many passes.
        self._too_late_us = self._timestep_us * max_passes if self._timestep_us else math.inf
        self.begin()

    def begin(self) -> None:
        """Start a new sample with an empty buffer."""
        self._merged: MergedEvents = _NO_EVENTS
        # Events that are not merged yet. Merging at every call would take quadratic time while
        # many small chunks are added to one forward pass.
        self._added: list[SpikeTrain] = []
        self.waiting = 0
        self._kept: list[SpikeTrain] = []
        self.last_us = -1

    @property
    def unmerged(self) -> int:
        """The number of events that :attr:`events` has to copy or to sort."""
        if not self._added or (self.waiting == self._added[0].t_us.size and not self._sorts):
            return 0
        return self.waiting

    @property
    def events(self) -> MergedEvents:
        """The events that no pass has read: (t_us, index, value).

        Events of equal time are sorted by their index if the buffer was created with ``sorts``.
        """
        added = self._added
        if len(added) == 1 and not self._sorts and added[0].t_us.size == self.waiting:
            train = added[0]
            self._merged = train.t_us, train.index, train.value  # the usual case
            self._added = []
        elif added:
            self.set_merged(self.merge()())
        return self._merged

    def of_whole_sample(self, train: SpikeTrain) -> MergedEvents:
        """Return :attr:`events` as they would be with a checked train in this empty buffer."""
        if self._sorts:
            return _merged(_NO_EVENTS, (train,), self._inputs, True)
        return train.t_us, train.index, train.value

    def merge(self) -> Callable[[], MergedEvents]:
        """Return a function that returns :attr:`events`. It may run in a thread.

        The result is valid for :meth:`set_merged` if the buffer has not changed meanwhile.
        """
        return partial(_merged, self._merged, tuple(self._added), self._inputs, self._sorts)

    def set_merged(self, merged: MergedEvents) -> None:
        """Use the result of :meth:`merge`."""
        self._merged, self._added = merged, []

    def checked(self, events: Events, watermark_us: int = 0, is_rest: bool = False) -> SpikeTrain:
        """Return ``events`` as a spike train that may follow the events so far.

        Args:
            events: a spike train, or its arrays.
            watermark_us: time before which all passes have begun, µs. Earlier events would come
                too late for their pass.
            is_rest: whether they are part of a chunk for which there was room.

        Raises:
            EventsError: the events are invalid for this network, out of order or too late.
            LimitError: too many events wait for one pass.
            PassLimitError: the sample would need too many passes.
        """
        train = as_train(events)
        if train.max_index >= self._inputs:
            train.check_indices(self._inputs)
        has_events = train.t_us.size > 0
        if has_events:
            first_us = train.t_us.item(0)
            if first_us < self.last_us:
                requirement = f"at least {self.last_us}, the time of the last event sent"
                message = must_be("t_us[0]", requirement, str(first_us))
                raise EventsError(f"{message}; times count from the start of the sample")
            if first_us < watermark_us:
                requirement = f"at least {watermark_us}, because all passes before have begun"
                raise EventsError(must_be("t_us[0]", requirement, str(first_us)))
        if not is_rest and self.waiting > limits.MAX_QUEUED_EVENTS:
            self.check_room()
        if has_events and (last_us := train.t_us.item(-1)) >= self._too_late_us:
            self._check_passes(last_us)
        return train

    def checked_sample(self, events: Events, duration_us: int | None) -> tuple[SpikeTrain, int]:
        """Return the only events of a sample, for this empty buffer, and the time of its last pass.

        Arguments and errors are those of :meth:`checked` and :meth:`last_pass_us`.
        """
        train = as_train(events)
        if train.max_index >= self._inputs:
            train.check_indices(self._inputs)
        last_us = train.t_us.item(-1) if train.t_us.size else -1
        if last_us >= self._too_late_us:
            self._check_passes(last_us)
        return train, self._last_pass_us(duration_us, last_us)

    def check_room(self) -> None:
        """Check that the sample accepts more events.

        Raises:
            LimitError: too many events wait for one pass.
        """
        if self.waiting > limits.MAX_QUEUED_EVENTS:
            raise LimitError(
                f"{self.waiting} events wait for one pass, the limit is "
                f"{limits.MAX_QUEUED_EVENTS}; this sample accepts no more events, so send fewer "
                "events per timestep, and check that the times are in µs"
            )

    def last_pass_us(self, duration_us: int | None, train: SpikeTrain | None = None) -> int:
        """Return the time up to which passes run if the sample ends with ``train``; -1 for none.

        Args:
            duration_us: length of the sample, µs. By default it ends with the timestep of its last
                event.
            train: events that have been checked but not accepted yet.

        Raises:
            ValueError: an event is at or after ``duration_us``.
            PassLimitError: the sample would need too many passes.
        """
        last_us = self.last_us
        if train is not None and train.t_us.size:
            last_us = train.t_us.item(-1)
        return self._last_pass_us(duration_us, last_us)

    def _last_pass_us(self, duration_us: int | None, last_us: int) -> int:
        if duration_us is None:
            return self._pass_start(last_us) if last_us >= 0 else -1
        check_duration(duration_us, last_us)
        if duration_us > self._too_late_us:
            self._check_passes(duration_us - 1)
        return duration_us - 1

    def ready_until_us(self) -> int:
        """Return the time up to which passes have all their events; -1 for none."""
        # Further events may still belong to the pass of the last one, which starts at a multiple of
        # the timestep.
        last_us, timestep_us = self.last_us, self._timestep_us
        if last_us < 0:
            return -1
        return last_us - (last_us % timestep_us if timestep_us else 0) - 1

    def ready_after_advance_us(self, t_us: int) -> int:
        """Return the time up to which passes run if no event comes before ``t_us``; -1 for none.

        Raises:
            ValueError: ``t_us`` is before the last event, or later than any sample can last.
            PassLimitError: the sample would need too many passes.
        """
        earliest_us = max(self.last_us, 0)
        if not earliest_us <= t_us <= limits.MAX_TIME_US:
            requirement = f"an integer of at least {earliest_us}, the time of the last event sent"
            if t_us > limits.MAX_TIME_US:
                requirement = f"an integer of at most {limits.MAX_TIME_US}"
            raise ValueError(must_be("t_us", requirement, shown(t_us)))
        self._check_passes(t_us)
        return self._pass_start(t_us) - 1

    def restore(self, waiting: SpikeTrain, last_us: int) -> None:
        """Start a new sample that holds ``waiting`` and had its last event at ``last_us``."""
        self.begin()
        self.accept(waiting, True)
        self.last_us = last_us

    def accept(self, train: SpikeTrain, is_wanted: bool) -> None:
        """Append events that were checked.

        Args:
            train: the events.
            is_wanted: whether a pass will read them. If not, they only set the time of the last
                event (and are kept for :meth:`train`).
        """
        count = train.t_us.size
        if not count:
            return
        self.last_us = train.t_us.item(-1)
        if self._keeps:
            self._kept.append(train)
        if is_wanted:
            self.waiting += count
            self._added.append(train)

    def drop(self, count: int) -> None:
        """Remove the first ``count`` events, which passes have read."""
        if count == self.waiting:
            self._merged, self._added = _NO_EVENTS, []
        elif count:
            t_us, index, value = self.events
            t_us, index = t_us[count:], index[count:]
            value = None if value is None else value[count:]
            # A slice keeps the memory of the events that were read, but copying many takes long.
            if t_us.size <= _MAX_COPIED:
                t_us, index = t_us.copy(), index.copy()
                value = None if value is None else value.copy()
            self._merged = _read_only(t_us, index, value)
        self.waiting -= count

    def train(self) -> SpikeTrain:
        """Return all events of the sample so far; requires ``keeps``."""
        t_us = np.concatenate([_NONE, *(train.t_us for train in self._kept)])
        index = np.concatenate([_NONE, *(train.index for train in self._kept)])
        return SpikeTrain(t_us, index, joined_values((len(t), t.value) for t in self._kept))

    def _pass_start(self, t_us: int) -> int:
        """Return the virtual time of the pass that reads an event at ``t_us``."""
        return t_us - t_us % self._timestep_us if self._timestep_us else t_us

    def _check_passes(self, end_us: int) -> None:
        timestep = self._timestep_us
        if timestep and end_us // timestep >= self._max_passes:
            raise PassLimitError(
                f"a sample of {end_us} µs has {end_us // timestep + 1} timesteps of "
                f"{timestep} µs, the limit is {self._max_passes}; times are in µs and count from "
                "the start of the sample"
            )


def _merged(
    before: MergedEvents, added: tuple[SpikeTrain, ...], inputs: int, sorts: bool
) -> MergedEvents:
    """Return the events ``before`` followed by those of ``added``, sorted if they have to be."""
    t_us, index, value = before
    if t_us.size or len(added) > 1:
        value = joined_values([(t_us.size, value), *((len(t), t.value) for t in added)])
        t_us = np.concatenate((t_us, *(train.t_us for train in added)))
        index = np.concatenate((index, *(train.index for train in added)))
    elif added:
        t_us, index, value = added[0].t_us, added[0].index, added[0].value
    if sorts and t_us.size > 1:
        if value is None:
            return _read_only(t_us, _sorted_by_index(t_us, index, inputs), None)
        order = np.lexsort((index, t_us))  # events of one input stay in their order
        return _read_only(t_us, index[order], value[order])
    return _read_only(t_us, index, value)


def _read_only(t_us: NDArray[np.int64], index: NDArray[np.int64], value: Values) -> MergedEvents:
    """Return the arrays of events, which were just made, after forbidding to write to them."""
    t_us.flags.writeable = index.flags.writeable = False
    if value is not None:
        value.flags.writeable = False
    return t_us, index, value


def _sorted_by_index(
    t_us: NDArray[np.int64], index: NDArray[np.int64], inputs: int
) -> NDArray[np.int64]:
    """Return the indices of events in ascending order of (time, index).

    Args:
        t_us: i64[events], times in ascending order, µs.
        index: i64[events], flattened input indices below ``inputs``.
        inputs: number of inputs.
    """
    since_first = t_us - t_us[0]
    if (int(since_first[-1]) + 1) * inputs >= 2**63:
        return index[np.lexsort((index, t_us))]
    # Sorting one integer per event is ten times as fast as sorting by two keys.
    since_first *= inputs
    keys: NDArray[np.int64] = since_first + index
    keys.sort()
    keys -= since_first
    return keys


def check_duration(duration_us: int, last_us: int) -> None:
    """Check that a sample can have this length.

    Args:
        duration_us: length of the sample, µs.
        last_us: time of its last event, µs; -1 if it has none.

    Raises:
        EventsError: the last event comes at the end or later.
        ValueError: no sample can have this length.
    """
    if last_us < duration_us <= limits.MAX_TIME_US:
        return
    if duration_us > limits.MAX_TIME_US:
        requirement = f"an integer of at most {limits.MAX_TIME_US}"
    elif last_us < 0:
        requirement = "an integer of at least 0"
    else:
        requirement = f"an integer above {last_us}, the time of the last event in µs"
        got = f"{duration_us}, which the call or the network's bundle says"
        raise EventsError(must_be("duration_us", requirement, got))
    raise ValueError(must_be("duration_us", requirement, shown(duration_us)))
