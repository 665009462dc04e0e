"""Encoders: spike trains from values that are not events yet.

Random numbers are computed from a counter, not drawn: the same values, seed and timesteps give
the same events everywhere.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.events.spike_train import SpikeTrain, SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed

__all__ = ["encode_delta", "encode_latency", "encode_rate", "uniforms"]


def encode_rate(
    values: ArrayLike,
    timesteps: int,
    timestep_us: int,
    seed: int,
    labels: ArrayLike | None = None,
    numbers: ArrayLike | None = None,
) -> SpikeTrains:
    """Rate code: in each timestep an input spikes with the probability that its value is.

    Args:
        values: [samples, ...], probabilities in 0..1.
        timesteps: how many.
        timestep_us: length of one, µs; a spike stands at its timestep's start.
        seed: 64 bits; sample number i draws from ``sample_seed(seed, i)``.
        labels: [samples], classes.
        numbers: [samples], the samples' numbers; from 0 if None. A sample with the same number
            gets the same events, whichever others are encoded with it.

    Raises:
        ValueError: a value is not in 0..1, or an argument is out of range.
    """
    flat, shape = _checked(values, timesteps, timestep_us)
    named = np.arange(len(flat)) if numbers is None else np.asarray(numbers, np.int64)
    if named.shape != (len(flat),):
        raise ValueError(f"numbers: shape {named.shape}, expected ({len(flat)},)")
    fires = np.empty((len(flat), timesteps, flat.shape[1]), bool)
    for i, (number, sample) in enumerate(zip(named.tolist(), flat, strict=True)):
        draws = uniforms(sample_seed(seed, number), timesteps * sample.size)
        fires[i] = draws.reshape(timesteps, -1) < sample
    return _from_frames(fires, timestep_us, shape, labels)


def encode_latency(
    values: ArrayLike, timesteps: int, timestep_us: int, labels: ArrayLike | None = None
) -> SpikeTrains:
    """Latency code: each input above 0 spikes once, the earlier the larger its value.

    A value of 1 spikes in the first timestep; towards 0 it is the last.

    Args:
        values: [samples, ...], in 0..1.
        timesteps: how many.
        timestep_us: length of one, µs; a spike stands at its timestep's start.
        labels: [samples], classes.

    Raises:
        ValueError: a value is not in 0..1, or an argument is out of range.
    """
    flat, shape = _checked(values, timesteps, timestep_us)
    when = np.rint((1 - flat) * (timesteps - 1)).astype(np.int64)
    fires = (when[:, None, :] == np.arange(timesteps)[:, None]) & (flat[:, None, :] > 0)
    return _from_frames(fires, timestep_us, shape, labels)


def encode_delta(
    signals: Iterable[ArrayLike],
    threshold: float,
    timestep_us: int,
    labels: ArrayLike | None = None,
) -> SpikeTrains:
    """Delta code: an input spikes whenever it has moved by ``threshold`` since it last did.

    The first value is what an input starts from, and sends nothing. A jump of several thresholds
    sends as many events at once. With integer signals and threshold all of it is exact.

    Args:
        signals: one [timesteps, ...] a sample; the number of timesteps may differ.
        threshold: above 0, in the unit of the signals.
        timestep_us: time between two values, µs; the events of value k stand at k times it.
        labels: [samples], classes.

    Returns:
        Spike trains of shape (2, ...): polarity 0 (off) where a signal fell, 1 (on) where it rose.

    Raises:
        ValueError: there is no signal, shapes differ in more than their length, a value is not
            finite, or an argument is out of range.

    Source:
        Send-on-delta: M. Miskowicz, Sensors 6(1):49-63 (2006), doi 10.3390/s6010049.
    """
    if not (math.isfinite(threshold) and threshold > 0) or timestep_us < 1:
        raise ValueError(
            f"threshold {threshold}, timestep_us {timestep_us}: expected above 0 and from 1"
        )
    arrays = [np.asarray(signal) for signal in signals]
    shapes = {array.shape[1:] for array in arrays if array.ndim > 1}
    if len(shapes) != 1 or not all(array.ndim > 1 and len(array) for array in arrays):
        found = sorted({array.shape for array in arrays})
        raise ValueError(f"signals: shapes {found!r:.80}, expected [timesteps, ...] alike")
    if not all(np.all(np.isfinite(array)) for array in arrays):
        raise ValueError("signals: expected finite values")
    trains = [_deltas(array, threshold, timestep_us) for array in arrays]
    marks = None if labels is None else np.asarray(labels, np.int64)
    return SpikeTrains.from_trains(trains, (2, *shapes.pop()), marks)


def uniforms(seed: int, n: int) -> NDArray[np.float64]:
    """``n`` numbers in [0, 1) computed from ``seed`` by SplitMix64: multiples of 2**-53."""
    counter = np.arange(1, n + 1, dtype=np.uint64)
    z = np.uint64(seed) + counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2**53


def _deltas(signal: NDArray[np.generic], threshold: float, timestep_us: int) -> SpikeTrain:
    whole = signal.dtype.kind in "biu" and float(threshold).is_integer()
    values = signal.reshape(len(signal), -1).astype(np.int64 if whole else np.float64)
    step = np.asarray(threshold).astype(values.dtype)
    sent, moves = values[0].copy(), np.zeros(values.shape, np.int64)
    for k in range(1, len(values)):
        away = values[k] - sent
        crossed = np.sign(away) * (np.abs(away) // step)
        sent += crossed * step
        moves[k] = crossed
    counts = np.stack([np.maximum(-moves, 0), np.maximum(moves, 0)], axis=1)
    counts = counts.reshape(len(values), -1)
    timestep, index = np.nonzero(counts)
    often = counts[timestep, index]
    return SpikeTrain(np.repeat(timestep * timestep_us, often), np.repeat(index, often))


def _checked(
    values: ArrayLike, timesteps: int, timestep_us: int
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    array = np.asarray(values, np.float64)
    if array.ndim < 2 or not np.all((array >= 0) & (array <= 1)):
        raise ValueError(f"values: shape {array.shape}, expected [samples, ...] in 0..1")
    if timesteps < 1 or timestep_us < 1:
        raise ValueError(f"timesteps {timesteps}, timestep_us {timestep_us}: expected from 1")
    return array.reshape(len(array), -1), array.shape[1:]


def _from_frames(
    fires: NDArray[np.bool_],
    timestep_us: int,
    shape: tuple[int, ...],
    labels: ArrayLike | None,
) -> SpikeTrains:
    """Spike trains from bool[samples, timesteps, inputs]."""
    sample, timestep, index = np.nonzero(fires)
    offsets = np.searchsorted(sample, np.arange(len(fires) + 1))
    return SpikeTrains(
        t_us=timestep * timestep_us,
        index=index,
        offsets=offsets,
        labels=None if labels is None else np.asarray(labels, np.int64),
        shape=shape,
    )
