"""Encoders: input events from numbers such as pixels and sensor signals.

All random numbers are computed from a seed and a counter. The same values, seed and timesteps
therefore give the same events on every machine.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.engine.run_settings import check_seed
from neuroasync.core.events.event_checks import int64_array
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import as_number, check_int, must_be, shown

__all__ = ["encode_current", "encode_delta", "encode_latency", "encode_rate", "uniforms"]

_BLOCK: Final = 2**20
"""Random numbers that are drawn at a time; 8 bytes each."""
_MAX_EVENTS: Final = limits.MAX_SPIKE_FILE_BYTES // 16
"""Events of a sample, as many as a spike file can hold."""


def encode_rate(
    values: ArrayLike,
    timesteps: int,
    timestep_us: Duration,
    seed: int,
    labels: ArrayLike | None = None,
    numbers: ArrayLike | None = None,
) -> SpikeTrains:
    """Encode values by a rate code.

    In each timestep, an input spikes with a probability that equals its value.

    Args:
        values: [samples, ...], probabilities from 0 to 1.
        timesteps: Number of timesteps, from 1 to ``limits.MAX_PASSES``.
        timestep_us: Length of a timestep, µs or such as ``"1ms"``. A spike has the time at which
            its timestep starts.
        seed: 64-bit seed. Sample number i uses ``sample_seed(seed, i)``.
        labels: [samples], classes.
        numbers: [samples], numbers of the samples. Defaults to 0, 1, 2, ... The events of a sample
            depend on its number, not on its position or on the other samples.

    Returns:
        Spike trains of the shape of one sample's values.

    Raises:
        ValueError: A value is not from 0 to 1, a sample has too many events, or an argument is out
            of range.
    """
    flat, shape = _checked_values(values)
    timesteps, step_us = _checked_times(timesteps, timestep_us)
    seed, sample_numbers = check_seed(seed), _checked_numbers(numbers, len(flat))
    trains = [
        _rate_code(sample, timesteps, step_us, sample_seed(seed, number))
        for number, sample in zip(sample_numbers.tolist(), flat, strict=True)
    ]
    return SpikeTrains.from_trains(trains, shape, labels)


def encode_latency(
    values: ArrayLike, timesteps: int, timestep_us: Duration, labels: ArrayLike | None = None
) -> SpikeTrains:
    """Encode values by a latency code.

    Each input above 0 spikes once, and a larger value spikes earlier. A value of 1 spikes in the
    first timestep, and a value close to 0 in the last. An input of 0 does not spike.

    Args:
        values: [samples, ...], from 0 to 1.
        timesteps: Number of timesteps, from 1 to ``limits.MAX_PASSES``.
        timestep_us: Length of a timestep, µs or such as ``"1ms"``. A spike has the time at which
            its timestep starts.
        labels: [samples], classes.

    Returns:
        Spike trains of the shape of one sample's values.

    Raises:
        ValueError: A value is not from 0 to 1, or an argument is out of range.
    """
    flat, shape = _checked_values(values)
    timesteps, step_us = _checked_times(timesteps, timestep_us)
    sample, index = np.nonzero(flat > 0)
    timestep = np.rint((1 - flat[sample, index]) * (timesteps - 1)).astype(np.int64)
    order = np.lexsort((index, timestep, sample))
    return SpikeTrains(
        t_us=timestep[order] * step_us,
        index=index[order],
        offsets=np.searchsorted(sample, np.arange(len(flat) + 1)),
        labels=labels,
        shape=shape,
    )


def encode_current(
    values: ArrayLike,
    timesteps: int | None,
    timestep_us: Duration,
    labels: ArrayLike | None = None,
) -> SpikeTrains:
    """Encode numbers as a current: each number except 0 becomes an event that has it as its value.

    In each timestep, an input delivers weight times value. Frameworks compute the same if they get
    an image, or the frames of an array, instead of spikes.

    Args:
        values: [samples, ...], numbers that stay the same during all timesteps; or [samples,
            timesteps, ...] if ``timesteps`` is None. They are rounded to float32.
        timesteps: Number of timesteps, from 1 to ``limits.MAX_PASSES``; None if ``values`` has an
            axis for them.
        timestep_us: Length of a timestep, µs or such as ``"1ms"``. An event has the time at which
            its timestep starts.
        labels: [samples], classes.

    Returns:
        Events with values, of the shape of one sample in one timestep. A sample ends with its last
        number that is not 0; pass ``duration_us`` to decide on samples that end with zeros.

    Raises:
        ValueError: A value is not finite or above ``limits.MAX_VALUE``, there are too many events,
            or an argument is out of range.
    """
    array = _numbers("values", values)
    if array.dtype == np.bool_:
        array = array.astype(np.float32)
    needed = 2 if timesteps is not None else 3
    if array.ndim < needed:
        axes = "samples, ..." if timesteps is not None else "samples, timesteps, ..."
        raise ValueError(f"`values` must have the shape [{axes}], got {array.shape}")
    repeats = 1 if timesteps is None else timesteps
    frames = array.shape[1] if timesteps is None else 1
    shape = array.shape[needed - 1 :]
    repeats, step_us = _checked_times(repeats, timestep_us)
    _check_last_time(max(frames, repeats), step_us)
    flat = array.reshape(len(array), frames, math.prod(shape))
    sample, timestep, index = np.nonzero(flat)
    if (events := sample.size * repeats) > _MAX_EVENTS:
        requirement = f"such that there are at most {_MAX_EVENTS} events"
        raise ValueError(must_be("values", requirement, f"{events}"))
    value = flat[sample, timestep, index]
    counts = np.bincount(sample, minlength=len(array))
    if repeats > 1:  # the events of a sample, once for each timestep
        starts, counts = np.cumsum(counts) - counts, counts * repeats
        size = np.repeat(counts // repeats, counts)
        place = np.arange(events) - np.repeat(np.cumsum(counts) - counts, counts)
        at = np.repeat(starts, counts) + place % np.maximum(size, 1)
        timestep, index, value = place // np.maximum(size, 1), index[at], value[at]
    offsets = np.concatenate(([0], np.cumsum(counts)))
    return SpikeTrains(timestep * step_us, index, offsets, labels, shape, value=value)


def encode_delta(
    signals: Iterable[ArrayLike],
    threshold: float,
    timestep_us: Duration,
    labels: ArrayLike | None = None,
) -> SpikeTrains:
    """Encode signals by a delta code: an input spikes after each change by ``threshold``.

    A reference value per input starts at the first value of the signal. A change by k thresholds
    from the reference gives k events at the same time and moves the reference by k thresholds.
    With integer signals and an integer threshold, the computation is exact. Integers that would be
    rounded are refused.

    Args:
        signals: [timesteps, ...] for each sample. The number of timesteps may differ.
        threshold: Change that causes a spike, above 0, in the unit of the signals.
        timestep_us: Time between two values, µs or such as ``"1ms"``. The events of value k have
            time ``k * timestep_us``.
        labels: [samples], classes.

    Returns:
        Spike trains of shape (2, ...): polarity 0 (off) where a signal fell, 1 (on) where it rose.

    Raises:
        ValueError: There is no signal, shapes differ in more than the number of timesteps, a
            value is not finite or would be rounded, there are too many events, or an argument is
            out of range.

    Source:
        Send-on-delta: M. Miskowicz, Sensors 6(1):49-63 (2006), doi 10.3390/s6010049.
    """
    change = as_number(threshold)
    if change is None or not 0 < change < math.inf:
        raise ValueError(must_be("threshold", "a finite number above 0", shown(threshold)))
    step_us = microseconds(timestep_us, "timestep_us", 1)
    arrays = [_numbers(f"signals[{k}]", signal) for k, signal in enumerate(signals)]
    if not arrays:
        raise ValueError("`signals` must have at least one signal, got none")
    shapes = {array.shape[1:] for array in arrays if array.ndim > 1}
    if len(shapes) != 1 or not all(array.ndim > 1 and len(array) for array in arrays):
        found = sorted({array.shape for array in arrays})
        raise ValueError(
            "`signals` must be arrays [timesteps, ...] of at least one timestep that differ only "
            f"in the number of timesteps, got shapes {found!r:.80}"
        )
    if not all(np.all(np.isfinite(array)) for array in arrays):
        raise ValueError("`signals` must have finite values only")
    _check_last_time(max(map(len, arrays)), step_us)
    trains = [_deltas(f"signals[{k}]", array, change, step_us) for k, array in enumerate(arrays)]
    return SpikeTrains.from_trains(trains, (2, *shapes.pop()), labels)


def uniforms(seed: int, n: int) -> NDArray[np.float64]:
    """Return ``n`` uniform random numbers in [0, 1), f64[n], from SplitMix64 with ``seed``.

    Raises:
        ValueError: The seed is not an unsigned integer of 64 bits, or ``n`` is below 0.

    Source:
        G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators",
        OOPSLA 2014, doi 10.1145/2660193.2660195.
    """
    return _uniforms(check_seed(seed), 0, check_int("n", n, 0, 2**53, ValueError))


def _uniforms(seed: int, first: int, n: int) -> NDArray[np.float64]:
    """Return ``n`` numbers of the sequence of :func:`uniforms`, from position ``first`` on."""
    counter = np.arange(first + 1, first + n + 1, dtype=np.uint64)
    z = np.uint64(seed) + counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    # A float64 holds 53 bits exactly, so the lowest 11 bits are dropped.
    return (z >> np.uint64(11)).astype(np.float64) / 2**53


def _rate_code(
    sample: NDArray[np.float64], timesteps: int, timestep_us: int, seed: int
) -> SpikeTrain:
    """Return the rate code of one sample, f64[inputs]."""
    # Blocks of timesteps keep the random numbers of a long sample out of memory.
    block = max(1, _BLOCK // max(1, sample.size))
    times, indices = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    events = 0
    for first in range(0, timesteps, block):
        steps = min(block, timesteps - first)
        random = _uniforms(seed, first * sample.size, steps * sample.size)
        timestep, index = np.nonzero(random.reshape(steps, sample.size) < sample)
        if (events := events + index.size) > _MAX_EVENTS:
            requirement = f"such that a sample has at most {_MAX_EVENTS} events"
            raise ValueError(must_be("values", requirement, "more"))
        times.append((first + timestep) * timestep_us)
        indices.append(index)
    return SpikeTrain(np.concatenate(times), np.concatenate(indices))


def _deltas(
    path: str, signal: NDArray[np.generic], threshold: float, timestep_us: int
) -> SpikeTrain:
    """Return the delta code of one signal, [timesteps, ...]."""
    # Integers are computed as integers, because rounding could move a spike by a timestep.
    is_integer = signal.dtype.kind in "biu"
    whole = is_integer and float(threshold).is_integer() and threshold < 2**62
    if is_integer:
        # The differences of integers must fit into int64, too.
        largest = 2**62 - 1 if whole else 2**53
        if int(signal.max(initial=0)) > largest or int(signal.min(initial=0)) < -largest:
            requirement = f"integers from {-largest} to {largest} with this threshold"
            raise ValueError(must_be(path, requirement, "others, which would be rounded"))
    values = signal.reshape(len(signal), -1).astype(np.int64 if whole else np.float64)
    step = np.asarray(threshold).astype(values.dtype)
    reference, crossings = values[0].copy(), np.zeros_like(values)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(1, len(values)):
            change = values[k] - reference
            crossed = np.sign(change) * (np.abs(change) // step)
            reference += crossed * step
            crossings[k] = crossed
    events = np.abs(crossings).sum(dtype=np.float64)
    if not events <= _MAX_EVENTS:  # True for NaN
        raise ValueError(
            f"`{path}` must give at most {_MAX_EVENTS} events, got more; use a higher `threshold`"
        )
    return _crossing_events(crossings.astype(np.int64), timestep_us)


def _crossing_events(crossings: NDArray[np.int64], timestep_us: int) -> SpikeTrain:
    """Return an event for each crossing of a threshold, i64[timesteps, inputs]."""
    counts = np.stack([np.maximum(-crossings, 0), np.maximum(crossings, 0)], axis=1)
    counts = counts.reshape(len(crossings), -1)
    timestep, index = np.nonzero(counts)
    repeats = counts[timestep, index]
    return SpikeTrain(np.repeat(timestep * timestep_us, repeats), np.repeat(index, repeats))


def _checked_times(timesteps: int, timestep_us: Duration) -> tuple[int, int]:
    """Return the number of timesteps and their length in µs."""
    timesteps = check_int("timesteps", timesteps, 1, limits.MAX_PASSES, ValueError)
    step_us = microseconds(timestep_us, "timestep_us", 1)
    _check_last_time(timesteps, step_us)
    return timesteps, step_us


def _check_last_time(timesteps: int, timestep_us: int) -> None:
    """Raise ValueError if the last timestep is too late for a spike train."""
    if (last_us := (timesteps - 1) * timestep_us) > limits.MAX_TIME_US:
        requirement = f"short enough that {timesteps} timesteps end before {limits.MAX_TIME_US} µs"
        raise ValueError(must_be("timestep_us", requirement, f"{timestep_us}: {last_us} µs"))


def _checked_numbers(numbers: ArrayLike | None, samples: int) -> NDArray[np.int64]:
    """Return the numbers of the samples; by default 0, 1, 2, ..."""
    if numbers is None:
        return np.arange(samples)
    array = int64_array("numbers", numbers, ValueError)
    if array.shape != (samples,):
        raise ValueError(f"`numbers` must have the shape ({samples},), got {array.shape}")
    if array.min(initial=0) < 0:
        at = int(np.argmax(array < 0))
        raise ValueError(must_be(f"numbers[{at}]", "at least 0", str(array[at])))
    return array


def _checked_values(values: ArrayLike) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Return the values as f64[samples, inputs], and the shape of one sample."""
    array = _numbers("values", values).astype(np.float64)
    if array.ndim < 2:
        raise ValueError(f"`values` must have the shape [samples, ...], got {array.shape}")
    in_range = (array >= 0) & (array <= 1)  # False for NaN
    if not np.all(in_range):
        raise ValueError(f"`values` must be from 0 to 1, got {array[~in_range][0]}")
    # With no samples, numpy cannot infer the number of inputs from -1.
    return array.reshape(len(array), math.prod(array.shape[1:])), array.shape[1:]


def _numbers(field: str, values: ArrayLike) -> NDArray[Any]:
    """Return ``values`` as an array of numbers."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # lists of different lengths
        raise ValueError(must_be(field, "an array of numbers", shown(values))) from error
    if np.ma.is_masked(values):
        raise ValueError(must_be(field, "an array without masked values", "a masked array"))
    if array.dtype.kind not in "biuf":
        raise ValueError(must_be(field, "an array of numbers", f"an array of {array.dtype}"))
    return array
