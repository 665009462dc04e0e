"""Validation of recordings: each array by itself, and all arrays against each other."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.immutable import immutable
from neuroasync.core.model.checks import at_path, must_be
from neuroasync.errors import EventsError, RecordingError

__all__ = [
    "DELIVERY_ARRAYS",
    "INPUT_ARRAYS",
    "SAMPLE_ARRAYS",
    "SPIKE_ARRAYS",
    "TURN_ARRAY",
    "VALUE_ARRAYS",
    "check_recording",
    "read_only",
]

SPIKE_ARRAYS: Final = ("sample", "pass_", "step", "time_us", "neuron")
"""The arrays with one element per spike."""

DELIVERY_ARRAYS: Final = (
    "delivered_sample",
    "delivered_pass",
    "delivered_step",
    "delivered_neuron",
    "delivered_origin",
    "delivered_count",
    "delivered_connection",
)
"""The arrays with one element per delivery."""

SAMPLE_ARRAYS: Final = (
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
"""The i64 arrays with one element per sample; ``votes``, ``seed`` and ``stopped`` differ in type or
shape."""

INPUT_ARRAYS: Final = ("input_t_us", "input_index", "input_offsets")
"""The arrays of the input events."""

VALUE_ARRAYS: Final = ("input_value", "delivered_value")
"""The f32 arrays that a recording has if its input events have values."""

TURN_ARRAY: Final = "after_silent_turn"
"""The bool array with one element per spike that a recording under layer-sync has."""

_MINIMA: Final = {"label": -1, "target": -1, "duration_us": -1, "delivered_connection": -1}
"""Minimum of the values of an array; 0 for all arrays that are not listed."""


def read_only(name: str, values: object, dtype: type[np.generic], ndim: int = 1) -> NDArray[Any]:
    """Return ``values`` as a contiguous read-only array; nothing is rounded.

    Raises:
        RecordingError: the values are not integers in ``ndim`` dimensions, or do not fit ``dtype``;
            or for float32, they are not finite numbers of this type.
    """
    array = np.asarray(values)
    if dtype is np.float32:
        if array.ndim != ndim or array.dtype != np.float32 or not np.isfinite(array).all():
            got = f"{array.dtype} of shape {array.shape}"
            raise RecordingError(must_be(name, f"{ndim}-dimensional finite float32", got))
        return immutable(array, np.float32)
    if array.ndim != ndim or array.dtype.kind not in "iub":
        got = f"{array.dtype} of shape {array.shape}"
        raise RecordingError(must_be(name, f"{ndim}-dimensional integers", got))
    bounds = (0, 1) if dtype is np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)  # type: ignore[type-var]
    if array.size and not bounds[0] <= int(array.min()) <= int(array.max()) <= bounds[1]:
        raise RecordingError(f"`{name}` must be integers from {bounds[0]} to {bounds[1]}")
    return immutable(array, dtype)


def check_recording(
    arrays: Mapping[str, NDArray[Any]], neurons: int, inputs: int, classes: int, has_turns: bool
) -> None:
    """Check that the arrays of a recording fit each other.

    Args:
        arrays: arrays by name, each of the right type.
        neurons: number of neurons of the network.
        inputs: size of the network's input.
        classes: number of neurons of the output population.
        has_turns: whether populations had turns (layer-sync).

    Raises:
        RecordingError: they do not. The message names the array.
    """
    for names in (SPIKE_ARRAYS, DELIVERY_ARRAYS, (*SAMPLE_ARRAYS, "votes", "seed", "stopped")):
        _check_lengths(arrays, names)
    _check_values(arrays)
    for name in (*SPIKE_ARRAYS, *DELIVERY_ARRAYS, *SAMPLE_ARRAYS, "votes"):
        _check_min(name, arrays[name], _MINIMA.get(name, 0))
    samples = arrays["number"].size
    if (columns := arrays["votes"].shape[1]) != classes:
        requirement = f"an array of {classes} columns, one per output neuron"
        raise RecordingError(must_be("votes", requirement, f"{columns}"))
    _check_max("label", arrays["label"], classes - 1)
    _check_max("passes", arrays["passes"], limits.MAX_PASSES)
    _check_max("duration_us", arrays["duration_us"], limits.MAX_TIME_US)
    _check_max("neuron", arrays["neuron"], neurons - 1)
    _check_max("delivered_origin", arrays["delivered_origin"], neurons + inputs - 1)
    _check_order(arrays, SPIKE_ARRAYS[:3], strict="neuron")
    _check_order(arrays, DELIVERY_ARRAYS[:3])
    _check_turns(arrays, has_turns)
    for sample, pass_, *_ in (SPIKE_ARRAYS, DELIVERY_ARRAYS):
        _check_max(sample, arrays[sample], samples - 1)
        passes = arrays["passes"][arrays[sample]]
        _check_none(arrays[pass_] >= passes, pass_, arrays, "a pass of its sample")
    _check_times(arrays)
    spikes = np.bincount(arrays["sample"], minlength=samples)
    _check_none(spikes != arrays["spikes"], "spikes", arrays, "the number of its sample's spikes")
    _check_input(arrays, inputs, samples)


def _check_lengths(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> None:
    expected = len(arrays[names[0]])
    for name in names:
        if len(arrays[name]) != expected:
            requirement = f"of the same length as `{names[0]}` ({expected})"
            raise RecordingError(must_be(name, requirement, f"length {len(arrays[name])}"))


def _check_values(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that there are values of both input events and deliveries, or of neither."""
    present = [name for name in VALUE_ARRAYS if name in arrays]
    if len(present) == 1:
        missing = next(name for name in VALUE_ARRAYS if name not in arrays)
        raise RecordingError(f"`{missing}` is missing, but `{present[0]}` is present")
    if present:
        _check_lengths(arrays, ("delivered_count", "delivered_value"))
        _check_lengths(arrays, ("input_index", "input_value"))


def _check_turns(arrays: Mapping[str, NDArray[Any]], has_turns: bool) -> None:
    """Check that all spikes of a step follow a silent turn, or none: they have the same turn."""
    if TURN_ARRAY not in arrays:
        return
    if not has_turns:
        raise RecordingError(f"`{TURN_ARRAY}` is for recordings under layer-sync only")
    _check_lengths(arrays, ("sample", TURN_ARRAY))
    is_same_step = np.ones(max(arrays["sample"].size - 1, 0), bool)
    for name in SPIKE_ARRAYS[:3]:
        is_same_step &= np.diff(arrays[name]) == 0
    wrong = np.zeros(arrays["sample"].size, bool)
    wrong[1:] = is_same_step & np.diff(arrays[TURN_ARRAY])
    _check_none(wrong, TURN_ARRAY, arrays, "equal for all spikes of a step")


def _check_min(name: str, array: NDArray[Any], minimum: int) -> None:
    if array.size and array.min() < minimum:
        raise RecordingError(must_be(name, f"at least {minimum}", str(array.min())))


def _check_max(name: str, array: NDArray[Any], maximum: int) -> None:
    if array.size and array.max() > maximum:
        raise RecordingError(must_be(name, f"at most {maximum}", str(array.max())))


def _check_order(
    arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...], strict: str | None = None
) -> None:
    """Check that rows ascend by ``names``, and strictly by ``strict`` where these are equal."""
    tied = np.ones(max(arrays[names[0]].size - 1, 0), bool)
    falls = ~tied
    for name in names:
        change = np.sign(np.diff(arrays[name]))
        falls |= tied & (change < 0)
        tied &= change == 0
    if strict is not None:
        falls |= tied & (np.diff(arrays[strict]) <= 0)
    if falls.any():
        at = int(np.argmax(falls)) + 1
        order = ", ".join(names if strict is None else (*names, strict))
        raise RecordingError(f"`{names[0]}[{at}]` is out of order; rows must ascend by {order}")


def _check_times(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that the spikes of a pass have the same time, and those of later passes a later one."""
    _check_max("time_us", arrays["time_us"], limits.MAX_TIME_US)
    first = np.zeros(min(arrays["time_us"].size, 1), bool)  # the first row has none before it
    passes, times = np.sign(np.diff(arrays["pass_"])), np.sign(np.diff(arrays["time_us"]))
    wrong = (np.diff(arrays["sample"]) == 0) & (passes != times)
    requirement = "equal within a pass and ascending from pass to pass"
    _check_none(np.concatenate((first, wrong)), "time_us", arrays, requirement)


def _check_input(arrays: Mapping[str, NDArray[Any]], inputs: int, samples: int) -> None:
    try:
        t_us, index, offsets = (arrays[name] for name in INPUT_ARRAYS)
        value = arrays.get("input_value")
        trains = SpikeTrains(t_us, index, offsets, None, (inputs,), value=value)
    except EventsError as error:
        raise RecordingError(at_path("input_", str(error))) from error
    if len(trains) != samples:
        requirement = f"of length {samples + 1}, one more than `number`"
        raise RecordingError(must_be("input_offsets", requirement, f"length {len(trains) + 1}"))


def _check_none(
    wrong: NDArray[np.bool_], name: str, arrays: Mapping[str, NDArray[Any]], requirement: str
) -> None:
    """Raise an error about the first element of array ``name`` that is ``wrong``, if any."""
    if wrong.any():
        at = int(np.argmax(wrong))
        raise RecordingError(must_be(f"{name}[{at}]", requirement, str(arrays[name][at])))
