"""Augmentation of training samples: shifts, dropped events and jittered times.

An augmentation is a function of samples and one seed for each of them, which returns as many
samples. The same seeds give the same result. The classes here make such functions, and
:class:`Compose` applies several in turn.

All random numbers are hashes of the seed of the sample, the kind of the augmentation and the number
of the event, by the finaliser of SplitMix64.

Source:
    Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014, figure 16.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.events.values import taken_values
from neuroasync.core.model.checks import (
    as_integer,
    as_number,
    check_fraction,
    check_int,
    must_be,
    shown,
)
from neuroasync.train.batch import seed_array

__all__ = ["Augmentation", "Compose", "DropEvents", "JitterTimes", "Shift"]

Augmentation: TypeAlias = Callable[[SpikeTrains, NDArray[np.uint64]], SpikeTrains]
"""A function of samples and their seeds, u64[samples], that returns changed samples."""

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
# The kinds of random numbers, so that those of different augmentations are independent.
_SHIFT: Final = np.uint64(0x51ED270B76A1C9D3)
_DROP: Final = np.uint64(0x2545F4914F6CDD1D)
_JITTER: Final = np.uint64(0xD6E8FEB86659FD93)
_NEXT: Final = np.uint64(0xA3EC647659359ACD)


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift of each sample by a random number of cells along some axes of the input.

    Events that leave the input are dropped.

    Attributes:
        cells: Largest shift in both directions, from 0.
        axes: Axes of the input's shape. The default, the last two, are height and width.

    Raises:
        ValueError: ``cells`` is out of range, or ``axes`` are no integers; or, at a call, the input
            has no such axis.
    """

    cells: int
    axes: tuple[int, ...] = (-2, -1)

    def __post_init__(self) -> None:
        """Check the number of cells and the axes."""
        check_int("cells", self.cells, 0, 2**31 - 1, ValueError)
        axes = tuple(map(as_integer, self.axes)) if isinstance(self.axes, Iterable) else (None,)
        if None in axes:
            raise ValueError(must_be("axes", "a tuple of integers", shown(self.axes)))
        object.__setattr__(self, "axes", axes)

    def __call__(self, trains: SpikeTrains, seeds: NDArray[np.uint64]) -> SpikeTrains:
        """Return the samples with their events shifted."""
        seeds = seed_array(seeds, len(trains))
        shape, dimensions = trains.shape, len(trains.shape)
        if not all(-dimensions <= axis < dimensions for axis in self.axes):
            raise ValueError(
                f"`axes` must be axes of the input, which has shape {shape}, got {self.axes}"
            )
        sample, _ = _places(trains)
        place = [np.array(x) for x in np.unravel_index(np.array(trains.index), shape)]
        inside = np.ones(sample.size, np.bool_)
        for k, axis in enumerate(self.axes):
            drawn = _uniform(seeds, _SHIFT, np.full(seeds.size, k))
            by = np.floor(drawn * (2 * self.cells + 1)).astype(np.int64) - self.cells
            place[axis] = place[axis] + by[sample]
            inside &= (place[axis] >= 0) & (place[axis] < shape[axis])
        index = np.ravel_multi_index([x[inside] for x in place], shape)
        # Events that are sorted as batches need them stay sorted, because all move alike.
        index = index.astype(np.int64)
        return _with_events(trains, sample[inside], trains.t_us[inside], index, inside)


@dataclass(frozen=True, slots=True)
class DropEvents:
    """A random choice of events that are left out.

    Attributes:
        probability: Probability that an event is left out, from 0 to 1.

    Raises:
        ValueError: The probability is out of range.
    """

    probability: float

    def __post_init__(self) -> None:
        """Check the probability."""
        check_fraction("probability", self.probability)

    def __call__(self, trains: SpikeTrains, seeds: NDArray[np.uint64]) -> SpikeTrains:
        """Return the samples without the events that are dropped."""
        seeds = seed_array(seeds, len(trains))
        sample, number = _places(trains)
        kept = _uniform(seeds[sample], _DROP, number) >= self.probability
        return _with_events(trains, sample[kept], trains.t_us[kept], trains.index[kept], kept)


@dataclass(frozen=True, slots=True)
class JitterTimes:
    """A random shift of the time of each event, with a normal distribution.

    No event moves beyond the start or the last event of its sample.

    Attributes:
        sd_us: Standard deviation, µs, from 0.

    Raises:
        ValueError: The standard deviation is out of range.
    """

    sd_us: float

    def __post_init__(self) -> None:
        """Check the standard deviation."""
        value = as_number(self.sd_us)
        if value is None or not 0 <= value < math.inf:
            requirement = "a finite number of at least 0"
            raise ValueError(must_be("sd_us", requirement, shown(self.sd_us)))

    def __call__(self, trains: SpikeTrains, seeds: NDArray[np.uint64]) -> SpikeTrains:
        """Return the samples with other times."""
        seeds = seed_array(seeds, len(trains))
        if not trains.t_us.size:
            return trains
        sample, number = _places(trains)
        own = seeds[sample]
        # The Box-Muller transform of two uniform numbers, of which the first is above 0.
        radius = np.sqrt(-2 * np.log1p(-_uniform(own, _JITTER, 2 * number)))
        by_us = self.sd_us * radius * np.cos(2 * np.pi * _uniform(own, _JITTER, 2 * number + 1))
        last_us = trains.t_us[trains.offsets[sample + 1] - 1]
        t_us = np.clip(np.rint(trains.t_us + by_us), 0, last_us).astype(np.int64)
        order = np.lexsort((trains.index, t_us, sample))
        return _with_events(trains, sample, t_us[order], trains.index[order], order)


@dataclass(frozen=True, slots=True, init=False)
class Compose:
    """Several augmentations, one after the other, with independent random numbers.

    Args:
        augmentations: The augmentations, in their order.
    """

    augmentations: tuple[Augmentation, ...]

    def __init__(self, *augmentations: Augmentation) -> None:
        object.__setattr__(self, "augmentations", augmentations)

    def __call__(self, trains: SpikeTrains, seeds: NDArray[np.uint64]) -> SpikeTrains:
        """Return the samples after all augmentations."""
        seeds = seed_array(seeds, len(trains))
        for k, augment in enumerate(self.augmentations):
            trains = augment(trains, _hash(seeds, _NEXT, np.full(seeds.size, k)))
        return trains


def _places(trains: SpikeTrains) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sample of each event, and its number in the sample, i64[events] each."""
    sample = np.repeat(np.arange(len(trains)), np.diff(trains.offsets))
    return sample, np.arange(sample.size) - trains.offsets[sample]


def _with_events(
    trains: SpikeTrains,
    sample: NDArray[np.int64],
    t_us: NDArray[np.int64],
    index: NDArray[np.int64],
    events: NDArray[np.int64] | NDArray[np.bool_],
) -> SpikeTrains:
    """Return the samples with these events, whose samples must ascend.

    ``events`` says which of the events of ``trains`` they were.
    """
    offsets = np.concatenate(([0], np.cumsum(np.bincount(sample, minlength=len(trains)))))
    value = taken_values(trains.value, events)
    return replace(trains, t_us=t_us, index=index, offsets=offsets, value=value)


def _hash(seeds: NDArray[np.uint64], kind: np.uint64, number: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a hash of each seed, the kind and each number, u64."""
    return _mixed(_mixed(seeds ^ kind) + (number.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def _uniform(
    seeds: NDArray[np.uint64], kind: np.uint64, number: NDArray[Any]
) -> NDArray[np.float64]:
    """Return uniform numbers from 0 to below 1."""
    return (_hash(seeds, kind, number) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
