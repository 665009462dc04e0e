"""Turns: layer synchronization, under which each population is evaluated as a whole.

The policy layer-sync computes what layered frameworks compute: a layer waits until all layers
before it are done. What is delivered to a population is only summed at first,

    I[i] += weight * multiplicity        (float32, in the order of delivery)

The next turn belongs to the population of the lowest rank (ties: declared first) that has had no
turn in this pass, or that a spike has reached since its latest turn. At its turn, every neuron that
is not refractory integrates, and those above threshold fire together::

    v[i] += I[i];  I[i] = 0
    neuron i fires if v[i] > v_threshold[i], and if it has received enough spikes (sync threshold)

Neurons fire because of what arrived, because of a bias, or because of what a reset left above
threshold, a synaptic current brought there, or a falling threshold passed. Refractory neurons lose
the current. The spikes of a turn carry the number of the latest forward step. They are delivered at
once, as one group, in a step of their own. A turn in which no neuron fires is no step. A stop rule
is evaluated after each turn, and after a delivery that no turn follows. The pass is over when no
population has a turn coming. Queued input counts as the first turn of a pass.

Without recurrence, this equals a loop over the layers: for each of them in ascending rank,
``v = v * decay + bias + weight @ spikes``.

A population that nothing reached, and whose neurons cannot be above threshold without input, cannot
fire. Its neurons are not visited at its turn, so that their decay stays lazy. Otherwise only the
neurons that may be above threshold are visited, unless they are many.

Source: the layered baseline of Koopman et al., arXiv 2408.05098.
"""

from typing import Final

from neuroasync.core.kernels.array_views import (
    connections_of,
    control_of,
    counts_of,
    current_of,
    fired_of,
    group_of,
    i32_at,
    pending_of,
    populations_of,
    settings_of,
    suprathreshold_of,
)
from neuroasync.core.kernels.delivery.input_delivery import queued_multiplicity
from neuroasync.core.kernels.delivery.slots import write_slot
from neuroasync.core.kernels.delivery.synapses import mark_target
from neuroasync.core.kernels.jit import kernel, uncounted
from neuroasync.core.kernels.layout import (
    AFTER_SILENT_TURN,
    FULL,
    GROUP_UNIT,
    Connections,
    Context,
    Control,
    Group,
    Interrupt,
    Pending,
    Phase,
    Populations,
    RuleCode,
    Settings,
    StepCounts,
)
from neuroasync.core.kernels.pending_spikes import count_spikes, count_step, lacks_capacity
from neuroasync.core.kernels.spontaneous_firing import find_spontaneous_population
from neuroasync.core.kernels.training.turn_log import lacks_turn_capacity, log_turn

__all__ = [
    "MAX_IN_A_MASK",
    "choose_turn",
    "end_turn",
    "group_turn",
    "start_turns",
    "turn_after_delivery",
]

MAX_IN_A_MASK: Final = 62
"""Maximum number of populations whose mask is not a negative i64, as interrupts are."""
_NOBODY: Final = -1
"""Instead of a population: the turn of one that cannot fire."""
_OVER: Final = -2
"""Instead of a population: none has a turn coming."""
_TURN_COST: Final = 16
"""Cost of looking for a population's turn, in synaptic operations."""
_SPIKES_PER_CHECK: Final = 8192
"""Spikes that are written to the group between two checks of the work budget."""
_SLOT_COST: Final = 8
"""Cost of writing a spike to the group, in synaptic operations (measured)."""
_ALL_FROM: Final = 8
"""Visit all neurons of a population if more than one in so many may be above threshold."""


@uncounted
def start_turns(c):
    """Prepare the turns of the pass that has just begun."""
    control, counts, populations = control_of(c), counts_of(c), populations_of(c)
    for p in range(c[Context.POPULATION_COUNT]):
        if counts[StepCounts.WAITING, p]:  # by a sample that was stopped before this turn
            current_of(c)[populations[p, Populations.START] : populations[p, Populations.STOP]] = 0
    counts[:] = 0
    control[Control.NEXT_TURN] = control[Control.FIRST_TURNS] = 0
    control[Control.LAYER] = _NOBODY
    # The same mark for all groups of the pass: `integrate_and_fire` takes it back.
    control[Control.GROUP_MARK] += GROUP_UNIT


@uncounted
def turn_after_delivery(c):
    """Begin the turn that follows the delivery of a group.

    Returns:
        A mask of the population that must integrate; 0 if the next one cannot fire, or if there is
        none; or ``MANY_POPULATIONS``.
    """
    control, settings = control_of(c), settings_of(c)
    owner = control[Control.LAYER]
    control[Control.LAYER] = p = _NOBODY
    control[Control.SILENT_TURN] = 0
    if owner >= 0:
        _look_back(c, owner)
    if control[Control.PENDING] == 0:  # queued input has the first turn
        p = _next_turn(c, settings[Settings.STOP_RULE] == RuleCode.QUIET)
    return _begin_turn(c, p)


@uncounted
def choose_turn(c):
    """Open the group of the spikes of the latest turn; if there are none, begin the next turn.

    Returns:
        0 if a group was opened; a mask of the population that must integrate; or an ``Interrupt``:
        ``DONE`` if the pass is over.
    """
    control, n = control_of(c), control_of(c)[Control.PENDING]
    if n and control[Control.STEP] >= settings_of(c)[Settings.MAX_STEPS]:
        return Interrupt.STEP_LIMIT
    if lacks_capacity(c, n) or lacks_turn_capacity(c):
        return Interrupt.NEEDS_ROOM
    if n:
        count_step(c, n)
        return 0
    p = _next_turn(c, True)
    if p == _OVER:
        find_spontaneous_population(c)  # forgets the neurons that are no longer above threshold
        return Interrupt.DONE
    return _begin_turn(c, p)


@uncounted
def _begin_turn(c, p):
    """Begin the integration of ``p``; return its mask, or 0 if ``p`` is no population."""
    control_of(c)[Control.PHASE] = Phase.INTEGRATING
    if p < 0:
        return 0
    control_of(c)[Control.LAYER] = p
    counts_of(c)[StepCounts.REACHED, p] = 1
    if c[Context.POPULATION_COUNT] > MAX_IN_A_MASK:
        return Interrupt.MANY_POPULATIONS
    return 1 << p


@uncounted
def _look_back(c, owner):
    """Give another turn to populations that the group of ``owner`` reached after their turn."""
    control, populations, connections = control_of(c), populations_of(c), connections_of(c)
    links = i32_at(c[Context.LINKS], 1)
    for j in range(
        populations[owner, Populations.OUT_START], populations[owner, Populations.OUT_STOP]
    ):
        if connections[links[j], Connections.DELAY] == 0:
            target = connections[links[j], Connections.TARGET]
            control[Control.NEXT_TURN] = min(
                control[Control.NEXT_TURN], populations[target, Populations.TURN]
            )


@uncounted
def _next_turn(c, skips):
    """Return the population whose turn is next, or ``_NOBODY`` or ``_OVER``.

    Args:
        c: the context.
        skips: whether to skip the turns of populations that cannot fire.
    """
    control, counts, populations = control_of(c), counts_of(c), populations_of(c)
    while control[Control.NEXT_TURN] < c[Context.POPULATION_COUNT]:
        at = control[Control.NEXT_TURN]
        p = populations[at, Populations.AT_TURN]
        control[Control.NEXT_TURN] = at + 1
        control[Control.WORK] += _TURN_COST
        if at >= control[Control.FIRST_TURNS]:
            control[Control.FIRST_TURNS] = at + 1
        elif counts[StepCounts.WAITING, p] == 0:
            continue
        can_fire = _can_fire(c, p) or c[Context.TURN_LOG_CAPACITY] > 0
        counts[StepCounts.WAITING, p] = 0
        if can_fire:
            return p
        control[Control.SILENT_TURN] = AFTER_SILENT_TURN
        if not skips:
            return _NOBODY
    return _OVER


@uncounted
def _can_fire(c, p):
    """Mark the neurons of ``p`` that nothing reached but that may fire at its turn.

    Returns:
        Whether any neuron of the population may fire.
    """
    counts, row = counts_of(c), populations_of(c)[p]
    is_waiting = counts[StepCounts.WAITING, p] != 0
    size = row[Populations.STOP] - row[Populations.START]
    if row[Populations.CUSTOM]:
        return is_waiting
    if row[Populations.SYNC_THRESHOLD] and row[Populations.STAYS_ABOVE] and is_waiting:
        # It may have received enough spikes before an earlier turn of this pass.
        for i in range(row[Populations.START], row[Populations.STOP]):
            mark_target(c, p, i, 0)
    elif row[Populations.FIRES_SPONTANEOUSLY] and counts[StepCounts.TOUCHED, p] >= 0:
        above = control_of(c)[Control.SUPRATHRESHOLD]
        if row[Populations.HAS_BIAS] or _ALL_FROM * above > size:
            counts[StepCounts.TOUCHED, p] = -1
            control_of(c)[Control.WORK] += size // 4
        elif above:
            _mark_suprathreshold(c, p)
    return counts[StepCounts.TOUCHED, p] != 0


@uncounted
def _mark_suprathreshold(c, p):
    """Mark the neurons of ``p`` that may exceed their threshold without any input."""
    suprathreshold, row = suprathreshold_of(c), populations_of(c)[p]
    for k in range(control_of(c)[Control.SUPRATHRESHOLD]):
        i = suprathreshold[k]
        if row[Populations.START] <= i < row[Populations.STOP]:
            mark_target(c, p, i, 0)


@uncounted
def end_turn(c):
    """Count the spikes of the turn, which become pending."""
    control, counts, p = control_of(c), counts_of(c), control_of(c)[Control.LAYER]
    if p >= 0:
        n = counts[StepCounts.FIRED, p]
        start = populations_of(c)[p, Populations.START]
        if n:
            count_spikes(c, p, fired_of(c)[start : start + n])
        if c[Context.TURN_LOG_CAPACITY]:
            log_turn(c, p, n)
        control[Control.PENDING] = n
        if n == 0:
            control[Control.SILENT_TURN] = AFTER_SILENT_TURN
        counts[StepCounts.TOUCHED, p] = counts[StepCounts.REACHED, p] = 0


@uncounted
def group_turn(c, limit):
    """Write the spikes of the turn to the group, by ascending neuron or input event.

    Args:
        c: the context.
        limit: value of ``control[WORK]`` after which to return; the next call continues there.

    Returns:
        Whether all of them were written.
    """
    control, p = control_of(c), control_of(c)[Control.LAYER]
    n = control[Control.GROUP]
    control[Control.GROUP_OWNER] = p if p >= 0 else FULL
    while control[Control.MOVED] < n:
        begin = control[Control.MOVED]
        end = min(n, begin + _SPIKES_PER_CHECK)
        if p >= 0:
            _group_fired(c, p, begin, end)
        else:
            _group_input(c, begin, end)
        control[Control.MOVED] = end
        control[Control.WORK] += _SLOT_COST * (end - begin)
        if end < n and control[Control.WORK] > limit:
            return False
    control[Control.PENDING] = 0
    return True


@uncounted
def _group_fired(c, p, begin, end):
    """Write the neurons ``begin`` to ``end`` that ``p`` fired to the group."""
    origins, start = group_of(c)[Group.ORIGIN], populations_of(c)[p, Populations.START]
    fired = fired_of(c)
    for s in range(begin, end):
        origins[s] = fired[start + s]


@kernel
def _group_input(c, begin, end):
    """Write the queued input events ``begin`` to ``end`` to the group."""
    group, pending = group_of(c), pending_of(c)
    for s in range(begin, end):
        key, count = pending[Pending.KEY, s], queued_multiplicity(c, pending[Pending.KEY, s])
        write_slot(group, s, pending[Pending.QUEUED, s], c[Context.POPULATION_COUNT], count, -1)
        group[Group.KEY, s] = key
