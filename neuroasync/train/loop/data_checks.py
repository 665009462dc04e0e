"""Checks of the samples of a training, made before it starts."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.spike_train import SpikeTrains
from neuroasync.core.model.model import Model
from neuroasync.errors import LimitError

__all__ = ["check_samples"]

_MANY_PASSES: Final = 10_000
_MAX_RATIO: Final = 1000
"""A sample with more than ``_MANY_PASSES`` passes, and more than this many times those of half of
the samples, has a stray event."""


def check_samples(name: str, trains: SpikeTrains, model: Model, duration_us: int | None) -> None:
    """Check that a network can be trained or validated with these samples.

    Args:
        name: Name of the argument, for errors.
        trains: The samples.
        model: The network.
        duration_us: End of every sample, µs, or None.

    Raises:
        ValueError: Labels are missing, or the output population cannot vote for one; no sample
            has an event; or a sample is very much longer than the others.
        LimitError: A sample has more than ``limits.MAX_PASSES`` passes.
    """
    _check_labels(name, trains, model)
    begins, ends = trains.offsets[:-1], trains.offsets[1:]
    used = np.flatnonzero(begins < ends)
    if duration_us is not None:
        used = used[trains.t_us[begins[used]] < duration_us]
    if not used.size:
        before = "" if duration_us is None else f" before `duration_us` ({duration_us})"
        raise ValueError(
            f"`{name}` must have at least one event{before}, because nothing can be learned from "
            "silence"
        )
    if model.timestep_us:
        last_us = np.full(used.size, (duration_us or 0) - 1)
        if duration_us is None:
            last_us = trains.t_us[ends[used] - 1]
        _check_passes(name, used, last_us, last_us // model.timestep_us + 1)


def _check_labels(name: str, trains: SpikeTrains, model: Model) -> None:
    classes = model.populations[model.index(model.output)].size
    if trains.labels is None or not len(trains):
        raise ValueError(f"`{name}` must have at least one sample, and labels")
    if trains.labels.max() >= classes:
        at = int(np.argmax(trains.labels))
        raise ValueError(
            f"{name}.labels[{at}] must be from 0 to {classes - 1}, because the output population "
            f"{model.output!r} has {classes} neurons, got {trains.labels[at]}"
        )


def _check_passes(
    name: str,
    samples: NDArray[np.int64],
    last_us: NDArray[np.int64],
    passes: NDArray[np.int64],
) -> None:
    """Check the number of passes of each of ``samples``, which last until ``last_us``."""
    at = int(np.argmax(passes))
    longest, usual = int(passes[at]), int(np.sort(passes)[(passes.size - 1) // 2])
    found = f"`{name}[{samples[at]}]` has {longest} passes, because it lasts until {last_us[at]} µs"
    if longest > limits.MAX_PASSES:
        raise LimitError(
            f"{found}, but the limit is {limits.MAX_PASSES}; use a longer timestep or a shorter "
            "duration_us"
        )
    if longest > max(_MANY_PASSES, _MAX_RATIO * usual):
        raise ValueError(
            f"{found}, but half of the samples have at most {usual}; remove its stray events, or "
            "set `duration_us` to end every sample earlier"
        )
