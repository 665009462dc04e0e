"""Find the surrogate sites of a pass; see ``backward`` for what a site is.

This runs before the backward pass visits the pass in reverse.
"""

from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Connections, DeliveryLog, Populations, SpikeLog

__all__ = ["bucket_sites", "first_steps"]


@kernel
def first_steps(
    populations, connections, links, owner, by_rank, rows, row0, row1, slots, slot0, slot1, steps,
    first, after,
):  # fmt: skip
    """Find the step in which each population was first evaluated in a pass.

    A population that was never evaluated gets a step for its silent sites instead: the first late
    step of a population behind it, because that one could fire late only since this one did not;
    or else the end of the pass.

    Args:
        populations, connections, links, rows, slots: See ``neuroasync.core.kernels.layout``.
        owner: i32[N], population of each neuron.
        by_rank: i64[P], populations by ascending (rank, declaration).
        row0, row1, slot0, slot1: The pass's ranges in ``rows`` and ``slots``.
        steps: Number of forward steps in the pass, its input group included.
        first: i64[P], written: step of the first evaluation, or -1 if there was none.
        after: i64[P], written: for a population whose ``first`` is -1, its silent sites are
            visited right after this step by the backward pass. ``steps`` is the end of the pass.
    """
    first[:] = -1
    after[:] = steps
    left, neurons = first.size, owner.size
    latest_p, latest_via = -1, -1
    for s in range(slot0, slot1):
        if left == 0:
            break
        via, origin = slots[DeliveryLog.CONNECTION, s], slots[DeliveryLog.ORIGIN, s]
        p = owner[origin] if origin < neurons else first.size
        if p == latest_p and via == latest_via:
            continue  # This slot reaches the same populations as the one before it.
        latest_p, latest_via = p, via
        for j in range(populations[p, Populations.OUT_START], populations[p, Populations.OUT_STOP]):
            row = connections[links[j]]
            carried = links[j] == via if via >= 0 else row[Connections.DELAY] == 0
            if carried and first[row[Connections.TARGET]] < 0:
                first[row[Connections.TARGET]] = slots[DeliveryLog.STEP, s]
                left -= 1
    _note_late(by_rank, owner, rows, row0, row1, slots, slot0, slot1, first, after)


@kernel
def _note_late(by_rank, owner, rows, row0, row1, slots, slot0, slot1, first, after):
    """Account for late steps: steps with spikes, but without a delivery."""
    s, steps = slot0, after[0]
    for r in range(row0, row1):
        step, p = rows[SpikeLog.STEP, r], owner[rows[SpikeLog.NEURON, r]]
        while s < slot1 and slots[DeliveryLog.STEP, s] < step:
            s += 1
        if step == 0 or (s < slot1 and slots[DeliveryLog.STEP, s] == step):
            continue  # Something was delivered, so this is not a late step.
        if first[p] < 0 or step < first[p]:
            first[p] = step
        for before in by_rank:
            if before == p:
                break
            if after[before] == steps:
                after[before] = step


@kernel
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
        starts: i64[>= steps + 1], written: the sites of step s are
            ``sites[starts[s]:starts[s + 1]]``.
        sites: i64[N], written: neurons.
    """
    starts[: steps + 1] = 0
    for p in range(first.size):
        unreached = first[p] if populations[p, Populations.SYNC_THRESHOLD] == 0 else -1
        for i in range(populations[p, Populations.START], populations[p, Populations.STOP]):
            step = unreached if peak_steps[i] == -1 else peak_steps[i]
            if step >= 0:
                starts[step] += 1
    for s in range(steps):
        starts[s + 1] += starts[s]
    # Each entry of `starts` now holds the end of its bucket. Filling the buckets from the back
    # turns the ends into starts.
    for p in range(first.size - 1, -1, -1):
        unreached = first[p] if populations[p, Populations.SYNC_THRESHOLD] == 0 else -1
        for i in range(
            populations[p, Populations.STOP] - 1, populations[p, Populations.START] - 1, -1
        ):
            step = unreached if peak_steps[i] == -1 else peak_steps[i]
            if step >= 0:
                starts[step] -= 1
                sites[starts[step]] = i
