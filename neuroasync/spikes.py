"""Spike events and trains: arrays of times and indices, checked once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync import limits
from neuroasync.errors import SpikeFileError

__all__ = ["SpikeTrain", "SpikeTrains"]


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTrain:
    """The input events of one sample.

    Attributes:
        t_us: i64[events], µs since the sample's time 0, ascending.
        index: i64[events], flattened input index.

    Raises:
        SpikeFileError: lengths differ, times are negative or do not ascend, an index is negative.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check, and hold contiguous int64 arrays."""
        t_us, index = _int64("t_us", self.t_us), _int64("index", self.index)
        if t_us.shape != index.shape:
            raise SpikeFileError(f"t_us has {t_us.size} events, index has {index.size}")
        if t_us.size:
            if t_us[0] < 0 or np.any(t_us[1:] < t_us[:-1]):
                at = int(np.argmax(np.diff(t_us, prepend=0) < 0))
                raise SpikeFileError(f"t_us[{at}]: {t_us[at]}, expected times that ascend from 0")
            if t_us[-1] > limits.MAX_TIME_US:
                raise SpikeFileError(f"t_us: {t_us[-1]}, expected at most {limits.MAX_TIME_US}")
            if index.min() < 0:
                raise SpikeFileError(f"index: {index.min()}, expected from 0")
        object.__setattr__(self, "t_us", t_us)
        object.__setattr__(self, "index", index)

    def __len__(self) -> int:
        """Number of events."""
        return self.t_us.size

    def __eq__(self, other: object) -> bool:
        """Same events in the same order."""
        if not isinstance(other, SpikeTrain):
            return NotImplemented
        return np.array_equal(self.t_us, other.t_us) and np.array_equal(self.index, other.index)

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def check_indices(self, inputs: int) -> None:
        """Raise SpikeFileError if an event addresses an index from ``inputs`` on."""
        if self.index.size and self.index.max() >= inputs:
            at = int(np.argmax(self.index >= inputs))
            raise SpikeFileError(
                f"index[{at}]: {self.index[at]}, expected 0 to {inputs - 1}, the network's inputs"
            )
