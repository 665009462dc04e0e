"""The forward pass as a state machine, which both engines run.

:func:`run_to_delivery` does all but let populations integrate: it opens passes, chooses and
delivers, and
returns when a group has reached its populations. The coroutine engine then resumes theirs, which
call :func:`~neuroasync.core.kernels.integrate_and_fire.evaluate`; the compiled engine,
:func:`advance`, does that
itself.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels import layout as lay
from neuroasync.core.kernels.array_views import (
    control_of,
    counts_of,
    due_of,
    input_times,
    populations_of,
    settings_of,
    spikes_of,
    votes_of,
    waiting_of,
)
from neuroasync.core.kernels.input_delivery import note_delayed, open_group
from neuroasync.core.kernels.integrate_and_fire import (
    evaluate,
    late_population,
    start_pass,
    touch_late,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.pending_spikes import choose, enqueue_fired, take
from neuroasync.core.kernels.synapses import deliver
from neuroasync.core.kernels.voting import leader, should_stop

__all__ = ["MOST_IN_A_MASK", "advance", "begin", "carry", "run_to_delivery", "take_chosen"]

MOST_IN_A_MASK: Final = 62
_STEP_COST: Final = 64
"""What a pass or a forward step costs besides its synaptic operations, in these."""


@kernel
def begin(c, seed):
    """Start a sample from rest. Neurons notice when they are next reached."""
    control = control_of(c)
    votes_of(c)[:] = 0
    spikes_of(c)[:] = 0
    clock, mark, work = control[lay.CLOCK], control[lay.NOW], control[lay.WORK]
    sweep = control[lay.SWEEP]
    control[:] = 0
    control[lay.PASS] = -1
    control[lay.FIRST_VOTE] = -1
    control[lay.LAST_OWNER] = -1
    control[lay.SEED] = seed
    control[lay.CLOCK] = clock
    control[lay.SWEEP] = sweep
    control[lay.SAMPLE_CLOCK] = clock + 1
    control[lay.NOW] = mark + lay.MARK
    control[lay.SAMPLE_MARK] = control[lay.NOW]
    control[lay.PASS_MARK] = control[lay.NOW]
    control[lay.WORK] = work
    populations = populations_of(c)
    for p in range(c[lay.POPULATION_COUNT]):
        if populations[p, lay.EXTERNAL]:  # its neurons are never reached here
            waiting_of(c)[populations[p, lay.START] : populations[p, lay.STOP]] = 0


@kernel
def carry(c, seed, shift_us):
    """Start a sample where the one before is, between two passes: ``shift_us`` is its time 0.

    Potentials and spikes in flight stay; votes and counters begin anew.
    """
    control, due = control_of(c), due_of(c)
    votes_of(c)[:] = 0
    spikes_of(c)[:] = 0
    for column in (
        lay.SERIAL, lay.ROUNDS, lay.STEPS, lay.SYNOPS, lay.SPIKES, lay.INPUTS,
        lay.FIRST_VOTE_ROUNDS, lay.FIRST_VOTE_SPIKES, lay.TOP, lay.IS_DECIDED,
    ):  # fmt: skip
        control[column] = 0
    control[lay.PASS] = control[lay.FIRST_VOTE] = control[lay.LAST_OWNER] = -1
    control[lay.SEED] = seed
    control[lay.TIME] -= shift_us
    for k in range(control[lay.DUE]):
        due[lay.DUE_AT, k] -= shift_us
        due[lay.FIRED_AT, k] -= shift_us


@kernel
def run_to_delivery(c, end_us, work):
    """Go on to where populations are to integrate, or something is needed.

    Args:
        c: the context.
        end_us: passes at virtual times up to this one take place.
        work: about how many synaptic operations may be spent before returning.

    Returns:
        The populations that are to integrate: bit p of a mask for population p, or ``MANY``; they
        may be none. Or one of ``DONE``, ``BUDGET_SPENT``, ``NEEDS_ROOM``, ``NEEDS_CHOICE``,
        ``NEEDS_RULE``, ``NEW_LEADER``, ``DECIDED``, ``STEP_LIMIT``, ``PASS_LIMIT``. Calling it
        again goes on where it returned.
    """
    control = control_of(c)
    limit = control[lay.WORK] + work
    while True:
        phase = control[lay.PHASE]
        if phase == lay.DELIVERING:
            if not deliver(c, limit):
                return lay.BUDGET_SPENT
            control[lay.PHASE] = lay.INTEGRATING
            return _reached(c)
        if phase == lay.STOPPED:
            return lay.DONE
        if phase == lay.INTEGRATING:
            _admit_all(c)
            control[lay.PHASE] = lay.CHOOSING
            if should_stop(c):
                if control[lay.CARRIES]:
                    control[lay.IS_DECIDED] = 1
                    return lay.DECIDED
                control[lay.PHASE] = lay.STOPPED
                return lay.DONE
            if settings_of(c)[lay.RULE] == lay.CALLABLE and control[lay.IS_DECIDED] == 0:
                return lay.NEEDS_RULE
        if control[lay.WATCHED] and control[lay.WATCHED] != 2 + leader(votes_of(c)):
            return lay.NEW_LEADER
        if control[lay.WORK] > limit:
            return lay.BUDGET_SPENT
        why = _choose_group(c)
        if why == lay.DONE:
            control[lay.PHASE] = lay.BETWEEN_PASSES
            why = _open_pass(c, end_us)
        if why < 0:
            return why
        _open_step(c)


@kernel
def _reached(c):
    """The populations that the group reaches, as a mask."""
    reaches, mask = counts_of(c)[lay.REACHES], 0
    if reaches.size > MOST_IN_A_MASK:
        return lay.MANY
    for p in range(reaches.size):
        mask |= reaches[p] << p
    return mask


@kernel
def _admit_all(c):
    """Enter who fired in this step, in ascending (population, neuron) order."""
    reaches = counts_of(c)[lay.REACHES]
    for p in range(reaches.size):
        if reaches[p]:
            enqueue_fired(c, p)


@kernel
def _open_step(c):
    """A group was made: it is to be delivered."""
    control = control_of(c)
    note_delayed(c)
    control[lay.SLOT] = 0
    control[lay.PHASE] = lay.DELIVERING
    control[lay.WORK] += _STEP_COST


@kernel
def _lacks_room(c, needed):
    """Whether there is no room for a step of ``needed`` spike events; notes how many they are."""
    control, neurons = control_of(c), c[lay.NEURONS]
    control[lay.NEEDED] = needed
    return (
        c[lay.GROUP_ROOM] < needed
        or c[lay.PENDING_ROOM] - control[lay.HEAD] < control[lay.PENDING] + needed + neurons
        or c[lay.DUE_ROOM] - control[lay.DUE] < needed * settings_of(c)[lay.FAN_DELAYED]
        or (c[lay.ROWS_ROOM] > 0 and c[lay.ROWS_ROOM] - control[lay.ROWS] < neurons)
        or (c[lay.SLOTS_ROOM] > 0 and c[lay.SLOTS_ROOM] - control[lay.SLOTS] < needed)
    )


@kernel
def _clear_counts(c):
    counts_of(c)[:] = 0


@kernel
def _choose_group(c):
    """Make the pass's next group; ``DONE`` if the pass is over, or none has begun."""
    control, settings = control_of(c), settings_of(c)
    if control[lay.PHASE] != lay.CHOOSING:
        return lay.DONE
    n, late = control[lay.PENDING], -1
    if n == 0:
        late = late_population(c)
        if late < 0:
            return lay.DONE
    if control[lay.STEP] >= settings[lay.MAX_STEPS]:
        return lay.STEP_LIMIT
    if _lacks_room(c, n):
        return lay.NEEDS_ROOM
    if late >= 0:
        _start_late_step(c, late)
    elif settings[lay.POLICY] == lay.CUSTOM:
        return lay.NEEDS_CHOICE
    else:
        _clear_counts(c)
        take(c, choose(c))
    return 0


@kernel
def _start_late_step(c, p):
    """Open a forward step that delivers nothing: neurons of ``p`` fire late."""
    control = control_of(c)
    _clear_counts(c)
    control[lay.STEP] += 1
    control[lay.STEPS] += 1
    control[lay.SERIAL] += 1
    control[lay.NOW] += lay.MARK
    control[lay.GROUP] = 0
    touch_late(c, p)


@kernel
def take_chosen(c, n):
    """Deliver next the ``n`` pending spikes at the positions ``chosen``, after ``NEEDS_CHOICE``."""
    _clear_counts(c)
    take(c, n)
    _open_step(c)


@kernel
def _open_pass(c, end_us):
    """Begin the next pass; ``DONE`` if there is none up to ``end_us``."""
    control, settings, t_us = control_of(c), settings_of(c), input_times(c)
    timestep = settings[lay.TIMESTEP]
    time = _next_pass_time(c, t_us, timestep)
    if time < 0 or time > end_us:
        return lay.DONE
    if control[lay.PASS] + 1 >= settings[lay.MAX_PASSES] and control[lay.IS_DECIDED] == 0:
        return lay.PASS_LIMIT
    first = control[lay.CURSOR]
    last, end = first, time + max(timestep, 1)
    while last < t_us.size and t_us[last] < end:
        last += 1
    if _lacks_room(c, last - first + control[lay.DUE]):
        return lay.NEEDS_ROOM
    _clear_counts(c)
    start_pass(c, time)
    control[lay.CURSOR] = last
    open_group(c, first, last)
    return 0


@kernel
def _next_pass_time(c, t_us, timestep):
    """Virtual time of the next pass, or -1 if nothing calls for one."""
    control = control_of(c)
    if timestep > 0:
        return (control[lay.PASS] + 1) * timestep
    time, due = np.int64(-1), due_of(c)
    if control[lay.CURSOR] < t_us.size:
        time = t_us[control[lay.CURSOR]]
    for k in range(control[lay.DUE]):
        if time < 0 or due[lay.DUE_AT, k] < time:
            time = due[lay.DUE_AT, k]
    return time


@kernel
def advance(c, end_us, work):
    """Run passes until the sample ends, its stop rule says stop, or something is needed.

    Arguments are those of :func:`run_to_delivery`, and so is what it returns, but for populations.
    """
    control, counts, limit = control_of(c), counts_of(c), control_of(c)[lay.WORK] + work
    while True:
        why = run_to_delivery(c, end_us, limit - control[lay.WORK])
        if why < 0 and why != lay.MANY:
            return why
        for p in range(counts.shape[1]):
            if counts[lay.REACHES, p]:
                evaluate(c, p)
