"""The deliveries of a pass in runs, and the range of a pass in a log.

A run is as many consecutive slots of the delivery log as were delivered in one step, over the same
connections: all come from one population, or all are input events; and all had no delay, or all
arrived over one delayed connection.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.intrinsics import trailing_zeros
from neuroasync.core.kernels.jit import inlined
from neuroasync.core.kernels.layout import DeliveryLog, Populations, SpikeLog
from neuroasync.core.kernels.vectors.lanes import LANES
from neuroasync.train.kernels.vectors.slots import lanes_alike

__all__ = ["BEGIN", "POPULATION", "RUN_ROWS", "STEP", "VIA", "find_runs", "most_steps",
           "start_of_last"]  # fmt: skip

# Rows of the runs i64[RUN_ROWS, R].
BEGIN: Final = 0
"""First slot of a run. It ends where the next one begins, or else with the pass."""
STEP: Final = 1
"""Step of the delivery."""
POPULATION: Final = 2
"""Population of the spikes; -1 if the slots are input events."""
VIA: Final = 3
"""Delayed connection over which the spikes arrived; -1 for all that have no delay."""
RUN_ROWS: Final = 4


@inlined
def start_of_last(values, first, end):
    """Return where the last value of ascending ``values[first:end]`` first occurs; it is not empty.

    The search doubles its distance, so that it costs little for a short run and for a long one.
    """
    last, distance, high = values[end - 1], 1, end - 1
    while high - distance >= first and values[high - distance] == last:
        high -= distance
        distance *= 2
    low = max(first, high - distance)
    while low < high:
        middle = (low + high) // 2
        if values[middle] == last:
            high = middle
        else:
            low = middle + 1
    return high


@inlined
def most_steps(rows, slots, ends):
    """Return the largest number of forward steps of a pass in both logs, up to their ``ends``."""
    last = np.int64(0)
    for r in range(ends[1, -1]):
        last = max(last, rows[SpikeLog.STEP, r])
    for s in range(ends[2, -1]):
        last = max(last, slots[DeliveryLog.STEP, s])
    return last + 1


@inlined
def _end_of_run(steps, vias, origins, s, slot1, step, via, start, stop):
    """Return the first slot from ``s`` on that is not of this run."""
    while s + LANES <= slot1:
        at = 8 * s
        differ = ~lanes_alike(
            steps.ctypes.data + at, vias.ctypes.data + at, origins.ctypes.data + at, step, via,
            start, stop,
        )  # fmt: skip
        alike = trailing_zeros(differ)
        if alike < LANES:
            return s + alike
        s += LANES
    while s < slot1 and steps[s] == step and vias[s] == via and start <= origins[s] < stop:
        s += 1
    return s


@inlined
def find_runs(populations, owner, slots, slot0, slot1, runs):
    """Divide the slots of a pass into runs.

    Args:
        populations, slots: See ``neuroasync.core.kernels.layout``.
        owner: i32[N], population of each neuron.
        slot0, slot1: The pass's range in ``slots``.
        runs: i64[RUN_ROWS, >= slots], written.

    Returns:
        The number of runs.
    """
    steps, vias = slots[DeliveryLog.STEP], slots[DeliveryLog.CONNECTION]
    origins, n, s = slots[DeliveryLog.ORIGIN], 0, slot0
    while s < slot1:
        step, via = steps[s], vias[s]
        # Input events come from no population; index -1 selects the last row, the input's.
        p = owner[origins[s]] if origins[s] < owner.size else -1
        start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
        runs[BEGIN, n], runs[STEP, n], runs[POPULATION, n], runs[VIA, n] = s, step, p, via
        s = _end_of_run(steps, vias, origins, s, slot1, step, via, start, stop)
        n += 1
    return n
