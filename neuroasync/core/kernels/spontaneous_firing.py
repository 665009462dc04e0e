"""Spontaneous firing: neurons above threshold that no group has reached in the pass."""

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    counts_of,
    last_group_of,
    populations_of,
    potentials_of,
    suprathreshold_of,
)
from neuroasync.core.kernels.decay import (
    catch_up_decay_of_block,
)
from neuroasync.core.kernels.delivery.owners import owner_of
from neuroasync.core.kernels.delivery.synapses import mark_target
from neuroasync.core.kernels.jit import uncounted
from neuroasync.core.kernels.layout import (
    BLOCK,
    SUPRATHRESHOLD_BIT,
    Control,
    Populations,
    StepCounts,
)
from neuroasync.core.kernels.neurons.views import threshold_at

__all__ = ["find_spontaneous_population", "mark_spontaneous_targets"]


@uncounted
def find_spontaneous_population(c):
    """Return the population that fires spontaneously next, or -1 if there is none.

    It is the lowest-ranked one that has a neuron above threshold which no group reached in this
    pass. Neurons that are no longer above threshold are removed from ``suprathreshold``.
    """
    control, best, kept = control_of(c), -1, 0
    if control[Control.SUPRATHRESHOLD] == 0:
        return best
    suprathreshold, last_group, populations = (
        suprathreshold_of(c),
        last_group_of(c),
        populations_of(c),
    )
    for k in range(control[Control.SUPRATHRESHOLD]):
        i = suprathreshold[k]
        p = owner_of(c, i)
        block = (i - populations[p, Populations.START]) // BLOCK
        catch_up_decay_of_block(c, p, populations[p, Populations.FIRST_BLOCK] + block)
        if potentials_of(c)[i] <= threshold_at(c, populations[p], i):
            last_group[i] &= ~np.int32(SUPRATHRESHOLD_BIT)
            continue
        suprathreshold[kept] = i
        kept += 1
        if last_group[i] < control[Control.PASS_MARK] and (
            best < 0 or populations[p, Populations.TURN] < populations[best, Populations.TURN]
        ):
            best = p
    control[Control.SUPRATHRESHOLD] = kept
    return best


@uncounted
def mark_spontaneous_targets(c, p):
    """Mark the neurons of ``p`` that fire spontaneously as reached, with no current and no spike.

    Integrating the population then finds them above threshold.
    """
    control, populations = control_of(c), populations_of(c)
    suprathreshold, last_group = suprathreshold_of(c), last_group_of(c)
    counts_of(c)[StepCounts.REACHED, p] = 1
    for k in range(control[Control.SUPRATHRESHOLD]):
        i = suprathreshold[k]
        inside = populations[p, Populations.START] <= i < populations[p, Populations.STOP]
        if inside and last_group[i] < control[Control.PASS_MARK]:
            mark_target(c, p, i, 0)
