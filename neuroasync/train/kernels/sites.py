"""Find the surrogate sites of a pass; see ``backward`` for what a site is.

This runs before the backward pass visits the pass in reverse.
"""

import numpy as np

from neuroasync.core.kernels.jit import inlined
from neuroasync.core.kernels.layout import Connections, Populations, SpikeLog
from neuroasync.train.kernels.runs import POPULATION, STEP, VIA

__all__ = ["bucket_sites", "first_steps"]


@inlined
def first_steps(
    populations, connections, links, owner, by_rank, rows, row0, row1, runs, steps, first, after
):  # fmt: skip
    """Find the step in which each population was first evaluated in a pass.

    A population that was never evaluated gets a step for its silent sites instead: the first late
    step of a population behind it, because that one could fire late only since this one did not;
    or else the end of the pass.

    Args:
        populations, connections, links, rows: See ``neuroasync.core.kernels.layout``.
        owner: i32[N], population of each neuron.
        by_rank: i64[P], populations by ascending (rank, declaration).
        row0, row1: The pass's range in ``rows``.
        runs: i64[4, R], the pass's deliveries; see :mod:`.runs`.
        steps: Number of forward steps in the pass, its input group included.
        first: i64[P], written: step of the first evaluation, or -1 if there was none.
        after: i64[P], written: for a population whose ``first`` is -1, its silent sites are
            visited right after this step by the backward pass. ``steps`` is the end of the pass.
    """
    first[:] = -1
    after[:] = steps
    left = first.size
    for k in range(runs.shape[1]):
        if left == 0:
            break
        p, via = runs[POPULATION, k], runs[VIA, k]
        for j in range(populations[p, Populations.OUT_START], populations[p, Populations.OUT_STOP]):
            row = connections[links[j]]
            carried = links[j] == via if via >= 0 else row[Connections.DELAY] == 0
            if carried and first[row[Connections.TARGET]] < 0:
                first[row[Connections.TARGET]] = runs[STEP, k]
                left -= 1
    _note_late(by_rank, owner, rows, row0, row1, runs, first, after)


@inlined
def _note_late(by_rank, owner, rows, row0, row1, runs, first, after):
    """Account for late steps: steps with spikes, but without a delivery."""
    k, steps = 0, after[0]
    for r in range(row0, row1):
        step = rows[SpikeLog.STEP, r]
        while k < runs.shape[1] and runs[STEP, k] < step:
            k += 1
        if step == 0 or (k < runs.shape[1] and runs[STEP, k] == step):
            continue  # Something was delivered, so this is not a late step.
        p = owner[rows[SpikeLog.NEURON, r]]
        if first[p] < 0 or step < first[p]:
            first[p] = step
        for before in by_rank:
            if before == p:
                break
            if after[before] == steps:
                after[before] = step


@inlined
def bucket_sites(populations, first, peak_steps, steps, starts, sites):
    """Sort the silent sites of a pass by step, with a counting sort.

    A neuron that no spike reached has its site in the step in which its population was first
    evaluated. In a population with a sync threshold it has none, since it could not have fired.

    Args:
        populations: See ``neuroasync.core.kernels.layout``.
        first: i64[P], see :func:`first_steps`.
        peak_steps: i32[N], step of each neuron's highest silent evaluation in the pass; -1 if it
            was not reached, -2 if it fired.
        steps: Number of forward steps in the pass.
        starts: i64[>= steps + 4], written: the sites of step s are
            ``sites[starts[s + 2] : starts[s + 3]]``.
        sites: i64[N], written: neurons; first those that have none.
    """
    # The buckets of -2 and -1 take the neurons without a site, which needs no branch.
    starts[: steps + 3] = 0
    for p in range(first.size):
        unreached = first[p] if populations[p, Populations.SYNC_THRESHOLD] == 0 else -1
        for i in range(populations[p, Populations.START], populations[p, Populations.STOP]):
            step = np.int64(peak_steps[i])
            starts[np.uint64((unreached if step == -1 else step) + 2)] += 1
    for s in range(steps + 2):
        starts[s + 1] += starts[s]
    starts[steps + 3] = starts[steps + 2]
    # Each entry of `starts` now holds the end of its bucket. Filling the buckets from the back
    # turns the ends into starts.
    for p in range(first.size - 1, -1, -1):
        unreached = first[p] if populations[p, Populations.SYNC_THRESHOLD] == 0 else -1
        for i in range(
            populations[p, Populations.STOP] - 1, populations[p, Populations.START] - 1, -1
        ):
            step = np.int64(peak_steps[i])
            bucket = np.uint64((unreached if step == -1 else step) + 2)
            at = starts[bucket] - 1
            starts[bucket] = at
            sites[np.uint64(at)] = i
