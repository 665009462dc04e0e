"""Visits of the silent sites of a pass; see :mod:`.backward` for what they are.

The sites of populations without adaptive or learned thresholds are visited 16 neurons at a time.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.jit import inlined, kernel
from neuroasync.core.kernels.layout import Populations
from neuroasync.train.kernels.deliveries import silent_spike_grads
from neuroasync.train.kernels.neurons import CURRENT, ROWS, V, reverse_silences
from neuroasync.train.kernels.sites import BITS, FIRST, neurons_of, whole_population
from neuroasync.train.kernels.surrogate import ARCTAN, SIGMOID
from neuroasync.train.kernels.vectors.silences import visit_lanes

__all__ = [
    "PENDING",
    "SCRATCH_ROWS",
    "SPIKE_GRAD",
    "V_ACTIVE",
    "open_integrators",
    "visit_silences",
    "visit_unevaluated",
]

# Rows of the scratch array f32[SCRATCH_ROWS, N], after those of `neurons`.
V_ACTIVE: Final = ROWS
"""Adjoint of current that is delivered to each neuron."""
PENDING: Final = ROWS + 1
"""Adjoint of each neuron's pending spike, from its deliveries that were already visited."""
SPIKE_GRAD: Final = ROWS + 2
"""dL/ds of the sites that are being visited."""
SCRATCH_ROWS: Final = ROWS + 3


@inlined
def open_integrators(here, populations, thresholds, v_active, site_grad, has_site):
    """Let leaky integrators take silent spikes during the whole pass, because they need no site."""
    for p in range(populations.shape[0] - 1):
        start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
        if thresholds[start] == np.inf:
            site_grad[here, start:stop] = v_active[start:stop]
            has_site[here, p] = True


@kernel
def visit_unevaluated(
    step, now, ring, populations, connections, links, weights, thresholds, increments, by_rank,
    lags, peaks, grad_votes, grad_spikes, output, kind, slope, neuron_grad, work, site_grad,
    has_site, first, after, sites, blocks,
):  # fmt: skip
    """Visit the silent sites of never evaluated populations that were assigned to ``step``.

    ``sites`` and ``blocks`` are scratch memory for them.
    """
    spike_grad, here = work[SPIKE_GRAD], now % ring
    for p in by_rank[::-1]:
        if first[p] >= 0 or after[p] != step or populations[p, Populations.SYNC_THRESHOLD] > 0:
            continue
        start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
        silent = blocks[:, : whole_population(start, stop, blocks)]
        silent_spike_grads(
            p, sites[: neurons_of(silent, sites)], now, ring, populations, connections, links,
            weights, lags, grad_votes, grad_spikes, output, site_grad, has_site, spike_grad,
        )  # fmt: skip
        visit_silences(
            p, silent, sites, here, populations, peaks, thresholds, kind, slope, increments,
            neuron_grad, work, site_grad, has_site,
        )  # fmt: skip


@inlined
def visit_silences(
    p, blocks, sites, here, populations, peaks, thresholds, kind, slope, increments, neuron_grad,
    work, site_grad, has_site,
):  # fmt: skip
    """Visit silent sites of population ``p`` whose dL/ds are known."""
    has_site[here, p] = True
    v, of_current, v_active = work[V], work[CURRENT], work[V_ACTIVE]
    adapts_or_learns = populations[p, Populations.ADAPTS] != 0 or neuron_grad.shape[1] > 0
    if adapts_or_learns or kind == SIGMOID:
        silent = sites[: neurons_of(blocks, sites)]
        reverse_silences(
            populations[p], silent, peaks, thresholds, work[SPIKE_GRAD], kind, slope, increments,
            work, neuron_grad,
        )  # fmt: skip
        for i in silent:
            v_active[i] = site_grad[here, i] = v[i] + of_current[i]
        return
    addresses = (
        v.ctypes.data, of_current.ctypes.data, v_active.ctypes.data, site_grad[here].ctypes.data,
        work[SPIKE_GRAD].ctypes.data, peaks.ctypes.data, thresholds.ctypes.data,
    )  # fmt: skip
    for k in range(blocks.shape[1]):
        at = 4 * blocks[FIRST, k]
        visit_lanes(
            addresses[0] + at, addresses[1] + at, addresses[2] + at, addresses[3] + at,
            addresses[4] + at, addresses[5] + at, addresses[6] + at, np.int64(kind == ARCTAN),
            slope, np.uint64(blocks[BITS, k]),
        )  # fmt: skip
