"""The population that a neuron or an input belongs to."""

import numpy as np

from neuroasync.core.kernels.array_views import i32_at, populations_of
from neuroasync.core.kernels.jit import inlined_uncounted
from neuroasync.core.kernels.layout import OWNER_BLOCK, Context, Populations

__all__ = ["owner_of"]


@inlined_uncounted
def owner_of(c, origin):
    """Return the population of a neuron, or P for an input.

    Args:
        c: the context.
        origin: network-wide index of the neuron, or N + flattened input index.
    """
    populations, p = populations_of(c), np.uint64(c[Context.POPULATION_COUNT])
    if origin < c[Context.NEURONS]:
        p = np.uint64(i32_at(c[Context.OWNERS], 1)[np.uint64(origin) // np.uint64(OWNER_BLOCK)])
        while populations[p, Populations.STOP] <= origin:
            p += np.uint64(1)
    return np.int64(p)
