"""What a recording must be: its arrays one by one, and what they say of each other."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.errors import RecordingError, SpikeFileError

__all__ = ["DELIVERIES", "INPUT", "ROWS", "SAMPLES", "check_recording", "frozen"]

ROWS: Final = ("sample", "pass_", "step", "time_us", "neuron")
DELIVERIES: Final = (
    "delivered_sample",
    "delivered_pass",
    "delivered_step",
    "delivered_neuron",
    "delivered_origin",
    "delivered_count",
    "delivered_connection",
)
SAMPLES: Final = (
    "number",
    "label",
    "target",
    "passes",
    "steps",
    "rounds",
    "synops",
    "spikes",
    "duration_us",
)
"""One i64 per sample; ``votes``, ``seed`` and ``stopped`` are of other types."""
INPUT: Final = ("input_t_us", "input_index", "input_offsets")

_LEAST: Final = {"label": -1, "target": -1, "duration_us": -1, "delivered_connection": -1}
"""Lowest value of an array; 0 for all others."""


def frozen(name: str, values: object, dtype: type[np.generic], ndim: int = 1) -> NDArray[Any]:
    """Return ``values`` as a read-only, contiguous array; integers only, nothing is rounded.

    Raises:
        RecordingError: they are not integers in ``ndim`` dimensions, or do not fit the type.
    """
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind not in "iub":
        raise RecordingError(
            f"{name}: {array.dtype} of shape {array.shape}, expected integers in {ndim} dimensions"
        )
    bounds = (0, 1) if dtype is np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)  # type: ignore[type-var]
    if array.size and not bounds[0] <= int(array.min()) <= int(array.max()) <= bounds[1]:
        raise RecordingError(f"{name}: expected values from {bounds[0]} to {bounds[1]}")
    shareable = array.dtype == dtype and array.flags.c_contiguous and not array.flags.writeable
    result = array if shareable else np.array(array, dtype, order="C")
    result.flags.writeable = False
    return result


def check_recording(
    arrays: Mapping[str, NDArray[Any]], neurons: int, inputs: int, classes: int
) -> None:
    """Raise RecordingError unless the arrays of a recording fit each other.

    Args:
        arrays: by name, each of the right type.
        neurons: of the network.
        inputs: size of its input.
        classes: neurons of its output.
    """
    for names in (ROWS, DELIVERIES, (*SAMPLES, "votes", "seed", "stopped")):
        _check_lengths(arrays, names)
    for name in (*ROWS, *DELIVERIES, *SAMPLES, "votes"):
        _check_least(name, arrays[name], _LEAST.get(name, 0))
    samples = arrays["number"].size
    if arrays["votes"].shape[1] != classes:
        found = arrays["votes"].shape[1]
        raise RecordingError(f"votes: {found} classes, expected {classes}")
    _check_most("label", arrays["label"], classes - 1)
    _check_most("passes", arrays["passes"], limits.MAX_PASSES)
    _check_most("duration_us", arrays["duration_us"], limits.MAX_TIME_US)
    _check_most("neuron", arrays["neuron"], neurons - 1)
    _check_most("delivered_origin", arrays["delivered_origin"], neurons + inputs - 1)
    _check_order(arrays, ROWS[:3], strictly="neuron")
    _check_order(arrays, DELIVERIES[:3])
    for names in (ROWS, DELIVERIES):
        _check_most(names[0], arrays[names[0]], samples - 1)
        passes = arrays["passes"][arrays[names[0]]]
        _first(arrays[names[1]] >= passes, names[1], arrays, "a pass that its sample has")
    _check_times(arrays)
    found = np.bincount(arrays["sample"], minlength=samples)
    _first(found != arrays["spikes"], "spikes", arrays, "the number of its sample's rows")
    _check_input(arrays, inputs, samples)


def _check_lengths(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> None:
    expected = len(arrays[names[0]])
    for name in names:
        if len(arrays[name]) != expected:
            raise RecordingError(
                f"{name}: {len(arrays[name])} of them, expected {expected} as in {names[0]}"
            )


def _check_least(name: str, array: NDArray[Any], least: int) -> None:
    if array.size and array.min() < least:
        raise RecordingError(f"{name}: {array.min()}, expected from {least}")


def _check_most(name: str, array: NDArray[Any], most: int) -> None:
    if array.size and array.max() > most:
        raise RecordingError(f"{name}: {array.max()}, expected at most {most}")


def _check_order(
    arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...], strictly: str | None = None
) -> None:
    """Rows ascend by ``names``; and by ``strictly`` where those are equal."""
    tied = np.ones(max(arrays[names[0]].size - 1, 0), bool)
    falls = ~tied
    for name in names:
        change = np.sign(np.diff(arrays[name]))
        falls |= tied & (change < 0)
        tied &= change == 0
    if strictly is not None:
        falls |= tied & (np.diff(arrays[strictly]) <= 0)
    if falls.any():
        at = int(np.argmax(falls)) + 1
        raise RecordingError(f"{names[0]}[{at}]: out of order, expected rows ascending by {names}")


def _check_times(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Spikes of one pass have one time, and later passes later times."""
    _check_most("time_us", arrays["time_us"], limits.MAX_TIME_US)
    first = arrays["time_us"][:1] < 0  # False, if there is one
    passes, times = np.sign(np.diff(arrays["pass_"])), np.sign(np.diff(arrays["time_us"]))
    wrong = (np.diff(arrays["sample"]) == 0) & (passes != times)
    _first(np.concatenate((first, wrong)), "time_us", arrays, "one time to a pass, ascending")


def _check_input(arrays: Mapping[str, NDArray[Any]], inputs: int, samples: int) -> None:
    try:
        t_us, index, offsets = (arrays[name] for name in INPUT)
        trains = SpikeTrains(t_us, index, offsets, None, (inputs,))
    except SpikeFileError as error:
        raise RecordingError(f"input_{error}") from error
    if len(trains) != samples:
        raise RecordingError(
            f"input_offsets: {len(trains)} samples, expected {samples} as in number"
        )


def _first(
    wrong: NDArray[np.bool_], name: str, arrays: Mapping[str, NDArray[Any]], expected: str
) -> None:
    if wrong.any():
        at = int(np.argmax(wrong))
        raise RecordingError(f"{name}[{at}]: {arrays[name][at]}, expected {expected}")
