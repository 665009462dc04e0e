"""Samples in a few arrays, which travel to a worker without another check or copy."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.events.values import Values, joined_values
from neuroasync.runtime.batch.decide_all import Samples

__all__ = ["PackedSamples"]


@dataclass(frozen=True, slots=True)
class PackedSamples:
    """Samples that are spike trains already, one after the other.

    The samples were checked when the trains were created, and arrays in the object store are
    read-only. A second check in the worker would take a tenth of the time of a short decision.

    Attributes:
        t_us, index: i64[events], times, µs, and input indices.
        value: f32[events], their values, or None.
        offsets: i64[samples + 1]; the events of sample k are those from ``offsets[k]`` to
            ``offsets[k + 1]``.
    """

    t_us: NDArray[np.int64]
    index: NDArray[np.int64]
    value: Values
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, samples: Samples) -> Self:
        """Pack samples; the arrays of ``SpikeTrains`` are shared."""
        if isinstance(samples, SpikeTrains):
            return cls(samples.t_us, samples.index, samples.value, samples.offsets)
        nothing = np.empty(0, np.int64)
        return cls(
            np.concatenate([nothing, *(train.t_us for train in samples)]),
            np.concatenate([nothing, *(train.index for train in samples)]),
            joined_values((len(train), train.value) for train in samples),
            np.cumsum([0, *map(len, samples)], dtype=np.int64),
        )

    def unpack(self, shape: tuple[int, ...]) -> SpikeTrains:
        """Return the samples, for an input of this shape."""
        return SpikeTrains.of_checked(self.t_us, self.index, self.offsets, shape, self.value)
