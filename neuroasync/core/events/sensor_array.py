"""Read structured arrays of events, as drivers of event cameras and libraries give them.

=============== ================================== ==============================
software        fields                             polarity
=============== ================================== ==============================
Metavision      ``x``, ``y``, ``p``, ``t``         0 and 1, or -1 and 1
dv-processing   ``timestamp``, ``x``, ``y``,       0 and 1, or bool
                ``polarity``
tonic           ``x``, ``y``, ``t``, ``p``         0 and 1, or bool
faery           ``t``, ``x``, ``y``, ``on``        bool
=============== ================================== ==============================
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.hints import kind_of, structure_hint
from neuroasync.core.events.pixel_grid import PixelGrid, View
from neuroasync.core.model.checks import must_be
from neuroasync.errors import EventsError

__all__ = ["SensorPixels", "sensor_pixels", "sensor_times"]

_TIME: Final = ("t", "timestamp", "ts")
_POLARITY: Final = ("p", "polarity", "on")


@dataclass(frozen=True, slots=True)
class SensorPixels:
    """Where the events of a structured array took place.

    Attributes:
        pixel: i64[events], a number for each pixel of the sensor.
        index: i64[events], input indices; -1 for pixels that the network does not see.
    """

    pixel: NDArray[np.int64]
    index: NDArray[np.int64]


def sensor_times(array: NDArray[Any]) -> NDArray[np.int64]:
    """Return the times of a structured array, i64[events] in ascending order, µs.

    Raises:
        EventsError: the array has no times, or its events are not in order of time.
    """
    if not isinstance(array, np.ndarray) or array.dtype.names is None or array.ndim != 1:
        requirement = "a structured array [events] with the fields x, y, t and p"
        raise EventsError(must_be("events", requirement, kind_of(array)) + structure_hint(array))
    name = _field(array, _TIME)
    t_us = _integers(array, name)
    # The largest uint64 became negative, so the upper bound is checked in the type of the array.
    outside = (t_us < -limits.MAX_TIME_US) | (array[name] > limits.MAX_TIME_US)
    if outside.any():
        at = int(np.argmax(outside))
        requirement = f"at most {limits.MAX_TIME_US} µs"
        message = must_be(f"events[{name!r}][{at}]", requirement, str(array[name][at]))
        raise EventsError(f"{message}; if the times are ns, divide them by 1000")
    falls = t_us[1:] < t_us[:-1]
    if falls.any():
        at = int(np.argmax(falls)) + 1
        requirement = f"at least {t_us[at - 1]}, the time of the event before it"
        message = must_be(f"events[{name!r}][{at}]", requirement, str(t_us[at]))
        raise EventsError(
            f"{message}; sort them: events[np.argsort(events[{name!r}], kind='stable')]"
        )
    return t_us


def sensor_pixels(
    array: NDArray[Any], grid: PixelGrid, view: View | None, first: int = 0
) -> SensorPixels:
    """Return where the events of a structured array took place.

    Args:
        array: [events], with the fields of the table above; times are not read.
        grid: grid of the network's input.
        view: the pixels that the network sees; None if every event has to be inside the grid.
        first: number of the first event, for errors.

    Raises:
        EventsError: the array has other fields or types, or ``view`` is None and an event is
            outside the grid.
    """
    fields = array.dtype.names or ()
    x = _integers(array, _field(array, ("x",)))
    has_rows = grid.height > 1 or "y" in fields
    y = _integers(array, _field(array, ("y",))) if has_rows else np.zeros_like(x)
    is_on = _polarity(array, first) if grid.channels == 2 else np.ones(x.size, bool)
    column, row = (view or View()).to_network(x, y)
    is_seen = grid.sees(column, row)
    if view is None and not is_seen.all():
        at = int(np.argmin(is_seen))
        raise EventsError(
            f"`events[{first + at}]` must be one of the {grid.width} x {grid.height} pixels of "
            f"the network, got x = {x[at]}, y = {y[at]}; pass view=View(x, y, binning) to crop or "
            "bin the picture"
        )
    index = np.where(is_seen, grid.index(column, row, is_on), -1)
    return SensorPixels(y * 2**16 + x, index)


def _field(array: NDArray[Any], names: Sequence[str]) -> str:
    """Return the one of ``names`` that is a field of the array."""
    fields = array.dtype.names or ()
    found = next((name for name in names if name in fields), None)
    if found is None:
        choice = " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        requirement = f"an array with the field {choice}"
        raise EventsError(must_be("events", requirement, f"the fields {', '.join(fields)}"))
    return found


def _integers(array: NDArray[Any], name: str) -> NDArray[np.int64]:
    values = array[name]
    if values.dtype.kind not in "iu" or values.ndim != 1:
        got = f"{values.dtype}" if values.ndim == 1 else f"{values.dtype} of shape {values.shape}"
        hint = ""
        if values.dtype.kind == "f":
            rest = [field for field in array.dtype.names or () if field != name]
            given = ", ".join(f"events[{field!r}]" for field in rest)
            factor = " * 1e6" if name in _TIME else ""
            note = " (for times in seconds)" if name in _TIME else ""
            hint = (
                f"; pass np.rec.fromarrays([np.rint(events[{name!r}]{factor}).astype(int), "
                f"{given}], names={','.join([name, *rest])!r}){note}"
            )
        raise EventsError(must_be(f"events[{name!r}]", "integers", got) + hint)
    return values.astype(np.int64)


def _polarity(array: NDArray[Any], first: int) -> NDArray[np.bool_]:
    """Return whether each event is of increasing brightness."""
    name = _field(array, _POLARITY)
    if array[name].dtype.kind == "b" and array[name].ndim == 1:
        return array[name].astype(bool)
    values = _integers(array, name)
    lowest = -1 if (values == -1).any() else 0
    wrong = (values != lowest) & (values != 1)
    if wrong.any():
        at = int(np.argmax(wrong))
        requirement = "-1 or 1, as in the events with -1" if lowest else "0 or 1, or -1 or 1"
        raise EventsError(must_be(f"events[{name!r}][{first + at}]", requirement, str(values[at])))
    return np.equal(values, 1)
