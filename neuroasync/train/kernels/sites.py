"""Find the surrogate sites of a pass; see ``backward`` for what a site is.

This runs before the backward pass visits the pass in reverse.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.intrinsics import trailing_zeros
from neuroasync.core.kernels.jit import inlined
from neuroasync.core.kernels.layout import Connections, Populations, SpikeLog
from neuroasync.core.kernels.vectors.lanes import LANES
from neuroasync.train.kernels.runs import POPULATION, STEP, VIA
from neuroasync.train.kernels.vectors.silences import lanes_equal, write_neurons

__all__ = [
    "BITS",
    "BLOCK_ROWS",
    "FIRST",
    "bucket_sites",
    "first_steps",
    "neurons_of",
    "whole_population",
]

# Rows of the blocks i64[BLOCK_ROWS, K] of silent sites.
FIRST: Final = 0
"""First neuron of a block."""
BITS: Final = 1
"""Bit k is set if the k-th neuron from the first one on has a site."""
BLOCK_ROWS: Final = 2

# Steps of neurons without a highest silent evaluation; see ``training.peaks`` of the runtime.
_UNREACHED: Final = -1
_FIRED: Final = -2


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
        runs: i32[RUN_ROWS, R], the pass's deliveries; see :mod:`.runs`.
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
        p, via = np.int64(runs[POPULATION, k]), runs[VIA, k]
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
def bucket_sites(populations, first, peak_steps, steps, starts, found, blocks):
    """Divide the silent sites of a pass into blocks, and sort these by step.

    A block is up to 16 consecutive neurons of one population, some of which have their sites in the
    same step. Blocks of one step are sorted by population.

    A neuron that no spike reached has its site in the step in which its population was first
    evaluated. In a population with a sync threshold it has none, since it could not have fired.

    Args:
        populations: See ``neuroasync.core.kernels.layout``.
        first: i64[P], see :func:`first_steps`.
        peak_steps: i32[N], step of each neuron's highest silent evaluation in the pass; -1 if it
            was not reached, -2 if it fired.
        steps: Number of forward steps in the pass.
        starts: i64[>= steps + 2], written: the blocks of step s are
            ``blocks[:, starts[s] : starts[s + 1]]``.
        found: i64[BLOCK_ROWS + 1, N], for the blocks before they are sorted.
        blocks: i64[BLOCK_ROWS, N], written.
    """
    n, address = 0, peak_steps.ctypes.data
    starts[: steps + 2] = 0
    for p in range(first.size):
        start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
        unreached = first[p] if populations[p, Populations.SYNC_THRESHOLD] == 0 else -1
        for begin in range(start, stop, LANES):
            at, width = address + 4 * begin, stop - begin
            left = lanes_of(width) & ~lanes_equal(at, _FIRED, width)
            step, bits = unreached, lanes_equal(at, _UNREACHED, width)
            left &= ~bits
            while True:
                if bits != 0 and step >= 0:
                    found[FIRST, n], found[BITS, n], found[BLOCK_ROWS, n] = begin, bits, step
                    starts[np.uint64(step + 2)] += 1
                    n += 1
                if left == 0:
                    break
                step = np.int64(peak_steps[np.uint64(begin + trailing_zeros(left))])
                bits = lanes_equal(at, step, width)
                left &= ~bits
    for s in range(steps):
        starts[s + 2] += starts[s + 1]
    # Each entry of `starts` now holds where the blocks of the step before begin. Placing the blocks
    # turns it into their end.
    for k in range(n):
        bucket = np.uint64(found[BLOCK_ROWS, k] + 1)
        at = np.uint64(starts[bucket])
        blocks[FIRST, at], blocks[BITS, at] = found[FIRST, k], found[BITS, k]
        starts[bucket] += 1


@inlined
def whole_population(start, stop, blocks):
    """Write the blocks of all neurons from ``start`` to ``stop``; return how many they are."""
    n = 0
    for begin in range(start, stop, LANES):
        blocks[FIRST, n], blocks[BITS, n] = begin, lanes_of(stop - begin)
        n += 1
    return n


@inlined
def lanes_of(width):
    """Return a u64 whose lowest ``width`` bits are set, at most 16."""
    return np.uint64((1 << min(width, LANES)) - 1)


@inlined
def neurons_of(blocks, neurons):
    """Write the neurons of blocks; return how many they are.

    Args:
        blocks: i64[BLOCK_ROWS, K], the blocks.
        neurons: i32[at least 16 more], written.
    """
    n = 0
    for k in range(blocks.shape[1]):
        bits = np.uint64(blocks[BITS, k])
        n = write_neurons(neurons.ctypes.data, n, blocks[FIRST, k], bits)
    return n
