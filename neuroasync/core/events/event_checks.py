"""Checks of the arrays that spike trains consist of. Errors name the field and the position."""

import struct
from contextlib import suppress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.hints import array_hint, order_hint, swapped_hint
from neuroasync.core.immutable import array_of_bytes, immutable
from neuroasync.core.model.checks import must_be, shown
from neuroasync.errors import EventsError

__all__ = ["check_below", "check_events", "check_labels", "check_offsets", "int64_array"]

_INT64_MAX: Final = 2**63 - 1
_FEW: Final = 32
"""Number of events up to which a loop in Python is faster than NumPy."""


def int64_array(
    field: str, values: object, error: type[ValueError] = EventsError
) -> NDArray[np.int64]:
    """Return ``values`` as a contiguous array that cannot be written, i64[n], without rounding.

    Raises:
        ValueError: the values are something else; the class is ``error``.
    """
    if type(values) is list and len(values) <= _FEW and all(type(v) is int for v in values):
        with suppress(struct.error):  # an integer that is too large is reported below
            return array_of_bytes(struct.pack(f"{len(values)}q", *values), np.int64, (len(values),))
    try:
        array = np.asarray(values)
    except (OverflowError, TypeError, ValueError) as problem:
        raise error(must_be(field, "a list of integers", shown(values))) from problem
    if array.size == 0 and not isinstance(values, np.ndarray | np.generic):
        array = array.astype(np.int64)  # numpy gives an empty list the type float64
    if array.ndim != 1 or array.dtype.kind not in "iu":
        got = f"{array.dtype} of shape {array.shape}"
        message = must_be(field, "one-dimensional integers", got)
        raise error(message + array_hint(field, array))
    if array.dtype.kind == "u" and array.size and array.max() > _INT64_MAX:
        at = int(np.argmax(array > _INT64_MAX))
        raise error(must_be(f"{field}[{at}]", f"at most {_INT64_MAX}", str(array[at])))
    return immutable(array, np.int64)


def check_events(
    t_us: NDArray[np.int64], index: NDArray[np.int64], starts: NDArray[np.int64]
) -> None:
    """Check times and indices; times may decrease only where a sample starts."""
    if t_us.shape != index.shape:
        requirement = f"of the same length as `t_us` ({t_us.size})"
        raise EventsError(must_be("index", requirement, f"{index.size} events"))
    if not t_us.size:
        return
    if starts.size == 1 and (_are_few_valid if t_us.size <= _FEW else _is_valid)(t_us, index):
        return
    outside = (t_us < 0) | (t_us > limits.MAX_TIME_US)
    if outside.any():
        at = int(np.argmax(outside))
        requirement, hint = "at least 0", ""
        if t_us[at] > 0:
            requirement = f"at most {limits.MAX_TIME_US}"
            hint = "; if the times are ns, divide them by 1000"
        raise EventsError(must_be(f"t_us[{at}]", requirement, str(t_us[at])) + hint)
    falls = np.zeros(t_us.size, bool)
    falls[1:] = t_us[1:] < t_us[:-1]
    falls[starts[starts < t_us.size]] = False
    if falls.any():
        at = int(np.argmax(falls))
        requirement = f"at least {t_us[at - 1]}, the time of the event before it in the sample"
        message = must_be(f"t_us[{at}]", requirement, str(t_us[at]))
        raise EventsError(message + order_hint(index))
    _check_not_negative("index", index)


def _are_few_valid(t_us: NDArray[np.int64], index: NDArray[np.int64]) -> bool:
    """Do what :func:`_is_valid` does for a few events, without the cost of calling NumPy."""
    times = t_us.tolist()
    ends_fit = times[0] >= 0 and times[-1] <= limits.MAX_TIME_US and min(index.tolist()) >= 0
    return ends_fit and (len(times) == 1 or sorted(times) == times)


def _is_valid(t_us: NDArray[np.int64], index: NDArray[np.int64]) -> bool:
    """Return whether one sample's events are valid, with as few passes over them as possible."""
    ends_fit = t_us[0] >= 0 and t_us[-1] <= limits.MAX_TIME_US and index.min() >= 0
    return bool(ends_fit and (t_us[1:] >= t_us[:-1]).all())


def _check_not_negative(field: str, values: NDArray[np.int64]) -> None:
    if values.size and values.min() < 0:
        at = int(np.argmax(values < 0))
        raise EventsError(must_be(f"{field}[{at}]", "at least 0", str(values[at])))


def check_below(t_us: NDArray[np.int64], index: NDArray[np.int64], inputs: int, owner: str) -> None:
    """Check that all indices are below ``inputs``, the number of inputs that ``owner`` has."""
    if index.size and index.max() >= inputs:
        at = int(np.argmax(index >= inputs))
        requirement = f"at most {inputs - 1} ({owner} {inputs} inputs)"
        message = must_be(f"index[{at}]", requirement, str(index[at]))
        raise EventsError(message + swapped_hint(t_us, index, inputs))


def check_offsets(
    offsets: NDArray[np.int64], count: int, field: str = "offsets", what: str = "events"
) -> None:
    """Check that the offsets ascend from 0 to ``count``, the number of events or labels."""
    if not offsets.size:
        requirement = "one longer than the number of samples"
        raise EventsError(must_be(field, requirement, "an empty list"))
    if offsets[0] != 0:
        raise EventsError(must_be(f"{field}[0]", "0", str(offsets[0])))
    falls = offsets[1:] < offsets[:-1]
    if falls.any():
        at = int(np.argmax(falls)) + 1
        requirement = f"at least {offsets[at - 1]}, the offset before it"
        raise EventsError(must_be(f"{field}[{at}]", requirement, str(offsets[at])))
    if offsets[-1] != count:
        requirement = f"{count}, the number of {what}"
        raise EventsError(must_be(f"{field}[{offsets.size - 1}]", requirement, str(offsets[-1])))


def check_labels(labels: NDArray[np.int64], samples: int) -> None:
    """Check that there is a label of at least 0 for each sample."""
    if labels.size != samples:
        requirement = f"a list of {samples} labels, one per sample"
        raise EventsError(must_be("labels", requirement, f"{labels.size} labels"))
    _check_not_negative("labels", labels)
