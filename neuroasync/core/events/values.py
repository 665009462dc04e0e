"""Values of input events: what each event delivers, as a multiple of the weight.

An event without a value is a spike, which delivers the weight. Arrays of values lie beside the
times and indices of their events; None stands for events that are all spikes.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.immutable import immutable
from neuroasync.core.model.checks import must_be, shown
from neuroasync.errors import EventsError

__all__ = ["Values", "joined_values", "same_values", "taken_values", "value_array"]

Values: TypeAlias = NDArray[np.float32] | None
"""The values of events, f32[events]; None if they are all spikes."""


def value_array(values: object, events: int, first: int = 0) -> NDArray[np.float32]:
    """Return ``values`` as a contiguous array f32[events] that cannot be written.

    Floating-point numbers are rounded to the nearest float32. Integers are exact.

    Args:
        values: the numbers.
        events: number of events.
        first: position of the first event in the argument of the caller, for errors.

    Raises:
        EventsError: they are not numbers, not finite, too large, or too few or too many.
    """
    try:
        array = np.asarray(values)
    except (OverflowError, TypeError, ValueError) as problem:
        raise EventsError(must_be("value", "a list of numbers", shown(values))) from problem
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        got = f"{array.dtype} of shape {array.shape}"
        raise EventsError(must_be("value", "one-dimensional numbers", got))
    if array.size != events:
        requirement = f"of the same length as `t_us` ({events})"
        raise EventsError(must_be("value", requirement, f"{array.size} values"))
    # As a float32, 2**24 + 1 would be rounded to 2**24, which is valid.
    is_valid = np.abs(array.astype(np.float64)) <= limits.MAX_VALUE  # not if it is NaN
    if not is_valid.all():
        at = int(np.argmin(is_valid))
        requirement = f"a number from {-limits.MAX_VALUE} to {limits.MAX_VALUE}"
        raise EventsError(must_be(f"value[{first + at}]", requirement, str(array[at])))
    return immutable(array, np.float32)


def taken_values(values: Values, events: slice | NDArray[Any]) -> Values:
    """Return the values of some events, given by a slice, a mask or their numbers."""
    return None if values is None else values[events]


def same_values(one: Values, other: Values) -> bool:
    """Return whether the values are equal. Spikes differ from events that have the value 1."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def joined_values(parts: Iterable[tuple[int, Values]]) -> Values:
    """Return the values of events one after another; spikes among them have the value 1.

    Args:
        parts: number of events and values of each part.
    """
    parts = tuple(parts)
    if all(values is None for _, values in parts):
        return None
    return np.concatenate(
        [np.ones(n, np.float32) if values is None else values for n, values in parts]
    )
