"""Checks large numbers of events without holding up the event loop.

Checking, copying and sorting a million events takes tens of milliseconds. NumPy does it for arrays
without holding the interpreter's lock, so a thread does it while the event loop keeps running.
Converting a list to an array holds the lock, and takes about 30 ms for a million integers. It
therefore happens in the event loop, in time slices.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.events.event_checks import int64_array
from neuroasync.core.events.spike_train import Events, SpikeTrain, as_train
from neuroasync.core.events.values import value_array
from neuroasync.core.model.checks import must_be
from neuroasync.errors import EventsError
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.runtime.input.thread_calls import ThreadCalls

__all__ = ["are_many", "is_many", "train_of_many"]

_MANY: Final = 20_000
"""Number of events from which a thread is used. Fewer take less than a time slice."""

_CONVERTED_AT_ONCE: Final = 2048
"""Number of elements of a list that are converted before the time slice is examined."""


def is_many(count: int) -> bool:
    """Return whether it takes longer than a time slice to check or to sort ``count`` events."""
    return count >= _MANY


def are_many(events: Events) -> bool:
    """Return whether it takes longer than a time slice to check ``events``."""
    if isinstance(events, SpikeTrain):
        return events.t_us.size >= _MANY
    try:
        return len(events[0]) >= _MANY  # type: ignore[arg-type]  # ArrayLike may be a scalar
    except (TypeError, LookupError, OverflowError):
        return False  # the events are invalid; checking them says why


async def train_of_many(events: Events, thread_calls: ThreadCalls) -> SpikeTrain:
    """Return events as a spike train whose indices can be checked at once.

    Cancellation: safe. The thread ends on its own, and its result is dropped.

    Raises:
        EventsError: the events are not valid.
    """
    if isinstance(events, tuple) and len(events) in (2, 3):
        value = events[2] if len(events) == 3 else None
        events = (
            await _array("t_us", events[0]),
            await _array("index", events[1]),
            await _values(value),
        )
    return await thread_calls.run(_train, events)


def _train(events: Events) -> SpikeTrain:
    train = as_train(events)
    train.max_index  # noqa: B018  # the train remembers it
    return train


async def _array(field: str, values: ArrayLike) -> ArrayLike:
    """Return an array of the elements of a list; anything else is returned as it is."""
    if not isinstance(values, list | tuple | range):
        return values
    time_slice, elements = TimeSlice.of_running_loop(), np.empty(len(values), np.int64)
    for start in range(0, elements.size, _CONVERTED_AT_ONCE):
        stop = min(start + _CONVERTED_AT_ONCE, elements.size)
        elements[start:stop] = _converted(field, values, start, stop)
        if time_slice.is_exhausted():
            await time_slice.wait_turn()
    return elements


async def _values(values: ArrayLike | None) -> ArrayLike | None:
    """Return an array of the numbers of a list; anything else is returned as it is."""
    if not isinstance(values, list | tuple | range):
        return values
    time_slice, parts = TimeSlice.of_running_loop(), []
    for start in range(0, len(values), _CONVERTED_AT_ONCE):
        part = values[start : start + _CONVERTED_AT_ONCE]
        parts.append(value_array(part, len(part), start))
        if time_slice.is_exhausted():
            await time_slice.wait_turn()
    return np.concatenate([np.empty(0, np.float32), *parts])


def _converted(field: str, values: Sequence[object], start: int, stop: int) -> NDArray[np.int64]:
    """Return the elements from ``start`` to ``stop``, i64[stop - start]."""
    part = int64_array(f"{field}[{start}:{stop}]", values[start:stop])
    if part.size != stop - start:
        requirement = "left unchanged until the call returns"
        raise EventsError(must_be(field, requirement, "a list that has become shorter"))
    return part
