"""Reference samples as frames for a framework and as input events for a network."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.model.checks import check_int, must_be
from neuroasync.encoders import encode_current
from neuroasync.errors import EventsError

__all__ = ["ReferenceSamples", "frames_of"]

_MAX_SPIKES: Final = limits.MAX_SPIKE_FILE_BYTES // 16
"""Spikes of an array, as many as a spike file can hold."""


class ReferenceSamples:
    """Samples in bins of one timestep.

    Args:
        given: Input events; or numbers, [samples, timesteps, *input_shape], or [samples,
            *input_shape] if they stay the same during all ``timesteps``. Numbers 0, 1, 2, ... are
            numbers of spikes. If there are others, all are the values of input events.
        timestep_us: Duration of a timestep, µs.
        timesteps: Number of timesteps of each sample. Defaults to that of the array, or to the bin
            of the last event of all spike trains.
        shape: Shape of the input. Defaults to that of ``given``.
        name: Name of the argument ``given`` in errors.

    Attributes:
        trains: The samples as spike trains.
        shape: Shape of the input.
        timesteps: Number of timesteps of each sample.

    Raises:
        EventsError: The array has numbers that are not finite or too large, or no samples; or an
            event is too late.
        ValueError: An event comes after ``timesteps``.
    """

    def __init__(
        self,
        given: SpikeTrains | NDArray[Any],
        timestep_us: int,
        timesteps: int | None = None,
        shape: tuple[int, ...] | None = None,
        name: str = "reference",
    ) -> None:
        self._timestep_us = timestep_us
        if not isinstance(given, SpikeTrains):
            given, counted = _trains_of(name, given, timestep_us, timesteps, shape)
            timesteps = counted if timesteps is None else timesteps
        self.trains = given
        last = int(given.t_us.max(initial=-1)) // timestep_us + 1
        if last > limits.MAX_PASSES:
            raise EventsError(
                f"`{name}` must have at most {limits.MAX_PASSES} timesteps, got an event in "
                f"timestep {last}; if the times are ns, divide them by 1000"
            )
        self.timesteps = max(last, 1) if timesteps is None else timesteps
        if last > self.timesteps:
            raise ValueError(
                must_be("timesteps", f"at least {last}, for the last event", str(timesteps))
            )
        if not len(given):
            raise EventsError(f"`{name}` must have at least one sample, got none")
        self.shape = given.shape if shape is None else shape
        if math.prod(self.shape) != math.prod(given.shape):
            raise EventsError(
                f"`{name}` must have an input of shape {self.shape}, got {given.shape}"
            )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.trains)

    def frames(self, samples: range) -> NDArray[np.float32]:
        """Return the input of some samples, f32[samples, timesteps, *shape]: values or counts."""
        size = math.prod(self.shape)
        frames = np.zeros((len(samples), self.timesteps, size), np.float32)
        for row, k in enumerate(samples):
            train: SpikeTrain = self.trains[k]
            value = 1 if train.value is None else train.value
            np.add.at(frames[row], (train.t_us // self._timestep_us, train.index), value)
        return frames.reshape(len(samples), self.timesteps, *self.shape)


def frames_of(
    samples: SpikeTrains, timestep_us: Duration, timesteps: int | None = None
) -> NDArray[np.float32]:
    r"""Return spike trains as frames: the spikes, or the sum of the values, of each input and step.

    Args:
        samples: At least one sample.
        timestep_us: Duration of a timestep, µs or such as ``"1ms"``.
        timesteps: Number of timesteps. Defaults to that of the last event of all samples.

    Returns:
        f32[samples, timesteps, \*shape].

    Raises:
        EventsError: There are no samples, or an event is too late.
        ValueError: An event comes after ``timesteps``, or an argument is out of range.
    """
    step_us = microseconds(timestep_us, "timestep_us", at_least=1)
    if timesteps is not None:
        timesteps = check_int("timesteps", timesteps, 1, limits.MAX_PASSES, ValueError)
    binned = ReferenceSamples(samples, step_us, timesteps, name="samples")
    return binned.frames(range(len(samples)))


def _trains_of(
    name: str,
    given: Any,
    timestep_us: int,
    timesteps: int | None,
    shape: tuple[int, ...] | None,
) -> tuple[SpikeTrains, int]:
    """Return an array of frames, or of constant input, as events, and its number of timesteps."""
    array = np.asarray(given)
    is_constant = timesteps is not None and (
        array.ndim == 2 or (shape is not None and array.shape[1:] == tuple(shape))
    )
    if array.ndim < (2 if is_constant else 3) or array.dtype.kind not in "biuf":
        requirement = (
            "SpikeTrains, an array [samples, timesteps, *input_shape], or with `timesteps` and "
            "`input_shape` an array [samples, *input_shape]"
        )
        raise EventsError(must_be(name, requirement, f"{array.dtype} of shape {array.shape}"))
    if not array.size:
        raise EventsError(
            f"`{name}` must have at least one sample, timestep and input, got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise EventsError(f"`{name}` must have finite values only")
    constant_for = timesteps if is_constant else None
    if (array < 0).any() or (array != np.rint(array)).any():
        trains = encode_current(array, constant_for, timestep_us)
        return trains, array.shape[1] if constant_for is None else constant_for
    spikes = float(array.sum(dtype=np.float64)) * (constant_for or 1)
    if spikes > _MAX_SPIKES:
        raise EventsError(
            f"`{name}` must have at most {_MAX_SPIKES} spikes, got {spikes:.0f}; whole numbers "
            "are numbers of spikes, so divide values such as those of pixels by their largest value"
        )
    if constant_for is not None:
        array = np.repeat(array[:, None], constant_for, axis=1)
    return _spikes_of(array.astype(np.int64), timestep_us), array.shape[1]


def _spikes_of(counts: NDArray[np.int64], timestep_us: int) -> SpikeTrains:
    """Return numbers of spikes, i64[samples, timesteps, *shape], as spike trains."""
    samples = len(counts)
    flat = counts.reshape(samples, counts.shape[1], -1)
    sample, timestep, index = np.nonzero(flat)
    times = flat[sample, timestep, index]
    sample, timestep, index = (np.repeat(a, times) for a in (sample, timestep, index))
    offsets = np.concatenate(([0], np.cumsum(np.bincount(sample, minlength=samples))))
    return SpikeTrains(timestep * timestep_us, index, offsets, None, counts.shape[2:])
