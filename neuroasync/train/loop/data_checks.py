"""Checks of the samples of a training, made before it starts."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import VoteWindow
from neuroasync.core.model.checks import must_be
from neuroasync.core.model.model import Model
from neuroasync.core.quantity import quantity
from neuroasync.errors import LimitError
from neuroasync.train.config import TrainConfig

__all__ = ["check_labels_over_time", "check_samples", "check_shift"]

_MANY_PASSES: Final = 10_000
_MAX_RATIO: Final = 1000
"""A sample with more than ``_MANY_PASSES`` passes, and more than this many times those of half of
the samples, has a stray event."""


def check_samples(name: str, trains: SpikeTrains, model: Model, config: TrainConfig) -> None:
    """Check that a network can be trained or validated with these samples.

    Args:
        name: Name of the argument, for errors.
        trains: The samples.
        model: The network.
        config: Configuration of the training.

    Raises:
        ValueError: Labels are missing, or the output population cannot vote for one; the samples
            have more inputs than the network; no sample has an event; or a sample is very much
            longer than the others.
        LimitError: A sample has more than ``limits.MAX_PASSES`` passes.
    """
    duration_us = config.duration_us
    if math.prod(trains.shape) > model.input_size:
        inputs = quantity(model.input_size, "input")
        requirement = f"samples with at most {inputs}, as the network has"
        raise ValueError(must_be(name, requirement, f"the input shape {trains.shape}"))
    if trains.labels_over_time is not None and config.vote_window is not None:
        check_labels_over_time(name, trains.labels_over_time, model, config.vote_window)
    else:
        _check_labels(name, trains, model, config)
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
        if trains.labels_over_time is not None:
            # Labels decide how long a sample lasts, even if it is silent.
            last_us = trains.labels_over_time.durations_us - 1
            used = np.arange(len(trains))
        elif duration_us is None:
            last_us = trains.t_us[ends[used] - 1]
        has_intervals = trains.labels_over_time is not None
        _check_passes(name, used, last_us, last_us // model.timestep_us + 1, has_intervals)


def check_shift(shift: int, train: SpikeTrains) -> None:
    """Raise ValueError if the training samples have too few axes to be shifted."""
    if shift and len(train.shape) < 2:
        requirement = "0 for samples with one axis, because shifts are along the last two axes"
        raise ValueError(must_be("shift", requirement, str(shift)))


def check_labels_over_time(
    name: str, labels: LabelsOverTime, model: Model, window: VoteWindow
) -> None:
    """Check that a network can learn labels over time.

    Args:
        name: Name of the argument that has the labels, for errors.
        labels: The labels.
        model: The network.
        window: The vote window.

    Raises:
        ValueError: No interval has a class, or the output population cannot vote for one; or the
            intervals, the timestep and the vote window do not fit each other.
    """
    classes = model.populations[model.index(model.output)].size
    if labels.labels.max(initial=-1) < 0:
        raise ValueError(f"`{name}` must have at least one interval with a class")
    if labels.labels.max() >= classes:
        at = int(np.argmax(labels.labels))
        raise ValueError(
            f"`{name}.labels_over_time.labels[{at}]` must be from -1 to {classes - 1}, because the "
            f"output population {model.output!r} has {classes} neurons, got {labels.labels[at]}"
        )
    timestep_us = model.timestep_us
    if not timestep_us or labels.every_us % timestep_us:
        found = f"{timestep_us} µs" if timestep_us else "none"
        raise ValueError(
            f"the network must have a timestep that divides the interval of the labels, "
            f"{labels.every_us} µs, got {found}"
        )
    if window.duration_us % labels.every_us:
        requirement = f"a multiple of the interval of the labels, {labels.every_us} µs"
        raise ValueError(must_be("vote_window_us", requirement, str(window.duration_us)))


def _check_labels(name: str, trains: SpikeTrains, model: Model, config: TrainConfig) -> None:
    if trains.labels_over_time is not None:
        requirement = "'windowed' for samples with labels over time"
        raise ValueError(must_be("loss", requirement, repr(config.loss)))
    if config.vote_window is not None:
        raise ValueError(must_be(name, "samples with labels over time for `loss='windowed'`",
                                 "samples without them"))  # fmt: skip
    classes = model.populations[model.index(model.output)].size
    if trains.labels is None or not len(trains):
        raise ValueError(f"`{name}` must have at least one sample, and labels")
    if trains.labels.max() >= classes:
        at = int(np.argmax(trains.labels))
        raise ValueError(
            f"`{name}.labels[{at}]` must be from 0 to {classes - 1}, because the output population "
            f"{model.output!r} has {classes} neurons, got {trains.labels[at]}"
        )


def _check_passes(
    name: str,
    samples: NDArray[np.int64],
    last_us: NDArray[np.int64],
    passes: NDArray[np.int64],
    has_intervals: bool,
) -> None:
    """Check the number of passes of each of ``samples``, which last until ``last_us``.

    Labels over time decide how long samples last; otherwise, events or ``duration_us`` do.
    """
    at = int(np.argmax(passes))
    longest, usual = int(passes[at]), int(np.sort(passes)[(passes.size - 1) // 2])
    found = f"`{name}[{samples[at]}]` has {longest} passes, because it lasts until {last_us[at]} µs"
    if longest > limits.MAX_PASSES:
        shorter = "shorter samples" if has_intervals else "a shorter duration_us"
        raise LimitError(
            f"{found}, but the limit is {limits.MAX_PASSES}; use a longer timestep or {shorter}"
        )
    if longest > max(_MANY_PASSES, _MAX_RATIO * usual):
        remedy = "remove its stray events, or set `duration_us` to end every sample earlier"
        if has_intervals:
            remedy = "split it into shorter samples"
        raise ValueError(f"{found}, but half of the samples have at most {usual}; {remedy}")
