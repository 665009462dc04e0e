"""Decay of membrane potentials, applied lazily to blocks of neurons.

A pass at virtual time t decays every neuron by

    v *= float32(exp(-(t - t_prev) / tau_mem))

where ``t_prev`` is the time of the previous pass. The factor is computed in float64 by C's ``exp``,
as Python's ``math.exp`` computes it, and rounded once. The first pass of a sample has no decay.

A neuron that nothing reaches should cost nothing. Each block of 16 neurons has a clock, the number
of the pass up to which it has decayed. When the block is next reached or read, it is multiplied by
the factors of the passes since then, one after the other. The result equals that of decaying every
neuron in every pass, to the bit. A block whose clock is older than the sample is at rest: its
potentials count as 0.

With a timestep, all factors are equal and lie in the packed network. Without one, a ring buffer
remembers the factors of the latest passes, and a sweep applies the decay of each block before the
ring forgets a pass that the block still needs.

Neurons with further state variables: :mod:`neuroasync.core.kernels.neurons.extra_decay`.

Source of the neuron model: Koopman et al., arXiv 2408.05098.
"""

import math

import numpy as np

from neuroasync.core.kernels.array_views import (
    clocks_of,
    control_of,
    factors_of,
    momenta_of,
    multiplicity_of,
    populations_of,
    potentials_of,
    ring_of,
    settings_of,
    taus_of,
    uniform_of,
)
from neuroasync.core.kernels.jit import inlined_uncounted, kernel, uncounted
from neuroasync.core.kernels.layout import BLOCK, Context, Control, Populations, Settings, Uniform
from neuroasync.core.kernels.neurons.extra_decay import decay_with_extras
from neuroasync.core.kernels.neurons.views import extra_state_of
from neuroasync.core.kernels.vectors.scaling import clear_lanes, scale_lanes

__all__ = ["catch_up_decay", "catch_up_decay_of_all", "catch_up_decay_of_block", "note_interval"]


@inlined_uncounted
def catch_up_decay_of_block(c, p, b):
    """Apply the decay of block ``b`` of population ``p`` up to the current pass."""
    clocks, control = clocks_of(c), control_of(c)
    then, now = clocks[b], control[Control.CLOCK]
    if then == now and then >= control[Control.SAMPLE_CLOCK]:
        return
    clocks[b] = now
    row = populations_of(c)[p]
    start = row[Populations.START] + (b - row[Populations.FIRST_BLOCK]) * BLOCK
    stop, v = start + BLOCK, c[Context.SESSION] + c[Context.V_AT] + 4 * start
    is_whole, was_at_rest = stop <= row[Populations.STOP], then < control[Control.SAMPLE_CLOCK]
    if is_whole and was_at_rest and c[Context.MULTIPLICITY_AT] & c[Context.EXTRA_STATE_AT] < 0:
        clear_lanes(v)
        clear_lanes(c[Context.SESSION] + c[Context.MOMENTUM_AT] + 4 * start)
    elif is_whole and not was_at_rest and row[Populations.DECAYS_IN_LANES]:
        scale_lanes(v, uniform_of(c)[p, Uniform.FACTOR], now - then)
    else:
        _catch_up(c, p, start, min(stop, row[Populations.STOP]), then, now)


@inlined_uncounted
def _catch_up(c, p, start, stop, then, now):
    """Apply the decay of the neurons from ``start`` to ``stop``, which have one clock."""
    if then < control_of(c)[Control.SAMPLE_CLOCK]:
        _rest(c, start, stop)
    else:
        _decay(c, p, start, stop, then, now)


@uncounted
def catch_up_decay(c, p):
    """Apply the decay of all neurons of population ``p`` up to the current pass."""
    clocks, control, populations = clocks_of(c), control_of(c), populations_of(c)
    start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
    first = populations[p, Populations.FIRST_BLOCK]
    last = first + (stop - start + BLOCK - 1) // BLOCK
    then, now = clocks[first], control[Control.CLOCK]
    agree = True  # one pass over all neurons is faster than one per block
    for b in range(first, last):
        agree = agree and clocks[b] == then
    if not agree:
        for b in range(first, last):
            catch_up_decay_of_block(c, p, b)
    elif then < now or then < control[Control.SAMPLE_CLOCK]:
        for b in range(first, last):
            clocks[b] = now
        _catch_up(c, p, start, stop, then, now)


@kernel
def catch_up_decay_of_all(c):
    """Apply the decay of every neuron up to the current pass."""
    for p in range(c[Context.POPULATION_COUNT]):
        catch_up_decay(c, p)


@uncounted
def _rest(c, start, stop):
    """Put the neurons from ``start`` to ``stop`` at rest."""
    potentials_of(c)[start:stop] = 0
    momenta_of(c)[start:stop] = 0
    if c[Context.MULTIPLICITY_AT] >= 0:
        multiplicity_of(c)[start:stop] = 0
    if c[Context.EXTRA_STATE_AT] >= 0:
        extra_state_of(c)[:, start:stop] = 0


@uncounted
def _decay(c, p, start, stop, then, now):
    """Multiply by the factors of the passes from ``then + 1`` to ``now``."""
    v, populations = potentials_of(c)[start:stop], populations_of(c)
    if populations[p, Populations.HAS_EXTRAS]:
        decay_with_extras(c, p, start, stop, then, now)
        return
    is_homogeneous = populations[p, Populations.HOMOGENEOUS] != 0
    if settings_of(c)[Settings.TIMESTEP_US] > 0:
        if is_homogeneous:
            _scale(v, uniform_of(c)[p, Uniform.FACTOR], now - then)
            return
        factors = factors_of(c)[start:stop]
        for i in range(v.size):
            _scale(v[i : i + 1], factors[i], now - then)
        return
    ring, intervals = ring_of(c)
    for clock in range(then + 1, now + 1):
        at = clock % ring.shape[0]
        if is_homogeneous:
            _scale(v, ring[at, p], 1)
            continue
        taus = taus_of(c)[c[Context.POPULATION_COUNT] :]
        for i in range(v.size):
            v[i] *= np.float32(math.exp(-intervals[at] / taus[start + i]))


@uncounted
def _scale(v, factor, times):
    """Multiply ``v`` by the factor ``times`` times; stop early once ``v`` no longer changes."""
    for _ in range(times):
        changed = False
        for i in range(v.size):
            scaled = v[i] * factor
            changed |= scaled != v[i]
            v[i] = scaled
        if not changed:
            return


@kernel
def note_interval(c, interval_us):
    """Store the decay factors of the pass that begins, unless a timestep makes them constant.

    Call it before every pass except the first of a sample.

    Args:
        c: the context.
        interval_us: time since the previous pass, µs.
    """
    if settings_of(c)[Settings.TIMESTEP_US] > 0:
        return
    control = control_of(c)
    ring, intervals = ring_of(c)
    # At this rate every block is visited at least once while the ring remembers a pass.
    _catch_up_decay_of_some(c, c[Context.BLOCKS] // (ring.shape[0] - 2) + 1)
    clock, room = control[Control.CLOCK], ring.shape[0]
    taus, at = taus_of(c), (clock + 1) % room
    intervals[at] = interval_us
    for p in range(ring.shape[1]):
        ring[at, p] = np.float32(math.exp(-interval_us / taus[p]))


@kernel
def _catch_up_decay_of_some(c, n):
    """Apply the decay of the next ``n`` blocks, skipping those at rest.

    Blocks are visited in turn, so that each is visited before the ring forgets a pass whose decay
    the block has not applied.
    """
    clocks, control, populations = clocks_of(c), control_of(c), populations_of(c)
    p = 0
    for _ in range(min(n, clocks.size)):
        b = control[Control.NEXT_BLOCK]
        control[Control.NEXT_BLOCK] = b + 1 if b + 1 < clocks.size else 0
        if clocks[b] < control[Control.SAMPLE_CLOCK]:
            continue
        if b < populations[p, Populations.FIRST_BLOCK]:
            p = 0
        while (
            p + 1 < c[Context.POPULATION_COUNT] and populations[p + 1, Populations.FIRST_BLOCK] <= b
        ):
            p += 1
        catch_up_decay_of_block(c, p, b)
        control[Control.WORK] += BLOCK
