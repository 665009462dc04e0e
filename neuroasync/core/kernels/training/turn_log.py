"""The log of turns, from which the trainer computes gradients under layer-sync."""

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    fired_of,
    last_group_of,
    momenta_of,
    populations_of,
    potentials_of,
    received_of,
    turn_log_of,
)
from neuroasync.core.kernels.decay import catch_up_decay
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Context, Control, Populations, TurnLog

__all__ = ["lacks_turn_capacity", "log_turn"]


@kernel
def lacks_turn_capacity(c):
    """Return whether turns are logged, but the next one might not fit."""
    return c[Context.TURN_LOG_CAPACITY] > 0 and (
        c[Context.TURNS] == c[Context.TURN_LOG_CAPACITY]
        or c[Context.TURN_POTENTIALS_CAPACITY] - _end(c) < c[Context.NEURONS]
    )


@kernel
def _end(c):
    """Return the number of potentials in the log."""
    if c[Context.TURNS] == 0:
        return np.int64(0)
    turns, latest, populations = turn_log_of(c)[0], c[Context.TURNS] - 1, populations_of(c)
    p = turns[TurnLog.POPULATION, latest]
    size = populations[p, Populations.STOP] - populations[p, Populations.START]
    return turns[TurnLog.POTENTIALS, latest] + size


@kernel
def log_turn(c, p, n):
    """Log the turn of population ``p``, in which ``n`` neurons fired.

    The potentials are those that were compared with the thresholds: a silent neuron still has it,
    and the momentum of a neuron that fired is its potential before the reset. Those of refractory
    neurons, which were not compared, mean nothing.
    """
    catch_up_decay(c, p)
    control, row, at = control_of(c), populations_of(c)[p], _end(c)
    start, stop = row[Populations.START], row[Populations.STOP]
    (turns, potentials), t = turn_log_of(c), c[Context.TURNS]
    turns[TurnLog.PASS, t], turns[TurnLog.STEP, t] = control[Control.PASS], control[Control.STEP]
    turns[TurnLog.POPULATION, t], turns[TurnLog.POTENTIALS, t] = p, at
    c[Context.TURNS] += 1
    potentials[at : at + stop - start] = potentials_of(c)[start:stop]
    if row[Populations.SYNC_THRESHOLD]:
        received, last_group = received_of(c), last_group_of(c)
        for i in range(start, stop):
            is_reached = last_group[i] >= control[Control.PASS_MARK]
            if not is_reached or received[i] < row[Populations.SYNC_THRESHOLD]:
                potentials[at + i - start] = -np.inf
    fired, momenta = fired_of(c), momenta_of(c)
    for k in range(start, start + n):
        potentials[at + fired[k] - start] = momenta[fired[k]]
