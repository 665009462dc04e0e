"""Prefetching of what the slots of a group will reach in a network that exceeds the cache."""

from typing import Final

import numpy as np

from neuroasync.core.kernels.array_views import connections_of, i32_at, populations_of
from neuroasync.core.kernels.delivery.owners import owner_of
from neuroasync.core.kernels.delivery.receptive_fields import receptive_field
from neuroasync.core.kernels.intrinsics import prefetch
from neuroasync.core.kernels.jit import inlined_uncounted, uncounted
from neuroasync.core.kernels.layout import BLOCK, ConnectionKind, Connections, Context, Populations

__all__ = [
    "MAX_PREFETCHED",
    "TARGETS_AHEAD",
    "places_of",
    "prefetch_for_delivery",
    "prefetch_for_integration",
    "prefetch_receptive_fields",
    "prefetch_rows",
    "prefetch_targets",
]

MAX_PREFETCHED: Final = 1024
"""Maximum number of pending spikes whose rows are prefetched when they fire. More would evict each
other."""
TARGETS_AHEAD: Final = 32
"""Targets of a row that are prefetched ahead of the delivery to them."""
_LINE: Final = 16
"""Neurons whose f32 or i32 values fill one cache line."""
_BLOCK_BITS: Final = BLOCK.bit_length() - 1
_POINTERS: Final = 0
_ROWS: Final = 1
_TARGETS: Final = 2


@uncounted
def prefetch_rows(c, origins, s, e):
    """Prefetch the rows of sparse connections for ``origins[s:e]``."""
    _prefetch_sparse(c, origins, s, e, _POINTERS)
    _prefetch_sparse(c, origins, s, e, _ROWS)


@uncounted
def prefetch_targets(c, origins, s, e):
    """Prefetch what the delivery over the rows of ``origins[s:e]`` reads of its first targets."""
    _prefetch_sparse(c, origins, s, e, _TARGETS)


@uncounted
def _prefetch_sparse(c, origins, s, e, stage):
    """Prefetch one stage of the delivery over sparse connections; read that of the stage before."""
    populations, connections = populations_of(c), connections_of(c)
    links = i32_at(c[Context.LINKS], 1)
    for q in range(s, e):
        owner = owner_of(c, origins[q])
        source = origins[q] - populations[owner, Populations.START]
        for j in range(
            populations[owner, Populations.OUT_START], populations[owner, Populations.OUT_STOP]
        ):
            row = connections[links[j]]
            if row[Connections.KIND] != ConnectionKind.SPARSE:
                continue
            place = c[Context.LINKS] + 4 * (row[Connections.INDPTR] + source)
            if stage == _POINTERS:
                prefetch(place)
                prefetch(place + 4)  # may be in the next cache line
                continue
            pointers = i32_at(place, 2)
            first = np.int64(pointers[0])
            n = np.int64(min(pointers[1] - first, TARGETS_AHEAD))
            if stage == _ROWS:
                last = first + n - 1
                for k in (first, min(first + _LINE, last), last):  # up to three cache lines
                    prefetch(c[Context.LINKS] + 4 * (row[Connections.INDICES] + k))
                    prefetch(c[Context.WEIGHTS] + 4 * (row[Connections.WEIGHT] + k))
                continue
            targets = i32_at(c[Context.LINKS] + 4 * (row[Connections.INDICES] + first), n)
            places = places_of(c, row[Connections.TARGET])
            for i in range(n):
                prefetch_for_delivery(places, np.int64(targets[np.uint64(i)]))


@uncounted
def prefetch_receptive_fields(c, origins, s, e):
    """Prefetch the neurons that slots ``s`` to ``e`` reach over convolutions."""
    populations, connections = populations_of(c), connections_of(c)
    links = i32_at(c[Context.LINKS], 1)
    for q in range(s, e):
        owner = owner_of(c, origins[q])
        source = origins[q] - populations[owner, Populations.START]
        for j in range(
            populations[owner, Populations.OUT_START], populations[owner, Populations.OUT_STOP]
        ):
            row = connections[links[j]]
            if row[Connections.KIND] != ConnectionKind.CONV2D:
                continue
            p = row[Connections.TARGET]
            places = places_of(c, p)
            _, _, first_y, last_y, first_x, last_x = receptive_field(row, source)
            for out in range(row[Connections.CHANNELS_OUT]):
                for oy in range(first_y, last_y + 1):
                    line = (out * row[Connections.HEIGHT_OUT] + oy) * row[Connections.WIDTH_OUT]
                    for ox in range(first_x, last_x + 1, _LINE):
                        _prefetch_neuron(places, line + ox)
                    _prefetch_neuron(places, line + last_x)


@inlined_uncounted
def places_of(c, p):
    """Return where the state of neuron 0 of ``p`` is.

    Compiled code would otherwise read the context again for each prefetch.

    Returns:
        The addresses of its current, last group, potential, momentum and clock.
    """
    session, row = c[Context.SESSION], populations_of(c)[p]
    at = 4 * row[Populations.START]
    return (
        c[Context.CURRENT] + at,
        session + c[Context.LAST_GROUP_AT] + at,
        session + c[Context.V_AT] + at,
        session + c[Context.MOMENTUM_AT] + at,
        session + c[Context.CLOCKS_AT] + 8 * row[Populations.FIRST_BLOCK],
    )


@inlined_uncounted
def prefetch_for_delivery(places, target):
    """Prefetch what the delivery to a neuron reads, given the result of :func:`places_of`."""
    current, last_group, _, _, _ = places
    prefetch(current + 4 * target)
    prefetch(last_group + 4 * target)


@inlined_uncounted
def prefetch_for_integration(places, target):
    """Prefetch what the integration of a neuron reads, given the result of :func:`places_of`."""
    _, _, v, momentum, clocks = places
    prefetch(v + 4 * target)
    prefetch(momentum + 4 * target)
    prefetch(clocks + 8 * (target >> _BLOCK_BITS))


@inlined_uncounted
def _prefetch_neuron(places, target):
    """Prefetch all state of a neuron that its delivery and integration will read."""
    prefetch_for_delivery(places, target)
    prefetch_for_integration(places, target)
