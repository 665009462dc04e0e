"""Prefetching of what the slots of a group will reach in a network that exceeds the cache."""

from typing import Final

from neuroasync.core.kernels.array_views import connections_of, i32_at, populations_of
from neuroasync.core.kernels.delivery.owners import owner_of
from neuroasync.core.kernels.delivery.receptive_fields import receptive_field
from neuroasync.core.kernels.intrinsics import prefetch
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import BLOCK, ConnectionKind, Connections, Context, Populations

__all__ = [
    "prefetch_for_delivery",
    "prefetch_for_integration",
    "prefetch_neuron",
    "prefetch_receptive_fields",
    "prefetch_rows",
]

_LINE: Final = 16
"""Neurons whose f32 or i32 values fill one cache line."""


@kernel
def prefetch_rows(c, origins, s, e):
    """Prefetch the rows of sparse connections for slots ``s`` to ``e``.

    The first round prefetches the row pointers, the second reads them and prefetches the rows.
    """
    populations, connections = populations_of(c), connections_of(c)
    links = i32_at(c[Context.LINKS], 1)
    for round_ in range(2):
        for q in range(s, e):
            owner = owner_of(c, origins[q])
            for j in range(
                populations[owner, Populations.OUT_START], populations[owner, Populations.OUT_STOP]
            ):
                k = links[j]
                if connections[k, Connections.KIND] != ConnectionKind.SPARSE:
                    continue
                source = origins[q] - populations[owner, Populations.START]
                place = c[Context.LINKS] + 4 * (connections[k, Connections.INDPTR] + source)
                if round_ == 0:
                    prefetch(place)
                else:
                    first = i32_at(place, 1)[0]
                    targets = c[Context.LINKS] + 4 * (connections[k, Connections.INDICES] + first)
                    weights = c[Context.WEIGHTS] + 4 * (connections[k, Connections.WEIGHT] + first)
                    prefetch(targets)
                    prefetch(targets + 4 * _LINE)
                    prefetch(weights)
                    prefetch(weights + 4 * _LINE)


@kernel
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
            _, _, first_y, last_y, first_x, last_x = receptive_field(row, source)
            for out in range(row[Connections.CHANNELS_OUT]):
                for oy in range(first_y, last_y + 1):
                    line = (out * row[Connections.HEIGHT_OUT] + oy) * row[Connections.WIDTH_OUT]
                    for ox in range(first_x, last_x + 1, _LINE):
                        prefetch_neuron(c, p, line + ox)
                    prefetch_neuron(c, p, line + last_x)


@kernel
def prefetch_neuron(c, p, target):
    """Prefetch all state of a neuron that its delivery and integration will read."""
    prefetch_for_delivery(c, p, target)
    prefetch_for_integration(c, p, target)


@kernel
def prefetch_for_delivery(c, p, target):
    """Prefetch what the delivery to a neuron reads."""
    at = 4 * (populations_of(c)[p, Populations.START] + target)
    prefetch(c[Context.CURRENT] + at)
    prefetch(c[Context.SESSION] + c[Context.LAST_GROUP_AT] + at)


@kernel
def prefetch_for_integration(c, p, target):
    """Prefetch what the integration of a neuron reads."""
    session = c[Context.SESSION]
    at = 4 * (populations_of(c)[p, Populations.START] + target)
    prefetch(session + c[Context.V_AT] + at)
    prefetch(session + c[Context.MOMENTUM_AT] + at)
    block = populations_of(c)[p, Populations.FIRST_BLOCK] + target // BLOCK
    prefetch(session + c[Context.CLOCKS_AT] + 8 * block)
