"""Backward pass over the turns of layer synchronization: backpropagation through time.

Under layer-sync, populations take turns, and each is evaluated as a whole. Every turn is therefore
a surrogate site of all its neurons that are not refractory, whether they fire or not. Write L for
the loss, g = dL/dv for the adjoint of the potential after the turn, s for the spike, and theta for
the threshold. In reverse, a turn computes

    dL/ds = gradient of the spike counts + sum over targets of weight * dL/dI
    dL/dv = dL/ds * surrogate(v - theta) + (0 if it fired with a reset to zero at once, else g)

dL/dI is the adjoint of the current that a target integrates at its next turn: its dL/dv there, or
0 if it is refractory or has no turn any more. Over a delayed connection, it is that of the target's
first turn in the pass in which the spike arrives. The spike is not differentiated where it resets
its neuron. :mod:`.neurons` has the equations of delayed resets, synaptic currents, adaptive
thresholds and learned parameters.

This is what torch computes when it differentiates a loop over the layers with the same surrogate.

Source: Werbos, Backpropagation through time: what it does and how to do it, Proceedings of the
IEEE 78 (1990). Surrogates: see :mod:`.surrogate`.
"""

import numpy as np

from neuroasync.core.kernels.array_views import f32_at
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    REFRACTORY_BIT,
    Connections,
    Populations,
    SpikeLog,
    TurnLog,
)
from neuroasync.train.kernels.accumulate import add_outer, add_weighted, borrowed
from neuroasync.train.kernels.neurons import (
    ADAPTATION,
    CURRENT,
    LEVEL,
    RESET,
    ROWS,
    THRESHOLD,
    V,
    begin_reverse_pass,
    end_reverse_pass,
    reverse_biases,
    takes_threshold,
)
from neuroasync.train.kernels.runs import BEGIN, END, PASS, POPULATION, VIA
from neuroasync.train.kernels.surrogate import derivative

__all__ = ["backward_turns"]


@kernel
def backward_turns(
    populations, connections, links, weights, thresholds, increments, owner, lags, decays, slopes,
    decay_of, rows, origins, factors, runs, turns, potentials, ends, states, grad_votes,
    grad_spikes, grad_potentials, output, kind, slope, grad, neuron_grad,
):  # fmt: skip
    """Add the gradients of the samples in a chunk to ``grad`` and ``neuron_grad``.

    Args:
        populations, connections, links, weights, thresholds: The network; see
            ``neuroasync.core.kernels.layout``.
        increments: f32[N], what a spike adds to the adaptation of its neuron.
        owner: i32[N], population of each neuron.
        lags: i64[C], delay of each connection in passes.
        decays: f32[D, 3, N], decay factors of each distinct interval between passes.
        slopes: f32[D, 2, N], derivatives of the first two; without elements if nothing is learned.
        decay_of: i64[S, T], row of ``decays`` for the interval before each pass.
        rows, origins, factors, runs, turns, potentials, ends, states: The event record; see
            ``forward``.
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
    # Accessing the arrays by address avoids atomic reference counts, on which the threads would
    # wait for each other.
    populations, connections, links = borrowed(populations), borrowed(connections), borrowed(links)
    rows, runs, turns = borrowed(rows), borrowed(runs), borrowed(turns)
    origins, factors = borrowed(origins), borrowed(factors)
    weights = f32_at(weights.ctypes.data, weights.size)
    thresholds = f32_at(thresholds.ctypes.data, thresholds.size)
    potentials = f32_at(potentials.ctypes.data, potentials.size)
    increments = f32_at(increments.ctypes.data, increments.size)
    grad = f32_at(grad.ctypes.data, grad.size)
    begin = populations[output, Populations.START]
    neurons, count = thresholds.size, populations.shape[0] - 1
    # A spike reaches at most lags.max() passes ahead, so a ring of that many passes and the
    # current one holds everything that earlier passes need of later ones.
    ring = 1 + (lags.max() if lags.size else 0)
    adjoints, spike_grad = np.empty((ROWS, neurons), np.float32), np.empty(neurons, np.float32)
    current_grad = np.empty((ring, neurons), np.float32)
    has_turn = np.empty((ring, count), np.bool_)
    is_refractory = np.zeros(neurons, np.bool_)
    sites, everyone = np.empty(neurons, np.int32), np.arange(neurons).astype(np.int32)
    fired, once = np.empty(neurons, np.int32), np.ones(neurons, np.float32)
    row0, run0, turn0 = 0, 0, 0
    for k in range(ends.shape[1]):
        row1, run1, turn1 = ends[1, k], ends[2, k], ends[3, k]
        adjoints[:] = 0
        current_grad[:] = 0
        has_turn[:] = False
        for now in range(ends[0, k] - 1, -1, -1):
            row, run, turn = row1, run1, turn1
            while row > row0 and rows[SpikeLog.PASS, row - 1] == now:
                row -= 1
            while run > run0 and runs[PASS, run - 1] == now:
                run -= 1
            while turn > turn0 and turns[TurnLog.PASS, turn - 1] == now:
                turn -= 1
            begin_reverse_pass(k, now, begin, grad_potentials, states, adjoints)
            _pass(
                now, ring, populations, connections, links, weights, thresholds, increments, lags,
                rows, row, row1, origins, factors, runs[:, run:run1], turns, turn, turn1,
                potentials, grad_votes[k, now], grad_spikes[k, now], output, kind, slope, grad,
                neuron_grad, adjoints, spike_grad, current_grad, has_turn, is_refractory, sites,
                everyone, fired, once,
            )  # fmt: skip
            reverse_biases(connections, populations, adjoints, grad)
            if now:
                at = decay_of[k, now]
                end_reverse_pass(
                    k, now, populations, rows, row0, row, owner, decays[at], slopes[at], states,
                    adjoints, neuron_grad,
                )  # fmt: skip
            row1, run1, turn1 = row, run, turn
        row0, run0, turn0 = ends[1, k], ends[2, k], ends[3, k]


@kernel
def _pass(
    now, ring, populations, connections, links, weights, thresholds, increments, lags, rows, row0,
    row1, origins, factors, runs, turns, turn0, turn1, potentials, grad_votes, grad_spikes, output,
    kind, slope, grad, neuron_grad, adjoints, spike_grad, current_grad, has_turn, is_refractory,
    sites, everyone, neurons, once,
):  # fmt: skip
    """Visit one pass in reverse.

    On entry, ``adjoints`` are those at the end of the pass; on return, those before the pass's bias
    was added. ``current_grad`` and ``has_turn`` have a row for each pass of the ring: dL/dI of each
    neuron, and whether a population has had a turn.
    """
    here, v = now % ring, adjoints[V]
    # The ring's entry still belongs to a pass that no spike of this one can reach.
    current_grad[here] = 0
    has_turn[here] = False
    for r in range(row0, row1):
        if rows[SpikeLog.FLAGS, r] & REFRACTORY_BIT:
            is_refractory[rows[SpikeLog.NEURON, r]] = True
    for t in range(turn1 - 1, turn0 - 1, -1):
        p, at = turns[TurnLog.POPULATION, t], turns[TurnLog.POTENTIALS, t]
        start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
        row = row1
        while (
            row > row0
            and rows[SpikeLog.STEP, row - 1] == turns[TurnLog.STEP, t]
            and start <= rows[SpikeLog.NEURON, row - 1] < stop
        ):
            row -= 1
        fired = neurons[: row1 - row]
        for r in range(row, row1):
            fired[r - row] = rows[SpikeLog.NEURON, r]
        for i in fired:
            is_refractory[i] = False  # until it fired
            if populations[p, Populations.STAYS_ABOVE] == 0:
                v[i] = 0
        evaluated = _evaluated(start, stop, is_refractory, sites, everyone)
        _spike_grads(
            now, ring, p, evaluated, fired, populations, connections, links, weights, lags,
            grad_votes, grad_spikes, output, grad, spike_grad, current_grad, has_turn, once,
        )  # fmt: skip
        current_grad[here, start:stop] = 0
        if populations[p, Populations.ADAPTS] or neuron_grad.shape[1]:
            _reverse_thresholds(
                populations[p], at - start, evaluated, fired, thresholds, increments, potentials,
                kind, slope, spike_grad, adjoints, neuron_grad,
            )  # fmt: skip
            for i in evaluated:
                v[i] += spike_grad[i]
                current_grad[here, i] = v[i]
        else:
            for i in evaluated:
                v[i] += spike_grad[i] * derivative(
                    kind, slope, potentials[at + i - start] - thresholds[i]
                )
                current_grad[here, i] = v[i]
        if populations[p, Populations.HAS_CURRENT]:  # also of neurons that are refractory
            current_grad[here, start:stop] += adjoints[CURRENT, start:stop]
        has_turn[here, p] = True
        row1 = row
    _input_outer(
        origins, factors, runs, populations, connections, links, lags, current_grad[here], grad
    )


@kernel
def _reverse_thresholds(
    row, shift, evaluated, fired, thresholds, increments, potentials, kind, slope, spike_grad,
    adjoints, neuron_grad,
):  # fmt: skip
    """Visit the spikes and thresholds of a turn: write d to ``spike_grad``, see :mod:`.neurons`.

    Args:
        row: i64[..], the population.
        shift: The potential of neuron i is ``potentials[shift + i]``.
        evaluated, fired: As in :func:`_spike_grads`.
        thresholds, increments, potentials, kind, slope: As in :func:`backward_turns`.
        spike_grad: f32[N], dL/ds without the part of the adaptation; replaced by d.
        adjoints, neuron_grad: As in :func:`reverse_spikes`.
    """
    adapts, learns = row[Populations.ADAPTS] != 0, neuron_grad.shape[1] > 0
    if adapts:
        for i in fired:
            adjoints[LEVEL, i] -= increments[i]
    for i in evaluated:
        distance = potentials[shift + i] - thresholds[i]
        if adapts:
            distance -= adjoints[LEVEL, i]
            spike_grad[i] += increments[i] * adjoints[ADAPTATION, i]
        spike_grad[i] *= derivative(kind, slope, distance)
        if adapts:
            adjoints[ADAPTATION, i] -= spike_grad[i]
        if learns:
            neuron_grad[THRESHOLD, i] -= spike_grad[i]
    if takes_threshold(row):
        for i in fired:
            g = adjoints[RESET, i] if row[Populations.DELAYED] else -adjoints[V, i]
            if adapts:
                adjoints[ADAPTATION, i] += g
            if learns:
                neuron_grad[THRESHOLD, i] += g


@kernel
def _evaluated(start, stop, is_refractory, sites, everyone):
    """Return the neurons from ``start`` to ``stop`` that are not refractory, ascending."""
    n = 0
    for i in range(start, stop):
        sites[n] = i
        n += not is_refractory[i]
    return everyone[start:stop] if n == stop - start else sites[:n]


@kernel
def _spike_grads(
    now, ring, p, evaluated, fired, populations, connections, links, weights, lags, grad_votes,
    grad_spikes, output, grad, spike_grad, current_grad, has_turn, once,
):  # fmt: skip
    """Write dL/ds of the neurons of a turn; add the gradients of the weights of its spikes.

    Args:
        evaluated: i32[K], neurons of population ``p`` that were not refractory.
        fired: i32[..], neurons that fired.
        once: f32[N], ones.
    """
    first = populations[p, Populations.START]
    for i in evaluated:
        spike_grad[i] = grad_spikes[p]
        if p == output:
            spike_grad[i] += grad_votes[i - first]
    for j in range(populations[p, Populations.OUT_START], populations[p, Populations.OUT_STOP]):
        c = links[j]
        q, there = connections[c, Connections.TARGET], (now + lags[c]) % ring
        if has_turn[there, q]:
            start, stop = populations[q, Populations.START], populations[q, Populations.STOP]
            g = current_grad[there, start:stop]
            add_weighted(connections[c], evaluated, first, links, weights, g, spike_grad)
            add_outer(connections[c], fired, once[: fired.size], first, links, g, grad)


@kernel
def _input_outer(origins, factors, runs, populations, connections, links, lags, current_grad, grad):
    """Add the gradients of the weights over which input events arrived in a pass.

    All input is delivered before the first turn.
    """
    row = populations[populations.shape[0] - 1]
    for u in range(runs.shape[1]):
        if runs[POPULATION, u] >= 0:
            continue
        begin, end, via = runs[BEGIN, u], runs[END, u], runs[VIA, u]
        for j in range(row[Populations.OUT_START], row[Populations.OUT_STOP]):
            c = links[j]
            if (c == via) if via >= 0 else (lags[c] == 0):
                q = connections[c, Connections.TARGET]
                g = current_grad[
                    populations[q, Populations.START] : populations[q, Populations.STOP]
                ]
                add_outer(
                    connections[c], origins[begin:end], factors[begin:end],
                    row[Populations.START], links, g, grad,
                )  # fmt: skip
