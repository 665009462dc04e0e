"""Encoders: spike trains from values such as pixels and sensor signals.

All random numbers are computed from a seed and a counter. The same values, seed and timesteps
therefore give the same events on every machine.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.engine.run_settings import check_seed
from neuroasync.core.events.event_checks import int64_array
from neuroasync.core.events.spike_train import SpikeTrain, SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import as_number, check_int, must_be, shown

__all__ = ["encode_delta", "encode_latency", "encode_rate", "uniforms"]


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
        timesteps: Number of timesteps, at least 1.
        timestep_us: Length of a timestep, µs or such as ``"1ms"``. A spike has the time at which
            its timestep starts.
        seed: 64-bit seed. Sample number i uses ``sample_seed(seed, i)``.
        labels: [samples], classes.
        numbers: [samples], numbers of the samples. Defaults to 0, 1, 2, ... The events of a sample
            depend on its number, not on its position or on the other samples.

    Returns:
        Spike trains of the shape of one sample's values.

    Raises:
        ValueError: A value is not from 0 to 1, or an argument is out of range.
    """
    flat, shape = _checked_values(values)
    timesteps = check_int("timesteps", timesteps, 1, 2**53, ValueError)
    step_us, seed = microseconds(timestep_us, "timestep_us", 1), check_seed(seed)
    sample_numbers = np.arange(len(flat))
    if numbers is not None:
        sample_numbers = int64_array("numbers", numbers, ValueError)
    if sample_numbers.shape != (len(flat),):
        raise ValueError(
            f"`numbers` must have the shape ({len(flat)},), got {sample_numbers.shape}"
        )
    fires = np.empty((len(flat), timesteps, flat.shape[1]), bool)
    for i, (number, sample) in enumerate(zip(sample_numbers.tolist(), flat, strict=True)):
        random = uniforms(sample_seed(seed, number), timesteps * sample.size)
        fires[i] = random.reshape(timesteps, -1) < sample
    return _from_frames(fires, step_us, shape, labels)


def encode_latency(
    values: ArrayLike, timesteps: int, timestep_us: Duration, labels: ArrayLike | None = None
) -> SpikeTrains:
    """Encode values by a latency code.

    Each input above 0 spikes once, and a larger value spikes earlier. A value of 1 spikes in the
    first timestep, and a value close to 0 in the last. An input of 0 does not spike.

    Args:
        values: [samples, ...], from 0 to 1.
        timesteps: Number of timesteps, at least 1.
        timestep_us: Length of a timestep, µs or such as ``"1ms"``. A spike has the time at which
            its timestep starts.
        labels: [samples], classes.

    Returns:
        Spike trains of the shape of one sample's values.

    Raises:
        ValueError: A value is not from 0 to 1, or an argument is out of range.
    """
    flat, shape = _checked_values(values)
    timesteps = check_int("timesteps", timesteps, 1, 2**53, ValueError)
    step_us = microseconds(timestep_us, "timestep_us", 1)
    spike_timestep = np.rint((1 - flat) * (timesteps - 1)).astype(np.int64)
    fires = (spike_timestep[:, None, :] == np.arange(timesteps)[:, None]) & (flat[:, None, :] > 0)
    return _from_frames(fires, step_us, shape, labels)


def encode_delta(
    signals: Iterable[ArrayLike],
    threshold: float,
    timestep_us: Duration,
    labels: ArrayLike | None = None,
) -> SpikeTrains:
    """Encode signals by a delta code: an input spikes after each change by ``threshold``.

    A reference value per input starts at the first value of the signal. A change by k thresholds
    from the reference gives k events at the same time and moves the reference by k thresholds.
    With integer signals and an integer threshold, the computation is exact.

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
            value is not finite, or an argument is out of range.

    Source:
        Send-on-delta: M. Miskowicz, Sensors 6(1):49-63 (2006), doi 10.3390/s6010049.
    """
    change = as_number(threshold)
    if change is None or not 0 < change < math.inf:
        raise ValueError(must_be("threshold", "a finite number above 0", shown(threshold)))
    step_us = microseconds(timestep_us, "timestep_us", 1)
    arrays = [_numbers(f"signals[{k}]", signal) for k, signal in enumerate(signals)]
    shapes = {array.shape[1:] for array in arrays if array.ndim > 1}
    if len(shapes) != 1 or not all(array.ndim > 1 and len(array) for array in arrays):
        found = sorted({array.shape for array in arrays})
        raise ValueError(
            "`signals` must be arrays [timesteps, ...] that differ only in the number of "
            f"timesteps, got shapes {found!r:.80}"
        )
    if not all(np.all(np.isfinite(array)) for array in arrays):
        raise ValueError("`signals` must have finite values only")
    trains = [_deltas(array, change, step_us) for array in arrays]
    return SpikeTrains.from_trains(trains, (2, *shapes.pop()), labels)


def uniforms(seed: int, n: int) -> NDArray[np.float64]:
    """Return ``n`` uniform random numbers in [0, 1), f64[n], from SplitMix64 with ``seed``.

    Raises:
        ValueError: The seed is not an unsigned integer of 64 bits, or ``n`` is below 0.

    Source:
        G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators",
        OOPSLA 2014, doi 10.1145/2660193.2660195.
    """
    seed, n = check_seed(seed), check_int("n", n, 0, 2**53, ValueError)
    counter = np.arange(1, n + 1, dtype=np.uint64)
    z = np.uint64(seed) + counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    # A float64 holds 53 bits exactly, so the lowest 11 bits are dropped.
    return (z >> np.uint64(11)).astype(np.float64) / 2**53


def _deltas(signal: NDArray[np.generic], threshold: float, timestep_us: int) -> SpikeTrain:
    """Return the delta code of one signal, [timesteps, ...]."""
    # Integers are computed as integers, because rounding could move a spike by a timestep. Their
    # differences must fit into int64, too.
    whole = signal.dtype.kind in "biu" and float(threshold).is_integer() and threshold < 2**62
    whole = whole and signal.min(initial=0) > -(2**62) and signal.max(initial=0) < 2**62
    values = signal.reshape(len(signal), -1).astype(np.int64 if whole else np.float64)
    step = np.asarray(threshold).astype(values.dtype)
    reference, crossings = values[0].copy(), np.zeros(values.shape, np.int64)
    for k in range(1, len(values)):
        change = values[k] - reference
        crossed = np.sign(change) * (np.abs(change) // step)
        reference += crossed * step
        crossings[k] = crossed
    counts = np.stack([np.maximum(-crossings, 0), np.maximum(crossings, 0)], axis=1)
    counts = counts.reshape(len(values), -1)
    timestep, index = np.nonzero(counts)
    repeats = counts[timestep, index]
    return SpikeTrain(np.repeat(timestep * timestep_us, repeats), np.repeat(index, repeats))


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
    if array.dtype.kind not in "biuf":
        raise ValueError(must_be(field, "an array of numbers", f"an array of {array.dtype}"))
    return array


def _from_frames(
    fires: NDArray[np.bool_],
    timestep_us: int,
    shape: tuple[int, ...],
    labels: ArrayLike | None,
) -> SpikeTrains:
    """Return the spike trains of ``fires``, bool[samples, timesteps, inputs]."""
    sample, timestep, index = np.nonzero(fires)
    offsets = np.searchsorted(sample, np.arange(len(fires) + 1))
    return SpikeTrains(
        t_us=timestep * timestep_us,
        index=index,
        offsets=offsets,
        labels=labels,
        shape=shape,
    )
