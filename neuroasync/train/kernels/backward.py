"""The walk over a record in reverse: gradients of one sample, added into a flat buffer.

**The peak rule.** A spike is a step function of the membrane potential, so training replaces its
derivative by a surrogate, at *sites*. Each neuron has, in each pass:

- a site at each evaluation in which it fired;
- or, if it did not fire, one site at its highest silent evaluation (if nothing reached it: when
  its population was first evaluated; see ``sites`` for a population that never was).

What a site is paid is the adjoint of its spike:

- A spike that fired is paid exactly, by its delivery: the weights times the adjoints of the
  potentials that they were added to. A refractory target lost the current and pays nothing.
- A silent site is paid as if its spike had been delivered, with zero current, to each target at
  the target's own next site of the pass (of a later pass, over a connection with a delay).

Both also get the gradient of the neuron's spike counts, which are what losses look at. The reset
path is detached. Under layer-sync, on a layered network, this is exactly ordinary
layer-synchronous backpropagation through time with a surrogate: every neuron has one site a pass,
which all sites of the layer before precede. In any other order it stays what a spike a little
earlier or later would have done, and nothing is paid that the order forbids.

Source: the surrogate at the highest potential of a pass is ours; backpropagation through the
forward steps is that of Koopman et al., arXiv 2408.05098.
"""

import numpy as np

from neuroasync.core.kernels.array_views import f32_at, i64_at
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Connections, DeliveryLog, Populations, SpikeLog
from neuroasync.train.kernels.accumulate import add_outer, add_weighted
from neuroasync.train.kernels.sites import bucket_sites, first_steps
from neuroasync.train.kernels.surrogate import derivative

__all__ = ["backward_samples"]

# rows of f32 scratch
_V = 0
"""Adjoint of the potential."""
_LIVE = 1
"""The same where the neuron is not refractory, else 0."""
_SPIKE = 2
"""Adjoint of each spike that is pending until the delivery visited last."""
_PAID = 3
"""What the site visited now is paid."""
_SCRATCH = 4


@kernel
def backward_samples(
    populations, connections, links, weights, thresholds, owner, by_rank, lags, decays, decay_of,
    rows, row_potential, slots, ends, peaks, peak_steps, grad_votes, grad_spikes, output, kind,
    slope, grad,
):  # fmt: skip
    """Add the gradient of the samples of a chunk into ``grad``.

    Args:
        populations, connections, links, weights, thresholds: the network; see
            ``neuroasync.core.kernels.layout``.
        owner: i32[N], population of each neuron.
        by_rank: i64[P], populations by ascending (rank, declaration).
        lags: i64[C], delay of each connection in passes.
        decays: f32[D, N], decay factors of each interval that occurs.
        decay_of: i64[S, T], the row of ``decays`` for the interval before each pass.
        rows, row_potential, slots, ends, peaks, peak_steps: the record; see ``forward``.
        grad_votes: f32[S, T, classes], of the loss by the output's spikes in each pass.
        grad_spikes: f32[S, T, P], of the loss by each population's spikes in each pass.
        output: position of the output population.
        kind, slope: of the surrogate.
        grad: f32[..], laid out as the weights; added to.
    """
    # Arrays by their addresses: else threads wait for each other to count references to them.
    populations, connections = _unowned(populations), _unowned(connections)
    rows, slots, links = _unowned(rows), _unowned(slots), _unowned(links)
    weights = f32_at(weights.ctypes.data, weights.size)
    thresholds = f32_at(thresholds.ctypes.data, thresholds.size)
    grad = f32_at(grad.ctypes.data, grad.size)
    neurons, count = owner.size, by_rank.size
    ring = 1 + (lags.max() if lags.size else 0)
    work = np.empty((_SCRATCH, neurons), np.float32)
    paid_at = np.empty((ring, neurons), np.float32)
    delayed = np.empty((ring, neurons), np.float32)
    written = np.empty((ring, count), np.bool_)
    sites = np.empty(neurons, np.int64)
    first = np.empty(count, np.int64)
    after = np.empty(count, np.int64)
    starts = np.empty(64, np.int64)
    row0, slot0 = 0, 0
    for k in range(ends.shape[1]):
        row1, slot1 = ends[1, k], ends[2, k]
        work[:] = 0
        paid_at[:] = 0
        delayed[:] = 0
        written[:] = False
        for now in range(ends[0, k] - 1, -1, -1):
            row, slot, steps = row1, slot1, 1
            while row > row0 and rows[SpikeLog.PASS, row - 1] == now:
                row -= 1
            while slot > slot0 and slots[DeliveryLog.PASS, slot - 1] == now:
                slot -= 1
            if row < row1:
                steps = max(steps, rows[SpikeLog.STEP, row1 - 1] + 1)
            if slot < slot1:
                steps = max(steps, slots[DeliveryLog.STEP, slot1 - 1] + 1)
            if starts.size < steps + 1:
                starts = np.empty(2 * steps + 1, np.int64)
            first_steps(
                populations, connections, links, owner, by_rank, rows, row, row1,
                slots, slot, slot1, steps, first, after,
            )  # fmt: skip
            bucket_sites(populations, first, peak_steps[k, now], steps, starts, sites)
            _pass(
                now, steps, ring, populations, connections, links,
                weights, thresholds, owner, by_rank, lags, rows, row_potential, row,
                row1, slots, slot, slot1, peaks[k, now], grad_votes[k, now], grad_spikes[k, now],
                output, kind, slope, grad, work, paid_at, delayed, written, starts, sites,
                first, after,
            )  # fmt: skip
            if now:
                work[_V] *= decays[decay_of[k, now]]
            row1, slot1 = row, slot
        row0, slot0 = ends[1, k], ends[2, k]


@kernel
def _unowned(array):
    """An i64 array of the caller's, without a count of references to it."""
    return i64_at(array.ctypes.data, array.size).reshape(array.shape)


@kernel
def _pass(
    now, steps, ring, populations, connections, links, weights, thresholds, owner, by_rank, lags,
    rows, row_potential, row0, row1, slots, slot0, slot1, peaks, grad_votes, grad_spikes, output,
    kind, slope, grad, work, paid_at, delayed, written, starts, sites, first, after,
):  # fmt: skip
    """Walk one pass in reverse, from the adjoint of the potential at its end to before its bias."""
    v, live, spike, paid = work[_V], work[_LIVE], work[_SPIKE], work[_PAID]
    vias, origins = slots[DeliveryLog.CONNECTION], slots[DeliveryLog.ORIGIN]
    here = now % ring
    paid_at[here] = 0
    written[here] = False
    live[:] = v
    for r in range(row0, row1):
        i = rows[SpikeLog.NEURON, r]
        if rows[SpikeLog.BECAME_REFRACTORY, r]:
            live[i] = 0
    begin, out_begin = row0, populations[output, Populations.START]
    _never_evaluated(
        steps, now, ring, populations, connections, links, weights, thresholds, by_rank, lags,
        peaks, grad_votes, grad_spikes, output, kind, slope, work, paid_at, written, first, after,
    )  # fmt: skip
    for step in range(steps - 1, -1, -1):
        row0, slot = row1, slot1
        while row0 > begin and rows[SpikeLog.STEP, row0 - 1] == step:
            row0 -= 1
        while slot > slot0 and slots[DeliveryLog.STEP, slot - 1] == step:
            slot -= 1
        # What every site of the step is paid, before any of them counts as visited.
        for r in range(row0, row1):
            i = rows[SpikeLog.NEURON, r]
            paid[i] = grad_spikes[owner[i]] + spike[i] + delayed[here, i]
            if owner[i] == output:
                paid[i] += grad_votes[i - out_begin]
        j = starts[step]
        while j < starts[step + 1]:  # sites of one population at a time
            p, begun = owner[sites[j]], j
            while j < starts[step + 1] and owner[sites[j]] == p:
                j += 1
            _pay_silent(
                p, sites[begun:j], now, ring, populations, connections, links, weights, lags,
                grad_votes, grad_spikes, output, paid_at, written, paid,
            )  # fmt: skip
        for r in range(row0, row1):
            i = rows[SpikeLog.NEURON, r]
            p = owner[i]
            g = paid[i] * derivative(kind, slope, row_potential[r] - thresholds[i])
            if populations[p, Populations.SUBTRACTS]:
                g += v[i]
            v[i], live[i], paid_at[here, i], written[here, p] = g, g, g, True
        for j in range(starts[step], starts[step + 1]):
            i = sites[j]
            g = v[i] + paid[i] * derivative(kind, slope, peaks[i] - thresholds[i])
            v[i], live[i], paid_at[here, i], written[here, owner[i]] = g, g, g, True
        s = slot
        while s < slot1:  # slots of one origin population at a time
            begun, via = s, vias[s]
            p = owner[origins[s]] if origins[s] < owner.size else -1
            first_origin, last_origin = (
                populations[p, Populations.START],
                populations[p, Populations.STOP] - 1,
            )
            while s < slot1 and vias[s] == via and first_origin <= origins[s] <= last_origin:
                s += 1
            _deliver(
                now, ring, p, via, origins[begun:s], slots[DeliveryLog.MULTIPLICITY, begun:s],
                populations, connections, links, weights, lags, grad, live, spike, delayed,
            )  # fmt: skip
        if step and slot == slot1:
            _never_evaluated(
                step, now, ring, populations, connections, links, weights, thresholds, by_rank,
                lags, peaks, grad_votes, grad_spikes, output, kind, slope, work, paid_at, written,
                first, after,
            )  # fmt: skip
        row1, slot1 = row0, slot
    for c in range(connections.shape[0]):
        if connections[c, Connections.BIAS] >= 0:
            target = connections[c, Connections.TARGET]
            start, stop = (
                populations[target, Populations.START],
                populations[target, Populations.STOP],
            )
            at = connections[c, Connections.BIAS]
            grad[at : at + stop - start] += v[start:stop]
    delayed[here] = 0


@kernel
def _never_evaluated(
    step, now, ring, populations, connections, links, weights, thresholds, by_rank, lags, peaks,
    grad_votes, grad_spikes, output, kind, slope, work, paid_at, written, first, after,
):  # fmt: skip
    """Visit the populations that were never evaluated and whose silence belongs after ``step``."""
    v, live, paid, here = work[_V], work[_LIVE], work[_PAID], now % ring
    for p in by_rank[::-1]:
        if first[p] >= 0 or after[p] != step or populations[p, Populations.SYNC_THRESHOLD] > 0:
            continue
        start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
        _pay_silent(
            p, np.arange(start, stop), now, ring, populations, connections, links, weights, lags,
            grad_votes, grad_spikes, output, paid_at, written, paid,
        )  # fmt: skip
        for i in range(start, stop):
            g = v[i] + paid[i] * derivative(kind, slope, peaks[i] - thresholds[i])
            v[i], live[i], paid_at[here, i] = g, g, g
        written[here, p] = True


@kernel
def _pay_silent(
    p, sites, now, ring, populations, connections, links, weights, lags, grad_votes, grad_spikes,
    output, paid_at, written, paid,
):  # fmt: skip
    """Write what silent sites of one population are paid: by the loss, and by later sites."""
    first = populations[p, Populations.START]
    for i in sites:
        paid[i] = grad_spikes[p]
        if p == output:
            paid[i] += grad_votes[i - first]
    for j in range(populations[p, Populations.OUT_START], populations[p, Populations.OUT_STOP]):
        c = links[j]
        target, there = connections[c, Connections.TARGET], (now + lags[c]) % ring
        if written[there, target]:
            start, stop = (
                populations[target, Populations.START],
                populations[target, Populations.STOP],
            )
            add_weighted(
                connections[c], sites, first, links, weights, paid_at[there, start:stop], paid
            )


@kernel
def _deliver(
    now, ring, p, via, origins, counts, populations, connections, links, weights, lags, grad, live,
    spike, delayed,
):  # fmt: skip
    """Undo the delivery of spikes of one population: of their weights, and of the spikes."""
    first = populations[p, Populations.START]
    if p >= 0 and via < 0:
        for origin in origins:
            spike[origin] = 0
    for j in range(populations[p, Populations.OUT_START], populations[p, Populations.OUT_STOP]):
        c = links[j]
        if (c != via) if via >= 0 else (lags[c] > 0):
            continue
        target = connections[c, Connections.TARGET]
        g = live[populations[target, Populations.START] : populations[target, Populations.STOP]]
        add_outer(connections[c], origins, counts, first, links, g, grad)
        if p >= 0 and via < 0:
            add_weighted(connections[c], origins, first, links, weights, g, spike)
        elif p >= 0:
            there = delayed[(now - lags[c]) % ring]
            for k in range(origins.size):
                if k == 0 or origins[k] != origins[k - 1]:  # else delivered apart, arrived together
                    one = origins[k : k + 1]
                    add_weighted(connections[c], one, first, links, weights, g, there)
