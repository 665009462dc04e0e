"""The forward pass as a state machine that both engines run.

:func:`run_to_delivery` opens passes, selects groups of pending spikes and delivers them. It returns
when a group has reached populations, which then must integrate. The coroutine engine resumes a
coroutine per population, which calls
:func:`~neuroasync.core.kernels.integrate_and_fire.integrate_and_fire`. The compiled engine,
:func:`run_compiled`, calls that kernel itself.

``Control.PHASE`` holds the state, so that every return can be followed by another call::

    BETWEEN_PASSES -> READING -> OPENING -> DELIVERING -> INTEGRATING
                                    ^                          |
                                    |                          v
                                  MOVING <---------------- CHOOSING -> BETWEEN_PASSES
                                                               |
                                                               v
                                                            STOPPED

Under layer-sync (:mod:`.turns`), INTEGRATING ends the turn of a population. CHOOSING leads to
MOVING if the population fired, and otherwise to the next turn, so to INTEGRATING again.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    counts_of,
    in_flight_of,
    input_times,
    settings_of,
    votes_of,
)
from neuroasync.core.kernels.delivery.delayed_spikes import put_in_flight
from neuroasync.core.kernels.delivery.input_delivery import (
    begin_input,
    read_input,
)
from neuroasync.core.kernels.delivery.selected_spikes import move_to_group
from neuroasync.core.kernels.delivery.synapses import deliver
from neuroasync.core.kernels.integrate_and_fire import integrate_and_fire
from neuroasync.core.kernels.jit import inlined_uncounted, kernel, uncounted
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    InFlight,
    Interrupt,
    Phase,
    PolicyCode,
    RuleCode,
    Settings,
    StepCounts,
)
from neuroasync.core.kernels.neurons.pass_start import start_pass
from neuroasync.core.kernels.pending_spikes import (
    begin_group,
    enqueue_fired,
    lacks_capacity,
    lacks_pending_capacity,
    log_slots,
)
from neuroasync.core.kernels.selection import choose
from neuroasync.core.kernels.spontaneous_firing import (
    find_spontaneous_population,
    mark_spontaneous_targets,
)
from neuroasync.core.kernels.training.turn_log import lacks_turn_capacity
from neuroasync.core.kernels.turns import (
    MAX_IN_A_MASK,
    choose_turn,
    end_turn,
    group_turn,
    start_turns,
    turn_after_delivery,
)
from neuroasync.core.kernels.voting import leader, read_out, should_stop

__all__ = ["run_compiled", "run_to_delivery"]

_STEP_COST: Final = 1024
"""Fixed cost of a forward step, in synaptic operations."""
_SLOTS_PER_CHECK: Final = 4096
"""Slots that are logged and put in flight between two checks of the work budget."""
_SLOT_COST: Final = 32
"""Cost of logging a slot and putting it in flight, in synaptic operations (measured)."""


@uncounted
def run_to_delivery(c, end_us, work):
    """Run until populations must integrate, or until Python must act.

    A further call continues where this one returned.

    Args:
        c: the context.
        end_us: run the passes at virtual times up to this one, µs.
        work: approximate number of synaptic operations after which to return.

    Returns:
        A mask of the populations that must integrate (bit p for population p), which may be 0,
        or an ``Interrupt``. Each delivery is followed by at least one mask before the next one.
    """
    control = control_of(c)
    limit = control[Control.WORK] + work
    has_delays = settings_of(c)[Settings.MAX_DELAYED_FAN_OUT] > 0
    has_turns = settings_of(c)[Settings.POLICY] == PolicyCode.LAYER_SYNC
    while True:
        phase = control[Control.PHASE]
        if phase == Phase.READING or phase == Phase.MOVING:
            if not (read_input(c, limit) if phase == Phase.READING else _move(c, limit)):
                return Interrupt.BUDGET_SPENT
            control[Control.SLOT] = 0
            control[Control.PHASE] = phase = Phase.OPENING
        if phase == Phase.OPENING:
            if (c[Context.DELIVERY_LOG_CAPACITY] or has_delays) and not _log_and_put_in_flight(
                c, has_delays, limit
            ):
                return Interrupt.BUDGET_SPENT
            control[Control.SLOT] = 0
            control[Control.PHASE] = phase = Phase.DELIVERING
            control[Control.WORK] += _STEP_COST
        if phase == Phase.DELIVERING:
            if not deliver(c, limit):
                return Interrupt.BUDGET_SPENT
            control[Control.PHASE] = Phase.INTEGRATING
            return turn_after_delivery(c) if has_turns else _reached(c)
        if phase == Phase.STOPPED:
            return Interrupt.DONE
        if phase == Phase.INTEGRATING:
            if has_turns:
                end_turn(c)
            else:
                _enqueue_all_fired(c)
            control[Control.PHASE] = Phase.CHOOSING
            if should_stop(c):
                if control[Control.CARRIES]:
                    control[Control.IS_DECIDED] = 1
                    return Interrupt.DECIDED
                control[Control.PHASE] = Phase.STOPPED
                return Interrupt.DONE
            if (
                settings_of(c)[Settings.STOP_RULE] == RuleCode.CALLABLE
                and control[Control.IS_DECIDED] == 0
            ):
                read_out(c)
                return Interrupt.NEEDS_RULE
        if control[Control.WATCHED_LEADER] and control[Control.WATCHED_LEADER] != 2 + leader(
            votes_of(c)
        ):
            return Interrupt.NEW_LEADER
        if control[Control.WORK] > limit:
            return Interrupt.BUDGET_SPENT
        reason = _choose_group(c, limit)
        if reason == Interrupt.DONE:
            control[Control.PHASE] = Phase.BETWEEN_PASSES
            reason = _open_pass(c, end_us)
        if reason:
            return reason
        if control[Control.WORK] > limit:
            return Interrupt.BUDGET_SPENT


@inlined_uncounted
def _move(c, limit):
    """Move the spikes that are delivered next to the group; return whether all are moved."""
    if settings_of(c)[Settings.POLICY] == PolicyCode.LAYER_SYNC:
        return group_turn(c, limit)
    return move_to_group(c, limit)


@inlined_uncounted
def _reached(c):
    """Return a mask of the populations that the group reached, or ``MANY_POPULATIONS``."""
    reached, mask = counts_of(c)[StepCounts.REACHED], 0
    if reached.size > MAX_IN_A_MASK:
        return Interrupt.MANY_POPULATIONS
    for p in range(reached.size):
        mask |= reached[p] << p
    return mask


@inlined_uncounted
def _enqueue_all_fired(c):
    """Add the spikes of this step to the pending spikes, by ascending (population, neuron)."""
    reached = counts_of(c)[StepCounts.REACHED]
    for p in range(reached.size):
        if reached[p]:
            enqueue_fired(c, p)


@uncounted
def _log_and_put_in_flight(c, has_delays, limit):
    """Log the slots of the group, and put their spikes in flight; return whether all are done.

    The next call continues where this one returned.
    """
    control = control_of(c)
    while control[Control.SLOT] < control[Control.GROUP]:
        begin = control[Control.SLOT]
        end = min(control[Control.GROUP], begin + _SLOTS_PER_CHECK)
        if c[Context.DELIVERY_LOG_CAPACITY]:
            log_slots(c, begin, end)
        if has_delays:
            put_in_flight(c, begin, end)
        control[Control.SLOT] = end
        control[Control.WORK] += _SLOT_COST * (end - begin)
        if end < control[Control.GROUP] and control[Control.WORK] > limit:
            return False
    return True


@inlined_uncounted
def _choose_group(c, limit):
    """Select the next group of the pass.

    Returns:
        0; under layer-sync also a mask of the population whose turn it is; or an ``Interrupt``:
        ``DONE`` if the pass is over or none has begun.
    """
    control, settings = control_of(c), settings_of(c)
    if control[Control.PHASE] != Phase.CHOOSING:
        return Interrupt.DONE
    if settings[Settings.POLICY] == PolicyCode.LAYER_SYNC:
        return choose_turn(c)
    n, spontaneous, policy = control[Control.PENDING], -1, settings[Settings.POLICY]
    if n == 0:
        spontaneous = find_spontaneous_population(c)
        if spontaneous < 0:
            return Interrupt.DONE
    if control[Control.STEP] >= settings[Settings.MAX_STEPS]:
        return Interrupt.STEP_LIMIT
    has_any_size = policy == PolicyCode.CUSTOM
    if lacks_capacity(c, n if has_any_size else min(n, settings[Settings.GROUP_SIZE])):
        return Interrupt.NEEDS_ROOM
    if spontaneous >= 0:
        _open_spontaneous_step(c, spontaneous)
    elif policy == PolicyCode.CUSTOM:
        return Interrupt.NEEDS_CHOICE
    else:
        n = choose(c, limit)
        if n < 0:
            return Interrupt.BUDGET_SPENT
        begin_group(c, n)
    return 0


@kernel
def _open_spontaneous_step(c, p):
    """Open a forward step that delivers no spike, in which neurons of ``p`` fire spontaneously."""
    begin_group(c, 0)
    mark_spontaneous_targets(c, p)


@uncounted
def _open_pass(c, end_us):
    """Begin the next pass: find its input events, which are then read.

    Returns:
        0, or an ``Interrupt``: ``DONE`` if there is no pass up to ``end_us``.
    """
    control, settings, t_us = control_of(c), settings_of(c), input_times(c)
    timestep = settings[Settings.TIMESTEP_US]
    time = _next_pass_time(c, t_us, timestep)
    if time < 0 or time > end_us:
        read_out(c)
        return Interrupt.DONE
    if (
        control[Control.PASS] + 1 >= settings[Settings.MAX_PASSES]
        and control[Control.IS_DECIDED] == 0
    ):
        return Interrupt.PASS_LIMIT
    first = control[Control.CURSOR]
    last = _first_at_or_after(t_us, first, time + max(timestep, 1))
    slots, added = 0, last - first
    if not settings[Settings.QUEUED]:  # all events of an input share a slot
        slots, added = min(added, c[Context.INPUTS]), 0
    lacks = lacks_pending_capacity(c, added) or lacks_turn_capacity(c)
    if lacks_capacity(c, slots + control[Control.IN_FLIGHT]) or lacks:
        return Interrupt.NEEDS_ROOM
    start_pass(c, time)
    if settings[Settings.POLICY] == PolicyCode.LAYER_SYNC:
        start_turns(c)
    else:
        counts_of(c)[:] = 0
    control[Control.CURSOR] = last
    begin_input(c, first)
    return 0


@uncounted
def _first_at_or_after(t_us, first, time):
    """Return the position of the first event at or after ``time``, from ``first`` on.

    The search doubles its distance, so that it costs little for few events and for many.
    """
    distance, low = 1, first
    while low + distance <= t_us.size and t_us[low + distance - 1] < time:
        low += distance
        distance *= 2
    high = min(t_us.size, low + distance)
    while low < high:
        middle = (low + high) // 2
        if t_us[middle] < time:
            low = middle + 1
        else:
            high = middle
    return low


@uncounted
def _next_pass_time(c, t_us, timestep):
    """Return the virtual time of the next pass, µs, or -1 if there is none.

    With a timestep, every bin is a pass. Otherwise the next input event or the next spike in
    flight determines the time.
    """
    control = control_of(c)
    if timestep > 0:
        return (control[Control.PASS] + 1) * timestep
    time, in_flight = np.int64(-1), in_flight_of(c)
    if control[Control.CURSOR] < t_us.size:
        time = t_us[control[Control.CURSOR]]
    for k in range(control[Control.IN_FLIGHT]):
        if time < 0 or in_flight[InFlight.DUE_US, k] < time:
            time = in_flight[InFlight.DUE_US, k]
    return time


@uncounted
def run_compiled(c, end_us, work):
    """Run passes until the sample ends or Python must act.

    Args:
        c: the context.
        end_us: run the passes at virtual times up to this one, µs.
        work: approximate number of synaptic operations after which to return.

    Returns:
        An ``Interrupt``, but never ``MANY_POPULATIONS``.
    """
    control, counts, limit = control_of(c), counts_of(c), control_of(c)[Control.WORK] + work
    while True:
        reason = run_to_delivery(c, end_us, limit - control[Control.WORK])
        if reason < 0 and reason != Interrupt.MANY_POPULATIONS:
            return reason
        for p in range(counts.shape[1]):
            if counts[StepCounts.REACHED, p]:
                integrate_and_fire(c, p)
