"""Spike trains in few bytes, without loss: the form in which the larger sets ship.

Events of a sample in order; the time since the event before is counted in a unit that divides all
of them, and split into a low and a high byte, since the high one is mostly 0 and the two compress
better apart. The same goes for the index, as one coordinate for each dimension of the shape.

Arrays: ``low``, ``high`` uint8 [events]; ``coordinates`` uint8 [dimensions, events]; ``offsets``
int64 [samples + 1]; ``labels`` uint8 [samples]; ``shape`` int64 [dimensions]; ``unit_us`` int64.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.formats.npz import Field
from neuroasync.datasets.files import Arrays

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
    """The arrays of ``spikes``, which must have labels.

    Raises:
        ValueError: there are no labels, an extent of the shape or a label is above 255, or two
            events are 65,536 units apart.
    """
    if spikes.labels is None or spikes.labels.max(initial=0) > 255 or max(spikes.shape) > 256:
        raise ValueError("spikes: expected labels below 256, and extents up to 256")
    since = np.diff(spikes.t_us, prepend=0)
    starts = spikes.offsets[:-1][np.diff(spikes.offsets) > 0]
    since[starts] = spikes.t_us[starts]
    unit = max(math.gcd(*since.tolist()), 1)
    since //= unit
    if since.max(initial=0) >= 2**16:
        raise ValueError(f"spikes: {since.max()} units of {unit} µs apart, expected below 65536")
    return {
        "low": (since & 255).astype(np.uint8),
        "high": (since >> 8).astype(np.uint8),
        "coordinates": np.array(np.unravel_index(spikes.index, spikes.shape), np.uint8),
        "offsets": spikes.offsets,
        "labels": spikes.labels.astype(np.uint8),
        "shape": np.array(spikes.shape, np.int64),
        "unit_us": np.array(unit, np.int64),
    }


def unpack(arrays: Arrays) -> SpikeTrains:
    """What :func:`pack` was given.

    Raises:
        SpikeFileError: the arrays were not made by it.
    """
    shape, offsets = tuple(arrays["shape"].tolist()), arrays["offsets"]
    since = (arrays["low"].astype(np.int64) + 256 * arrays["high"].astype(np.int64)) * int(
        arrays["unit_us"]
    )
    total = np.concatenate(([0], np.cumsum(since)))
    t_us = total[1:] - np.repeat(total[offsets[:-1]], np.diff(offsets))
    index = np.ravel_multi_index(tuple(arrays["coordinates"]), shape)
    return SpikeTrains(t_us, index, offsets, arrays["labels"].astype(np.int64), shape)
