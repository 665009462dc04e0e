"""Values of input events, packed with the multiplicity of a slot into one integer.

A slot delivers ``weight * factor`` (float32). The factor of a spike is its multiplicity. An input
event with a value has the value as its factor. If several such events share a slot, it is the
float32 sum of their values, in the order of the events.

A multiplicity with a factor of its own holds the inverted bit pattern of the factor in its upper
half, and the number of events in its lower half. The upper half is then never 0, which is what an
ordinary multiplicity has there: 0 would stand for a NaN, and values are finite.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.kernels.intrinsics import float_of, pattern_of
from neuroasync.core.kernels.jit import kernel

__all__ = ["add_value", "count_of", "factor_of", "pack", "unpack", "with_value"]

_COUNT: Final = 0xFFFFFFFF
"""Mask of the number of events."""


@kernel
def with_value(count, factor):
    """Return the multiplicity of ``count`` events that deliver ``factor`` (f32) together."""
    return (~pattern_of(factor) << 32) | count


@kernel
def count_of(multiplicity):
    """Return the number of spikes or events that a multiplicity stands for."""
    return multiplicity & _COUNT


@kernel
def factor_of(multiplicity):
    """Return what the slot's weights are multiplied by, f32."""
    if multiplicity >> 32 != 0:
        return float_of(~(multiplicity >> 32))
    return np.float32(multiplicity)


@kernel
def add_value(multiplicity, value):
    """Return the multiplicity after another event with this value; it may be 0 before."""
    if multiplicity == 0:
        return with_value(1, value)
    return with_value(count_of(multiplicity) + 1, factor_of(multiplicity) + value)


def unpack(
    multiplicity: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
    """Return the numbers of events and the factors, i64[n] and f32[n].

    The factors are None if no multiplicity has one of its own.
    """
    upper = multiplicity >> 32
    if not upper.any():
        return multiplicity, None
    factors = (~upper).astype(np.int32).view(np.float32)
    count = multiplicity & _COUNT
    return count, np.where(upper == 0, count.astype(np.float32), factors)


def pack(count: NDArray[np.int64], factor: NDArray[np.float32] | None) -> NDArray[np.int64]:
    """Return multiplicities, i64[n]; the inverse of :func:`unpack`.

    A factor that equals the count gives an ordinary multiplicity.
    """
    if factor is None:
        return count
    pattern = np.ascontiguousarray(factor, np.float32).view(np.int32).astype(np.int64)
    packed: NDArray[np.int64] = (~pattern << 32) | count
    return np.where(factor == count, count, packed)
