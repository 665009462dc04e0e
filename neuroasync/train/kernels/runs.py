"""The deliveries of a sample in runs, which the backward pass reads.

A run is as many consecutive slots of the delivery log as were delivered in one step, over the same
connections: all come from one population, or all are input events; and all had no delay, or all
arrived over one delayed connection.

The runtime's delivery log has six columns of 64 bits. A log of all samples would not fit in the
processor's cache, so it holds a single sample, and :func:`add_runs` keeps what is needed of it.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.delivery.event_values import factor_of
from neuroasync.core.kernels.intrinsics import trailing_zeros
from neuroasync.core.kernels.jit import inlined
from neuroasync.core.kernels.layout import DeliveryLog, Populations
from neuroasync.core.kernels.vectors.lanes import LANES
from neuroasync.train.kernels.vectors.slots import lanes_alike

__all__ = ["BEGIN", "END", "PASS", "POPULATION", "RUN_ROWS", "STEP", "VIA", "add_runs"]

# Rows of the runs i32[RUN_ROWS, R].
PASS: Final = 0
"""Pass of the delivery."""
STEP: Final = 1
"""Step of the delivery."""
POPULATION: Final = 2
"""Population of the spikes; -1 if the slots are input events."""
VIA: Final = 3
"""Delayed connection over which the spikes arrived; -1 for all that have no delay."""
BEGIN: Final = 4
"""First slot of the run."""
END: Final = 5
"""The slot behind its last."""
RUN_ROWS: Final = 6


@inlined
def add_runs(populations, owner, log, slots, origins, factors, to, runs, n):
    """Append the runs of a sample, and the neurons and factors of their slots.

    Args:
        populations, log: See ``neuroasync.core.kernels.layout``.
        owner: i32[N], population of each neuron.
        slots: Number of slots in the log.
        origins: i32[>= to + slots], written from ``to`` on: the neuron of each slot.
        factors: f32[>= to + slots], written: what the weights were multiplied by.
        to: Number of slots that were written before.
        runs: i32[RUN_ROWS, >= n + slots], written from ``n`` on.
        n: Number of runs that were written before.

    Returns:
        The new number of runs.
    """
    neurons, counts = log[DeliveryLog.ORIGIN], log[DeliveryLog.MULTIPLICITY]
    for s in range(slots):
        origins[np.uint64(to + s)] = neurons[np.uint64(s)]
    for s in range(slots):
        factors[np.uint64(to + s)] = factor_of(counts[np.uint64(s)])
    passes, steps, vias = (
        log[DeliveryLog.PASS], log[DeliveryLog.STEP], log[DeliveryLog.CONNECTION],
    )  # fmt: skip
    s = 0
    while s < slots:
        now, step, via, begin = passes[s], steps[s], vias[s], s
        # Input events come from no population; index -1 selects the last row, the input's.
        p = owner[neurons[s]] if neurons[s] < owner.size else -1
        start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
        s = _end_of_run(passes, steps, vias, neurons, s, slots, start, stop)
        runs[PASS, n], runs[STEP, n], runs[POPULATION, n] = now, step, p
        runs[VIA, n], runs[BEGIN, n], runs[END, n] = via, to + begin, to + s
        n += 1
    return n


@inlined
def _end_of_run(passes, steps, vias, neurons, s, slots, start, stop):
    """Return the first slot behind ``s`` that is not of its run."""
    now, step, via = passes[s], steps[s], vias[s]
    while s + LANES <= slots:
        at = 8 * s
        alike = lanes_alike(
            passes.ctypes.data + at, steps.ctypes.data + at, vias.ctypes.data + at,
            neurons.ctypes.data + at, now, step, via, start, stop,
        )  # fmt: skip
        count = trailing_zeros(~alike)
        s += count
        if count < LANES:
            return s
    while (
        s < slots
        and passes[s] == now
        and steps[s] == step
        and vias[s] == via
        and start <= neurons[s] < stop
    ):
        s += 1
    return s
