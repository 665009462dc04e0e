"""Backward pass through what happens to single neurons: the start of a pass, and spikes.

Write s for a spike, theta for the threshold, a for its adaptation, r for a delayed reset, i for the
synaptic current, and g for the adjoint dL/dv. In reverse, a site of a neuron computes

    d = (dL/ds + increment * dL/da) * surrogate(v - theta - a)

    dL/dv      = d + (0 if it fired with a reset to zero at once, else g)
    dL/dtheta += -d - (g if it fired and a reset subtracted the threshold at once,
                       -dL/dr if such a reset was delayed, else 0)
    dL/da     += the same

and the start of a pass, whose decay factors are alpha, alpha_syn and alpha_a, computes

    dL/di = alpha_syn * (dL/di + dL/dv)
    dL/da = alpha_a * dL/da
    dL/dr = -dL/dv
    dL/dv = alpha * (0 if the pass began with a reset to zero, else dL/dv)

Current that is delivered to a neuron has the adjoint dL/dv + dL/di, or dL/di if the neuron is
refractory. Derivatives of decay factors: ``neuroasync.train.neurons.learned``.

A reset has no gradient with respect to the spike that causes it. Source: the detached reset of
snnTorch, Eshraghian et al., Training spiking neural networks using lessons from deep learning,
Proceedings of the IEEE 111 (2023), arXiv 2109.12894. The adaptation has one: da/ds is its
increment. Source: Bellec et al., A solution to the learning dilemma for recurrent networks of
spiking neurons, Nature Communications 11 (2020).
"""

from neuroasync.core.kernels.jit import inlined, kernel
from neuroasync.core.kernels.layout import Connections, Populations, SpikeLog
from neuroasync.train.kernels.surrogate import derivative

__all__ = [
    "ADAPTATION",
    "CURRENT",
    "LEVEL",
    "RESET",
    "ROWS",
    "TAU_MEM",
    "TAU_SYN",
    "THRESHOLD",
    "V",
    "begin_reverse_pass",
    "end_reverse_pass",
    "reverse_biases",
    "reverse_silences",
    "reverse_spikes",
    "takes_threshold",
]

# Rows of the adjoints f32[ROWS, N].
V = 0
"""Adjoint of each neuron's membrane potential."""
CURRENT = 1
"""Adjoint of its synaptic current; 0 if it has none. It is the same during a whole pass."""
ADAPTATION = 2
"""Adjoint of its adaptation."""
RESET = 3
"""Adjoint of what a delayed reset subtracts at the start of the next pass."""
LEVEL = 4
"""Not an adjoint: its adaptation, at the place in the pass that is being visited."""
ROWS = 5

# Rows of the gradients f32[3, N], those of `neuroasync.train.neurons.learned.LEARNABLE`. They have
# no columns if nothing is learned.
TAU_MEM = 0
TAU_SYN = 1
THRESHOLD = 2


@inlined
def takes_threshold(row):
    """Return whether a reset of the population subtracts the threshold."""
    return row[Populations.SUBTRACTS] != 0 and row[Populations.HAS_AMOUNT] == 0


@inlined
def reverse_spikes(
    rows, row0, row1, owner, populations, potentials, thresholds, spike_grad, kind, slope,
    increments, adjoints, neuron_grad,
):  # fmt: skip
    """Visit the sites at which neurons fired, and update their adjoints.

    Args:
        rows: i64[5, R], the spikes ``row0`` to ``row1`` of the log; no neuron occurs twice.
        owner: i32[N], population of each neuron.
        populations: See ``neuroasync.core.kernels.layout``.
        potentials: f32[R], the potential at which each neuron fired.
        thresholds: f32[N], without the adaptation.
        spike_grad: f32[N], dL/ds, without the part of the adaptation.
        kind, slope: Surrogate derivative; see :mod:`.surrogate`.
        increments: f32[N], what a spike adds to the adaptation.
        adjoints: f32[ROWS, N].
        neuron_grad: f32[3, N], added to; or f32[3, 0].
    """
    learns = neuron_grad.shape[1] > 0
    for r in range(row0, row1):
        i = rows[SpikeLog.NEURON, r]
        p, ds, distance = owner[i], spike_grad[i], potentials[r] - thresholds[i]
        adapts = populations[p, Populations.ADAPTS] != 0
        if adapts:
            adjoints[LEVEL, i] -= increments[i]
            distance -= adjoints[LEVEL, i]
            ds += increments[i] * adjoints[ADAPTATION, i]
        d = ds * derivative(kind, slope, distance)
        if adapts or learns:
            of_threshold = -d
            if takes_threshold(populations[p]):
                is_delayed = populations[p, Populations.DELAYED]
                of_threshold += adjoints[RESET, i] if is_delayed else -adjoints[V, i]
            if adapts:
                adjoints[ADAPTATION, i] += of_threshold
            if learns:
                neuron_grad[THRESHOLD, i] += of_threshold
        adjoints[V, i] = d + adjoints[V, i] if populations[p, Populations.STAYS_ABOVE] else d


@inlined
def reverse_silences(
    row, sites, potentials, thresholds, spike_grad, kind, slope, increments, adjoints, neuron_grad
):  # fmt: skip
    """Visit the silent sites of one population, and update the adjoints of their neurons.

    Args:
        row: i64[..], the population.
        sites: i64[K], the neurons.
        potentials: f32[N], the potential of each neuron at its site.
        thresholds, spike_grad, kind, slope, increments, adjoints, neuron_grad: As in
            :func:`reverse_spikes`.
    """
    # Flags that are constant in the loop: the compiler makes a loop of each case.
    adapts, learns = row[Populations.ADAPTS] != 0, neuron_grad.shape[1] > 0
    for i in sites:
        ds, distance = spike_grad[i], potentials[i] - thresholds[i]
        if adapts:
            distance -= adjoints[LEVEL, i]
            ds += increments[i] * adjoints[ADAPTATION, i]
        d = ds * derivative(kind, slope, distance)
        if adapts:
            adjoints[ADAPTATION, i] -= d
        if learns:
            neuron_grad[THRESHOLD, i] -= d
        adjoints[V, i] += d


@inlined
def begin_reverse_pass(k, now, start, grad_potentials, states, adjoints):
    """Begin to visit pass ``now`` of sample ``k`` in reverse.

    Args:
        k, now: The sample and the pass.
        start: First neuron of the output population.
        grad_potentials: f32[S, T, classes], gradient of the loss with respect to the output's
            potentials at the end of each pass; without columns if they are not read.
        states: f32[3, S, T, N], potentials, currents and adaptations at the end of each pass;
            without elements if they are not needed.
        adjoints: f32[ROWS, N].
    """
    for c in range(grad_potentials.shape[2]):
        adjoints[V, start + c] += grad_potentials[k, now, c]
    if states.size:
        adjoints[LEVEL] = states[2, k, now]


@inlined
def reverse_biases(connections, populations, adjoints, grad):
    """Add the gradients of all biases, which the pass added before anything else."""
    for c in range(connections.shape[0]):
        at = connections[c, Connections.BIAS]
        if at >= 0:
            row = populations[connections[c, Connections.TARGET]]
            start, stop = row[Populations.START], row[Populations.STOP]
            grad[at : at + stop - start] += adjoints[V, start:stop]
            if row[Populations.HAS_CURRENT]:
                grad[at : at + stop - start] += adjoints[CURRENT, start:stop]


@inlined
def end_reverse_pass(
    k, now, populations, rows, row0, row, owner, decays, slopes, states, adjoints, neuron_grad
):  # fmt: skip
    """Visit the start of pass ``now``, which is not the first of the sample.

    Args:
        k, now: The sample and the pass.
        populations, rows: See ``neuroasync.core.kernels.layout``.
        row0, row: First row of the sample, and first row of the pass.
        owner: i32[N], population of each neuron.
        decays: f32[3, N], decay factors of potentials, currents and adaptations.
        slopes: f32[2, N], derivatives of the first two; without elements if nothing is learned.
        states, adjoints: As in :func:`begin_reverse_pass`.
        neuron_grad: f32[3, N], added to; or f32[3, 0].
    """
    v = adjoints[V]
    has_extras = False
    for p in range(populations.shape[0] - 1):
        has_extras |= populations[p, Populations.HAS_EXTRAS] != 0
    if has_extras:
        _reverse_extras(
            k, now, populations, rows, row0, row, owner, decays, slopes, states, adjoints,
            neuron_grad,
        )  # fmt: skip
    if neuron_grad.shape[1]:
        for i in range(v.size):
            neuron_grad[TAU_MEM, i] += v[i] * states[0, k, now - 1, i] * slopes[0, i]
    v *= decays[0]


@kernel
def _reverse_extras(
    k, now, populations, rows, row0, row, owner, decays, slopes, states, adjoints, neuron_grad
):  # fmt: skip
    """Visit the parts of a pass's start that only some neurons have."""
    for p in range(populations.shape[0] - 1):
        start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
        if populations[p, Populations.HAS_CURRENT]:
            for i in range(start, stop):
                total = adjoints[V, i] + adjoints[CURRENT, i]
                if neuron_grad.shape[1]:
                    neuron_grad[TAU_SYN, i] += total * states[1, k, now - 1, i] * slopes[1, i]
                adjoints[CURRENT, i] = decays[1, i] * total
        if populations[p, Populations.ADAPTS]:
            adjoints[ADAPTATION, start:stop] *= decays[2, start:stop]
        if populations[p, Populations.DELAYED]:
            adjoints[RESET, start:stop] = -adjoints[V, start:stop]
    r = row - 1
    while r >= row0 and rows[SpikeLog.PASS, r] == now - 1:
        i = rows[SpikeLog.NEURON, r]
        columns = populations[owner[i]]
        if columns[Populations.DELAYED] and columns[Populations.SUBTRACTS] == 0:
            adjoints[V, i] = 0
        r -= 1
