"""Encoders: spike trains from values that are not events yet.

Random numbers are computed from a counter, not drawn: the same values, seed and timesteps give
the same events everywhere.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.kernels.order import sample_seed
from neuroasync.spikes import SpikeTrains

__all__ = ["encode_latency", "encode_rate", "uniforms"]


def encode_rate(
    values: ArrayLike,
    timesteps: int,
    timestep_us: int,
    seed: int,
    labels: ArrayLike | None = None,
) -> SpikeTrains:
    """Rate code: in each timestep an input spikes with the probability that its value is.

    Args:
        values: [samples, ...], probabilities in 0..1.
        timesteps: how many.
        timestep_us: length of one, µs; a spike stands at its timestep's start.
        seed: 64 bits; sample i draws from ``sample_seed(seed, i)``.
        labels: [samples], classes.

    Raises:
        ValueError: a value is not in 0..1, or an argument is out of range.
    """
    flat, shape = _checked(values, timesteps, timestep_us)
    fires = np.empty((len(flat), timesteps, flat.shape[1]), bool)
    for i, sample in enumerate(flat):
        draws = uniforms(sample_seed(seed, i), timesteps * sample.size)
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


def uniforms(seed: int, n: int) -> NDArray[np.float64]:
    """``n`` numbers in [0, 1) computed from ``seed`` by SplitMix64: multiples of 2**-53."""
    counter = np.arange(1, n + 1, dtype=np.uint64)
    z = np.uint64(seed) + counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2**53


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
