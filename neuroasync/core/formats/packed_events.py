"""Compact, lossless form of spike trains, in which the larger data sets ship.

The events of a sample are stored in order. Each has the time since the event before it, counted
in the largest unit that divides all of these times. The low and the high byte of this number are
separate arrays: the high byte is mostly 0, so they compress better apart. For the same reason, the
input index is stored as one array of coordinates for each dimension of the shape.

Arrays: ``low``, ``high`` uint8 [events]; ``coordinates`` uint8 [dimensions, events]; ``offsets``
int64 [samples + 1]; ``labels`` uint8 [samples]; ``shape`` int64 [dimensions]; ``unit_us`` int64.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.npz import Field

__all__ = ["PACKED_FIELDS", "pack", "unpack"]

PACKED_FIELDS: Final = {
    "low": Field("|u1"),
    "high": Field("|u1"),
    "coordinates": Field("|u1", 2),
    "offsets": Field("<i8"),
    "labels": Field("|u1"),
    "shape": Field("<i8"),
    "unit_us": Field("<i8", 0),
}


def pack(spikes: SpikeTrains) -> dict[str, NDArray[Any]]:
    """Return the arrays that store ``spikes``, which must have labels.

    Raises:
        ValueError: There are no labels, a label is above 255, a dimension of the shape is above
            256, or two consecutive events are more than 65,535 units apart.
    """
    if spikes.labels is None or spikes.labels.max(initial=0) > 255 or max(spikes.shape) > 256:
        raise ValueError(
            "`spikes` must have labels below 256, and a shape with dimensions of at most 256"
        )
    if spikes.value is not None:
        raise ValueError("`spikes` must have no values")
    since = np.diff(spikes.t_us, prepend=0)
    starts = spikes.offsets[:-1][np.diff(spikes.offsets) > 0]
    since[starts] = spikes.t_us[starts]
    unit = max(math.gcd(*since.tolist()), 1)
    since //= unit
    if since.max(initial=0) >= 2**16:
        raise ValueError(
            f"consecutive events in `spikes` must be at most 65535 units of {unit} µs apart, "
            f"got {since.max()}"
        )
    return {
        "low": (since & 255).astype(np.uint8),
        "high": (since >> 8).astype(np.uint8),
        "coordinates": np.array(np.unravel_index(spikes.index, spikes.shape), np.uint8),
        "offsets": spikes.offsets,
        "labels": spikes.labels.astype(np.uint8),
        "shape": np.array(spikes.shape, np.int64),
        "unit_us": np.array(unit, np.int64),
    }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> SpikeTrains:
    """Return the spike trains that :func:`pack` stored.

    Raises:
        EventsError: The arrays were not written by :func:`pack`.
    """
    shape, offsets = tuple(arrays["shape"].tolist()), arrays["offsets"]
    since = (arrays["low"].astype(np.int64) + 256 * arrays["high"].astype(np.int64)) * int(
        arrays["unit_us"]
    )
    total = np.concatenate(([0], np.cumsum(since)))
    t_us = total[1:] - np.repeat(total[offsets[:-1]], np.diff(offsets))
    index = np.ravel_multi_index(tuple(arrays["coordinates"]), shape)
    return SpikeTrains(t_us, index, offsets, arrays["labels"].astype(np.int64), shape)
