"""Backward pass over an event record, under any policy except layer-sync, sample by sample.

**The peak rule.** A spike is a step function of the membrane potential v, and the derivative of a
step function is useless for training. The backward pass therefore uses a surrogate derivative,
and it does so at *sites*. In each pass, a neuron has

- one site at each evaluation in which it fired;
- or, if it did not fire, a single *silent site*: the evaluation in which its potential was
  highest. If no spike reached the neuron, the silent site lies where its population was first
  evaluated; ``sites`` explains the case of a population that was never evaluated.

Write L for the loss, g = dL/dv for the adjoint of the potential, s for the spike at a site, and
theta for the threshold. A site computes dL/ds and then updates the adjoint of its own neuron:

    dL/dv = dL/ds * surrogate(v - theta) + (0 if the neuron fired with a reset to zero at once,
                                            else g)

The spike is not differentiated where it resets its neuron. :mod:`.neurons` has the equations of
delayed resets, synaptic currents, adaptive thresholds and learned parameters. dL/ds has three
parts:

- the gradient of the spike counts, which are the outputs that losses are computed from;
- for a spike that fired: the sum over its deliveries of weight * g, where g is the adjoint of the
  potential that the weight was added to. A refractory target discarded the current and
  contributes nothing;
- for a silent site: the sum over its targets of weight * g, where g is taken at the target's
  own next site in the same pass (over a delayed connection: in the pass in which the spike would
  have arrived). This is the gradient of a spike that is delivered there with zero current. A
  leaky integrator takes it without a site, because it has no threshold.

The gradient describes the effect of a spike that fires slightly earlier or later, and it is zero
wherever the order makes an effect impossible. If groups are as large as a layered network, it is
that of backpropagation through time (see :mod:`.backward_turns`): each neuron has one site per
pass, and it comes after all sites of the layer before.

Source: backpropagation through forward steps is due to Koopman et al., arXiv 2408.05098. The
choice of the highest potential in a pass as the silent site is original to this project.
"""

import numpy as np

from neuroasync.core.kernels.intrinsics import prefetch
from neuroasync.core.kernels.jit import inlined, kernel
from neuroasync.core.kernels.layout import REFRACTORY_BIT, Populations, SpikeLog
from neuroasync.core.kernels.vectors.lanes import LANES
from neuroasync.train.kernels.accumulate import borrowed
from neuroasync.train.kernels.deliveries import silent_spike_grads, undo_delivery
from neuroasync.train.kernels.neurons import (
    CURRENT,
    V,
    begin_reverse_pass,
    end_reverse_pass,
    reverse_biases,
    reverse_spikes,
)
from neuroasync.train.kernels.runs import BEGIN, END, PASS, POPULATION, STEP, VIA
from neuroasync.train.kernels.silences import (
    PENDING,
    SCRATCH_ROWS,
    SPIKE_GRAD,
    V_ACTIVE,
    open_integrators,
    visit_silences,
    visit_unevaluated,
)
from neuroasync.train.kernels.sites import (
    BLOCK_ROWS,
    FIRST,
    bucket_sites,
    first_steps,
    neurons_of,
)

__all__ = ["backward_samples"]

_LINE = 64
"""Bytes of a cache line."""
_PREFETCHED = 4096
"""Maximum number of bytes of a row that are prefetched; the processor predicts the others."""


@kernel
def backward_samples(
    populations, connections, links, weights, thresholds, increments, owner, by_rank, lags, decays,
    slopes, decay_of, rows, row_potential, origins, factors, runs, ends, peaks, peak_steps, states,
    grad_votes, grad_spikes, grad_potentials, output, kind, slope, grad, neuron_grad,
):  # fmt: skip
    """Add the gradients of the samples in a chunk to ``grad`` and ``neuron_grad``.

    Args:
        populations, connections, links, weights, thresholds: The network; see
            ``neuroasync.core.kernels.layout``.
        increments: f32[N], what a spike adds to the adaptation of its neuron.
        owner: i32[N], population of each neuron.
        by_rank: i64[P], populations by ascending (rank, declaration).
        lags: i64[C], delay of each connection in passes.
        decays: f32[D, 3, N], decay factors of each distinct interval between passes.
        slopes: f32[D, 2, N], derivatives of the first two; without elements if nothing is learned.
        decay_of: i64[S, T], row of ``decays`` for the interval before each pass.
        rows, row_potential, origins, factors, runs, ends, peaks, peak_steps, states: The event
            record; see ``forward``.
        grad_votes: f32[S, T, classes], gradient of the loss with respect to the output
            population's spikes in each pass.
        grad_spikes: f32[S, T, P], gradient of the loss with respect to each population's spikes
            in each pass.
        grad_potentials: f32[S, T, classes], gradient of the loss with respect to the output's
            potentials at the end of each pass; without columns if they are not read.
        output: Index of the output population.
        kind, slope: Surrogate derivative; see ``surrogate``.
        grad: f32[..], laid out like the weights. The gradients are added to it.
        neuron_grad: f32[3, N], gradients of learned parameters of neurons, added to; see
            ``neurons``. Without columns if nothing is learned.
    """
    # A spike reaches at most lags.max() passes ahead, so a ring of that many passes and the
    # current one holds everything that earlier passes need of later ones.
    ring = 1 + (lags.max() if lags.size else 0)
    neurons, count = owner.size, by_rank.size
    _backward_samples(
        ring, populations, connections, links, weights, thresholds, increments, owner, by_rank,
        lags, decays, slopes, decay_of, rows, row_potential, origins, factors, runs, ends, peaks,
        peak_steps, states, grad_votes, grad_spikes, grad_potentials, output, kind, slope, grad,
        neuron_grad,
        np.empty((SCRATCH_ROWS, neurons), np.float32), np.empty((2, ring, neurons), np.float32),
        np.empty((ring, count), np.bool_), np.empty(neurons + LANES, np.int32),
        np.empty((BLOCK_ROWS, neurons), np.int64), np.empty((BLOCK_ROWS + 1, neurons), np.int64),
        np.empty((2, count), np.int64), np.empty(_most_steps(rows, runs, ends) + 2, np.int64),
    )  # fmt: skip


@inlined
def _prefetch(row):
    """Ask for the beginning of a contiguous row, which is read some time later."""
    for at in range(0, min(row.itemsize * row.size, _PREFETCHED), _LINE):
        prefetch(row.ctypes.data + at)


@inlined
def _most_steps(rows, runs, ends):
    """Return the largest number of forward steps of a pass in both logs, up to their ``ends``."""
    last = np.int64(0)
    for r in range(ends[1, -1]):
        last = max(last, rows[SpikeLog.STEP, r])
    for r in range(ends[2, -1]):
        last = max(last, np.int64(runs[STEP, r]))
    return last + 1


@inlined
def _backward_samples(
    ring, populations, connections, links, weights, thresholds, increments, owner, by_rank, lags,
    decays, slopes, decay_of, rows, row_potential, origins, factors, runs, ends, peaks, peak_steps,
    states, grad_votes, grad_spikes, grad_potentials, output, kind, slope, grad, neuron_grad, work,
    rings, has_site, sites, blocks, unsorted, evaluations, starts,
):  # fmt: skip
    """Visit all samples; see :func:`backward_samples`, which holds the arrays."""
    populations, connections, links = borrowed(populations), borrowed(connections), borrowed(links)
    weights, thresholds, increments = borrowed(weights), borrowed(thresholds), borrowed(increments)
    owner, by_rank, lags, grad = borrowed(owner), borrowed(by_rank), borrowed(lags), borrowed(grad)
    decays, slopes, states = borrowed(decays), borrowed(slopes), borrowed(states)
    rows, row_potential, runs = borrowed(rows), borrowed(row_potential), borrowed(runs)
    origins, factors, starts = borrowed(origins), borrowed(factors), borrowed(starts)
    peaks, peak_steps, neuron_grad = borrowed(peaks), borrowed(peak_steps), borrowed(neuron_grad)
    grad_votes, grad_spikes = borrowed(grad_votes), borrowed(grad_spikes)
    work, site_grad, delayed = borrowed(work), borrowed(rings)[0], borrowed(rings)[1]
    has_site, sites = borrowed(has_site), borrowed(sites)
    blocks, unsorted = borrowed(blocks), borrowed(unsorted)
    first, after = borrowed(evaluations)[0], borrowed(evaluations)[1]
    begin = populations[output, Populations.START]
    row0, run0 = 0, 0
    for k in range(ends.shape[1]):
        row1, run1 = ends[1, k], ends[2, k]
        work[:] = 0
        site_grad[:] = 0
        delayed[:] = 0
        has_site[:] = False
        for now in range(ends[0, k] - 1, -1, -1):
            # Find the pass's first row and run, and the number of its forward steps.
            row, run, steps = row1, run1, 1
            while row > row0 and rows[SpikeLog.PASS, row - 1] == now:
                row -= 1
            while run > run0 and runs[PASS, run - 1] == now:
                run -= 1
            if row < row1:
                steps = max(steps, rows[SpikeLog.STEP, row1 - 1] + 1)
            if run < run1:
                steps = max(steps, int(runs[STEP, run1 - 1]) + 1)
                # The input, most of the slots, comes last.
                _prefetch(origins[runs[BEGIN, run] : runs[END, run1 - 1]])
                _prefetch(factors[runs[BEGIN, run] : runs[END, run1 - 1]])
            found = runs[:, run:run1]
            first_steps(
                populations, connections, links, owner, by_rank, rows, row, row1, found, steps,
                first, after,
            )  # fmt: skip
            bucket_sites(populations, first, peak_steps[k, now], steps, starts, unsorted, blocks)
            if now:
                _prefetch(peaks[k, now - 1])
                _prefetch(peak_steps[k, now - 1])
            begin_reverse_pass(k, now, begin, grad_potentials, states, work)
            _pass(
                now, steps, ring, populations, connections, links, weights, thresholds, increments,
                owner, by_rank, lags, rows, row_potential, row, row1, origins, factors, found,
                peaks[k, now], grad_votes[k, now], grad_spikes[k, now], output, kind, slope, grad,
                neuron_grad, work, site_grad, delayed, has_site, starts, blocks, sites,
                unsorted, first, after,
            )  # fmt: skip
            reverse_biases(connections, populations, work, grad)
            if now:
                at = decay_of[k, now]
                end_reverse_pass(
                    k, now, populations, rows, row0, row, owner, decays[at], slopes[at], states,
                    work, neuron_grad,
                )  # fmt: skip
            row1, run1 = row, run
        row0, run0 = ends[1, k], ends[2, k]


@inlined
def _pass(
    now, steps, ring, populations, connections, links, weights, thresholds, increments, owner,
    by_rank, lags, rows, row_potential, row0, row1, origins, factors, runs, peaks, grad_votes,
    grad_spikes, output, kind, slope, grad, neuron_grad, work, site_grad, delayed, has_site, starts,
    blocks, sites, unsorted, first, after,
):  # fmt: skip
    """Visit one pass in reverse.

    On entry, ``work[V]`` holds the adjoint of the potential at the end of the pass; on return,
    the adjoint before the pass's bias was added. ``row0`` to ``row1`` is the pass's range in
    ``rows``; ``runs`` are its deliveries.
    """
    v, v_active, pending, spike_grad = work[V], work[V_ACTIVE], work[PENDING], work[SPIKE_GRAD]
    of_current = work[CURRENT]
    here = now % ring
    # The ring's entry still belongs to a pass that no spike of this one can reach.
    site_grad[here] = 0
    has_site[here] = False
    for i in range(v.size):
        v_active[i] = v[i] + of_current[i]
    open_integrators(here, populations, thresholds, v_active, site_grad, has_site)
    for r in range(row0, row1):
        i = rows[SpikeLog.NEURON, r]
        if rows[SpikeLog.FLAGS, r] & REFRACTORY_BIT:
            # After this spike, the neuron discarded all current that it received in the pass.
            v_active[i] = of_current[i]
    begin, out_begin = row0, populations[output, Populations.START]
    run1 = runs.shape[1]
    are_evaluated = True
    for p in range(first.size):
        are_evaluated &= first[p] >= 0
    if not are_evaluated:
        visit_unevaluated(
            steps, now, ring, populations, connections, links, weights, thresholds, increments,
            by_rank, lags, peaks, grad_votes, grad_spikes, output, kind, slope, neuron_grad, work,
            site_grad, has_site, first, after, sites, unsorted,
        )  # fmt: skip
    for step in range(steps - 1, -1, -1):
        row0, run = row1, run1
        while row0 > begin and rows[SpikeLog.STEP, row0 - 1] == step:
            row0 -= 1
        while run > 0 and runs[STEP, run - 1] == step:
            run -= 1
        # Compute dL/ds of all sites in the step before any potential's adjoint is updated: the
        # neurons of a step are evaluated together and cannot influence each other.
        for r in range(row0, row1):
            i = rows[SpikeLog.NEURON, r]
            spike_grad[i] = grad_spikes[owner[i]] + pending[i] + delayed[here, i]
            if owner[i] == output:
                spike_grad[i] += grad_votes[i - out_begin]
        j = starts[step]
        while j < starts[step + 1]:  # Each iteration takes the sites of one population.
            p, begun = owner[blocks[FIRST, j]], j
            while j < starts[step + 1] and owner[blocks[FIRST, j]] == p:
                j += 1
            silent_spike_grads(
                p, sites[: neurons_of(blocks[:, begun:j], sites)], now, ring, populations,
                connections, links, weights, lags, grad_votes, grad_spikes, output, site_grad,
                has_site, spike_grad,
            )  # fmt: skip
        reverse_spikes(
            rows, row0, row1, owner, populations, row_potential, thresholds, spike_grad, kind,
            slope, increments, work, neuron_grad,
        )  # fmt: skip
        for r in range(row0, row1):
            i = rows[SpikeLog.NEURON, r]
            v_active[i] = site_grad[here, i] = v[i] + of_current[i]
            has_site[here, owner[i]] = True
        j = starts[step]
        while j < starts[step + 1]:
            p, begun = owner[blocks[FIRST, j]], j
            while j < starts[step + 1] and owner[blocks[FIRST, j]] == p:
                j += 1
            visit_silences(
                p, blocks[:, begun:j], sites, here, populations, peaks, thresholds, kind, slope,
                increments, neuron_grad, work, site_grad, has_site,
            )  # fmt: skip
        for u in range(run, run1):
            begun, end = runs[BEGIN, u], runs[END, u]
            undo_delivery(
                now, ring, np.int64(runs[POPULATION, u]), np.int64(runs[VIA, u]),
                origins[begun:end], factors[begun:end], populations, connections, links, weights,
                lags, grad, v_active, pending, delayed,
            )  # fmt: skip
        # A step in which nothing was delivered is a late step, see `first_steps`.
        if step and run == run1 and not are_evaluated:
            visit_unevaluated(
                step, now, ring, populations, connections, links, weights, thresholds, increments,
                by_rank, lags, peaks, grad_votes, grad_spikes, output, kind, slope, neuron_grad,
                work, site_grad, has_site, first, after, sites, unsorted,
            )  # fmt: skip
        row1, run1 = row0, run
    delayed[here] = 0
