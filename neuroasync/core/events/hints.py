"""Hints in errors: how to get from the events that were given to those that are needed.

A hint is appended to an error. It starts with a semicolon, or it is empty.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_hint", "kind_of", "order_hint", "pair_hint", "structure_hint", "swapped_hint"]

_PIXEL_COLUMNS = range(3, 6)
"""Numbers of columns that a table with pixels, times and polarities may have."""


def kind_of(events: object) -> str:
    """Return the type of ``events`` as an error names it, with the shape of an array."""
    if isinstance(events, np.ndarray):
        return f"an array of {events.dtype} of shape {events.shape}"
    return type(events).__name__


def array_hint(field: str, array: NDArray[Any]) -> str:
    """Return how to make one-dimensional integers of ``array``, which has another type or shape."""
    kind = array.dtype.kind
    if array.dtype.names:
        return "; SpikeTrain.from_events(events, shape) reads structured arrays"
    if array.ndim == 2 and field == "index" and kind in "iu" and array.shape[1] in (2, 3):
        return "; np.ravel_multi_index(tuple(np.transpose(index)), shape) flattens coordinates"
    if kind == "m":
        return f"; pass {field}.astype('timedelta64[us]').astype(int)"
    if kind == "M":
        return f"; pass ({field} - {field}[0]).astype('timedelta64[us]').astype(int)"
    if kind == "b":
        return f"; np.flatnonzero({field}) returns the positions that are true"
    if kind != "f" or not array.size or not np.isfinite(array).all():
        return ""
    if (array == np.rint(array)).all():
        return f"; np.asarray({field}).astype(int) makes integers of them"
    if field == "t_us":
        return "; if they are seconds, pass np.rint(np.multiply(t_us, 1e6)).astype(int)"
    return ""


def order_hint(index: NDArray[np.int64]) -> str:
    """Return how to order events whose times descend somewhere."""
    if index.size > 2 and (index[1:] >= index[:-1]).all():
        return "; the indices ascend: is the pair (index, t_us) instead of (t_us, index)?"
    return "; sort the events by time"


def swapped_hint(t_us: NDArray[np.int64], index: NDArray[np.int64], inputs: int) -> str:
    """Return a question if the events of too high indices would be valid with arrays swapped."""
    if index.size > 1 and t_us.max() < inputs and (index[1:] >= index[:-1]).all():
        return "; is the pair (index, t_us) instead of (t_us, index)?"
    return ""


def structure_hint(events: object) -> str:
    """Return how to make a structured array of ``events``, which are something else."""
    if hasattr(events, "to_records") and not isinstance(events, np.ndarray):
        return "; pass events.to_records(index=False)"
    if isinstance(events, np.ndarray) and events.dtype.names and events.ndim != 1:
        return "; pass events.ravel()"
    array = _as_array(events)
    if array is None or array.ndim != 2:
        return ""
    return (
        "; if the columns are, for example, t, x, y and p, pass "
        "np.rec.fromarrays(np.transpose(events), names='t,x,y,p')"
    )


def pair_hint(events: object) -> str:
    """Return how to make a pair (t_us, index) of ``events``, which are something else."""
    if isinstance(events, Mapping) and {"t_us", "index"} <= set(events):
        return "; pass (events['t_us'], events['index'])"
    if hasattr(events, "to_records"):
        return "; SpikeTrain.from_events(events.to_records(index=False), shape) reads data frames"
    array = _as_array(events)
    if array is not None and array.dtype.names and not array.ndim:
        return "; to stream a structured array, use neuroasync.sources.ArraySource(events, shape)"
    if array is not None and array.dtype.names:
        return "; SpikeTrain.from_events(events, shape) reads structured arrays"
    if array is None or array.ndim != 2:
        return ""
    return _table_hint(array, isinstance(events, list | tuple))


def _as_array(events: object) -> NDArray[Any] | None:
    """Return a list or an array-like object as an array; None if that is not possible."""
    if not (isinstance(events, list | tuple) or hasattr(events, "__array__")):
        return None
    try:
        return np.asarray(events)
    except Exception:  # lists of different lengths, or an object that cannot be converted
        return None


def _table_hint(array: NDArray[Any], is_list: bool) -> str:
    """Return how to make a pair of a table, which was given as an array or as a list of lists."""
    rows, columns = array.shape
    as_pairs = "tuple(zip(*events))" if is_list else "(events[:, 0], events[:, 1])"
    if (rows, columns) == (2, 2):
        return f"; pass tuple(events) for [t_us, index], or {as_pairs} for pairs (t_us, index)"
    if columns == 2:
        return f"; if each row is (t_us, index), pass {as_pairs}"
    if rows == 2:
        return "; if it is [t_us, index], pass tuple(events)"
    if columns in _PIXEL_COLUMNS:
        return (
            "; if the columns are, for example, t, x, y and p, pass SpikeTrain.from_events("
            "np.rec.fromarrays(np.transpose(events), names='t,x,y,p'), shape)"
        )
    return (
        "; for a raster [timesteps, inputs], let timestep, index = np.nonzero(events) and pass "
        "(timestep * timestep_us, index)"
    )
