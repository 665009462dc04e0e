"""Decay, brought up to date block by block, when a block is first reached.

A neuron that nothing reaches costs nothing: its block of 16 has a clock, the pass until which it
has decayed, and the factors of the passes in between are multiplied in, one after the other, when
somebody looks. The result is that of decaying every neuron in every pass, to the bit. A block
whose clock is older than the sample is at rest.
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
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import BLOCK, Context, Control, Populations, Settings, Uniform

__all__ = ["catch_up_decay", "catch_up_decay_of_all", "catch_up_decay_of_block", "note_interval"]


@kernel
def catch_up_decay_of_block(c, p, b):
    """Bring block ``b``, of population ``p``, up to the present pass."""
    clocks, control = clocks_of(c), control_of(c)
    then, now = clocks[b], control[Control.CLOCK]
    if then == now and then >= control[Control.SAMPLE_CLOCK]:
        return
    clocks[b] = now
    populations = populations_of(c)
    start = (
        populations[p, Populations.START] + (b - populations[p, Populations.FIRST_BLOCK]) * BLOCK
    )
    stop = min(start + BLOCK, populations[p, Populations.STOP])
    if then < control[Control.SAMPLE_CLOCK]:
        _rest(c, start, stop)
    else:
        _decay(c, p, start, stop, then, now)


@kernel
def catch_up_decay(c, p):
    """Bring all neurons of population ``p`` up to the present pass."""
    clocks, control, populations = clocks_of(c), control_of(c), populations_of(c)
    start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
    first = populations[p, Populations.FIRST_BLOCK]
    last = first + (stop - start + BLOCK - 1) // BLOCK
    then, now = clocks[first], control[Control.CLOCK]
    agree = True
    for b in range(first, last):
        agree = agree and clocks[b] == then
    if not agree:
        for b in range(first, last):
            catch_up_decay_of_block(c, p, b)
    elif then < now or then < control[Control.SAMPLE_CLOCK]:
        for b in range(first, last):
            clocks[b] = now
        if then < control[Control.SAMPLE_CLOCK]:
            _rest(c, start, stop)
        else:
            _decay(c, p, start, stop, then, now)


@kernel
def catch_up_decay_of_all(c):
    """Bring every neuron up to the present pass."""
    for p in range(c[Context.POPULATION_COUNT]):
        catch_up_decay(c, p)


@kernel
def _rest(c, start, stop):
    potentials_of(c)[start:stop] = 0
    momenta_of(c)[start:stop] = 0
    if c[Context.MULTIPLICITY_AT] >= 0:
        multiplicity_of(c)[start:stop] = 0


@kernel
def _decay(c, p, start, stop, then, now):
    """Multiply in the factors of the passes from ``then + 1`` to ``now``."""
    v, populations = potentials_of(c)[start:stop], populations_of(c)
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


@kernel
def _scale(v, factor, times):
    """Multiply ``v`` by the factor, so many times; stop where that changes nothing any more."""
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
    """Before a pass that is not a sample's first: note what it decays by, if that varies.

    The factors are those of C's ``exp`` in float64, as Python's ``math.exp`` is.
    """
    if settings_of(c)[Settings.TIMESTEP_US] > 0:
        return
    control = control_of(c)
    ring, intervals = ring_of(c)
    _catch_up_decay_of_some(c, c[Context.BLOCKS] // (ring.shape[0] - 2) + 1)
    clock, room = control[Control.CLOCK], ring.shape[0]
    taus, at = taus_of(c), (clock + 1) % room
    intervals[at] = interval_us
    for p in range(ring.shape[1]):
        ring[at, p] = np.float32(math.exp(-interval_us / taus[p]))


@kernel
def _catch_up_decay_of_some(c, n):
    """Bring the next ``n`` blocks up to date that are not at rest, so that none falls too far back.

    Blocks take turns: each has its own before the ring forgets a pass that it has not decayed by.
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
