"""Where the neurons of a pass have their surrogate sites, before the pass is walked in reverse."""

from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Connections, DeliveryLog, Populations, SpikeLog

__all__ = ["bucket_sites", "first_steps"]


@kernel
def first_steps(
    populations, connections, links, owner, by_rank, rows, row0, row1, slots, slot0, slot1, steps,
    first, after,
):  # fmt: skip
    """Say when each population was first evaluated in a pass, or where its silence belongs.

    Args:
        populations, connections, links, rows, slots: see ``neuroasync.core.kernels.layout``.
        owner: i32[N], population of each neuron.
        by_rank: i64[P], populations by ascending (rank, declaration).
        row0, row1, slot0, slot1: the pass's part of ``rows`` and ``slots``.
        steps: forward steps of the pass, its input group included.
        first: i64[P], written: step of the first evaluation, or -1.
        after: i64[P], written where ``first`` is -1: its neurons are sites after this step is
            visited in reverse. This is the first late step of a population behind it, which
            fires late only if those before it did not; else ``steps``, the end of the pass.
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
            continue  # reaches what the slot before it did
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
    s, steps = slot0, after[0]
    for r in range(row0, row1):
        step, p = rows[SpikeLog.STEP, r], owner[rows[SpikeLog.NEURON, r]]
        while s < slot1 and slots[DeliveryLog.STEP, s] < step:
            s += 1
        if step == 0 or (s < slot1 and slots[DeliveryLog.STEP, s] == step):
            continue  # something was delivered: not a late step
        if first[p] < 0 or step < first[p]:
            first[p] = step
        for before in by_rank:
            if before == p:
                break
            if after[before] == steps:
                after[before] = step


@kernel
def bucket_sites(populations, first, peak_steps, steps, starts, sites):
    """Sort the silent sites of a pass by step (a counting sort).

    A neuron that nothing reached is a site when its population was first evaluated; of a
    population with a sync threshold it is none.

    Args:
        populations: see ``neuroasync.core.kernels.layout``.
        first: i64[P], see :func:`first_steps`.
        peak_steps: i32[N], of the pass.
        steps: forward steps of the pass.
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
    # Filling from the back leaves each start where it belongs.
    for p in range(first.size - 1, -1, -1):
        unreached = first[p] if populations[p, Populations.SYNC_THRESHOLD] == 0 else -1
        for i in range(
            populations[p, Populations.STOP] - 1, populations[p, Populations.START] - 1, -1
        ):
            step = unreached if peak_steps[i] == -1 else peak_steps[i]
            if step >= 0:
                starts[step] -= 1
                sites[starts[step]] = i
