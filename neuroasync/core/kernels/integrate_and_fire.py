"""Bias, integrate and fire, late firing: what happens to membrane potentials.

Source: the forward step of Koopman et al., arXiv 2408.05098.
"""

import numpy as np

from neuroasync.core.kernels import layout as lay
from neuroasync.core.kernels.array_views import (
    connections_of,
    control_of,
    counts_of,
    current_of,
    f32_at,
    fired_of,
    knobs_of,
    listed_of,
    marks_of,
    momenta_of,
    peaks_of,
    populations_of,
    potentials_of,
    received_of,
    thresholds_of,
    touched_of,
    trailing_zeros,
    uniform_of,
)
from neuroasync.core.kernels.decay import catch_up_decay, freshen_all, freshen_block, note_interval
from neuroasync.core.kernels.dense_rows import LANES, charge
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform
from neuroasync.core.kernels.selection import sort
from neuroasync.core.kernels.synapses import flags, mark_target

__all__ = ["evaluate", "late_population", "start_pass", "touch_late"]

DROPOUT_STREAM = np.uint64(0xD1B54A32D192ED03)


@kernel
def start_pass(c, time):
    """Begin the pass at virtual time ``time``: decay is now due, refractoriness over, bias added.

    The populations without a bias are left as they are: they decay when they are reached.
    """
    control, populations = control_of(c), populations_of(c)
    if control[lay.PASS] >= 0 or control[lay.CARRIES]:
        note_interval(c, time - control[lay.TIME])
    if control[lay.NOW] >= lay.MARK_LIMIT:
        _number_anew(c)
    control[lay.CLOCK] += 1
    control[lay.NOW] += lay.MARK
    control[lay.PASS_MARK] = control[lay.NOW]
    control[lay.PASS] += 1
    control[lay.TIME] = time
    if c[lay.PEAKS]:
        freshen_all(c)
    for p in range(c[lay.POPULATION_COUNT]):
        if populations[p, lay.BIASED]:
            _add_biases(c, p)
    if c[lay.PEAKS]:
        peaks, peak_steps = peaks_of(c)
        peaks[control[lay.PASS], :] = potentials_of(c)
        peak_steps[control[lay.PASS], :] = -1


@kernel
def _number_anew(c):
    """Count groups from 1 again, before their marks leave 32 bits."""
    marks, control = marks_of(c), control_of(c)
    control[lay.PASS_MARK] = control[lay.NOW] + lay.MARK
    for i in range(marks.size):
        marks[i] = np.int32(flags(np.int64(marks[i]), control))
    control[lay.SAMPLE_MARK] = 0
    control[lay.NOW] = 0


@kernel
def _add_biases(c, p):
    catch_up_decay(c, p)
    populations, connections = populations_of(c), connections_of(c)
    start, stop = populations[p, lay.START], populations[p, lay.STOP]
    v = potentials_of(c)[start:stop]
    for k in range(connections.shape[0]):
        at = connections[k, lay.BIAS]
        if at >= 0 and connections[k, lay.TARGET] == p:
            biases = f32_at(c[lay.WEIGHTS] + 4 * at, v.size)
            for i in range(v.size):
                v[i] += biases[i]
    control_of(c)[lay.WORK] += v.size // 4
    if populations[p, lay.LATE]:
        thresholds = thresholds_of(c)
        for i in range(start, stop):
            if v[i - start] > thresholds[i]:
                _list(c, i)


@kernel
def _list(c, neuron):
    """Note that the neuron may be above threshold with nothing to reach it."""
    marks, control = marks_of(c), control_of(c)
    mark = np.int64(marks[neuron])
    now = flags(mark, control)
    if now & lay.LISTED_BIT:
        return
    listed_of(c)[control[lay.LISTED]] = neuron
    control[lay.LISTED] += 1
    if mark < control[lay.SAMPLE_MARK]:
        mark = control[lay.SAMPLE_MARK]
    elif mark < control[lay.PASS_MARK]:
        mark &= ~np.int64(lay.REFRACTORY_BIT)
    marks[neuron] = np.int32(mark | lay.LISTED_BIT)


@kernel
def evaluate(c, p):
    """Let the neurons of ``p`` that were reached integrate their current, and fire.

    Who fires is in ``fired``, from the start of the population on, ascending.

    Returns:
        How many fire; also ``counts[FIRES, p]``.
    """
    populations, counts = populations_of(c), counts_of(c)
    n, start = counts[lay.TOUCHES, p], populations[p, lay.START]
    if n >= 0:
        n = _some(c, p, n)
        if n > 1:
            sort(fired_of(c)[start : start + n])
    elif c[lay.PEAKS] == 0 and populations[p, lay.EVEN]:
        n = _all_alike(c, p)
    else:
        touched, control = touched_of(c), control_of(c)
        counts[lay.TOUCHES, p] = 0
        marks = marks_of(c)
        for i in range(start, populations[p, lay.STOP]):
            mark = np.int64(marks[i])
            marks[i] = np.int32(control[lay.NOW] | flags(mark, control))
            touched[i] = i
        n = _some(c, p, populations[p, lay.STOP] - start)
    counts[lay.FIRES, p] = n
    return n


@kernel
def _all_alike(c, p):
    """Evaluate all of a population whose neurons have one threshold."""
    catch_up_decay(c, p)
    populations, control = populations_of(c), control_of(c)
    start, stop = populations[p, lay.START], populations[p, lay.STOP]
    threshold, fires = uniform_of(c)[p, lay.THRESHOLD], start
    v, current = c[lay.SESSION] + c[lay.V_AT], c[lay.CURRENT]
    marks = c[lay.SESSION] + c[lay.MARKS_AT]
    now, pass_mark = np.int32(control[lay.NOW]), np.int32(control[lay.PASS_MARK])
    sample_mark = np.int32(control[lay.SAMPLE_MARK])
    fired, momenta, potentials = fired_of(c), momenta_of(c), potentials_of(c)
    subtracts, may_list, locks = _resets(c, p)
    first = start
    while first < stop:
        at = 4 * first
        bits = charge(
            v + at, current + at, marks + at, threshold, now, pass_mark, sample_mark, stop - first
        )
        while bits:
            i = first + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            fired[fires] = i
            fires += 1
            momenta[i] = potentials[i]
            _reset(c, i, threshold, subtracts, may_list, locks)
        first += LANES
    return fires - start


@kernel
def _some(c, p, n):
    """Evaluate the ``n`` neurons of ``p`` that are listed in ``touched``."""
    populations, control = populations_of(c), control_of(c)
    start, sync = populations[p, lay.START], populations[p, lay.SYNC]
    first, is_even = populations[p, lay.FIRST_BLOCK], populations[p, lay.EVEN] != 0
    v, current, marks, momenta = potentials_of(c), current_of(c), marks_of(c), momenta_of(c)
    touched, fired, thresholds = touched_of(c), fired_of(c), thresholds_of(c)
    threshold, fires = np.float32(0.0), 0
    if is_even:
        threshold = uniform_of(c)[p, lay.THRESHOLD]
    subtracts, may_list, locks = _resets(c, p)
    for k in range(n):
        i = touched[start + k]
        freshen_block(c, p, first + (i - start) // lay.BLOCK)
        charge = current[i]
        current[i] = np.float32(0.0)
        if marks[i] & lay.REFRACTORY_BIT:
            continue
        charge += v[i]
        v[i] = charge
        if not is_even:
            threshold = thresholds[i]
        ready = sync == 0 or received_of(c)[i] >= sync
        if ready and charge > threshold:
            momenta[i] = charge
            _reset(c, i, threshold, subtracts, may_list, locks)
            fired[start + fires] = i
            fires += 1
            if c[lay.PEAKS]:
                peaks_of(c)[1][control[lay.PASS], i] = -2
        elif ready and c[lay.PEAKS]:
            _note_peak(c, i, charge)
    return fires


@kernel
def _resets(c, p):
    """What firing does to neurons of ``p``: subtracts, may leave them above threshold, locks."""
    row = populations_of(c)[p]
    return row[lay.SUBTRACT] != 0, row[lay.LATE] != 0, row[lay.REFRACTORY] != 0


@kernel
def _reset(c, neuron, threshold, subtracts, may_list, locks):
    """What firing does to the neuron, whose potential is its momentum."""
    v = potentials_of(c)
    v[neuron] = v[neuron] - threshold if subtracts else np.float32(0.0)
    if may_list and v[neuron] > threshold:
        _list(c, neuron)
    if locks and not (knobs_of(c)[lay.DROPOUT] > 0.0 and _drops(c, neuron)):
        marks_of(c)[neuron] |= np.int32(lay.REFRACTORY_BIT)


@kernel
def _drops(c, neuron):
    """Whether this spike leaves its neuron non-refractory."""
    control = control_of(c)
    seed = np.uint64(control[lay.SEED]) ^ DROPOUT_STREAM
    prefix = step_prefix(seed, control[lay.PASS], control[lay.STEP])
    return uniform(neuron_key(prefix, neuron)) < knobs_of(c)[lay.DROPOUT]


@kernel
def _note_peak(c, neuron, charge):
    """A site of the trainer: the highest potential of the pass that left the neuron silent."""
    control = control_of(c)
    peaks, steps = peaks_of(c)
    at = control[lay.PASS]
    if steps[at, neuron] != -2 and (steps[at, neuron] == -1 or charge > peaks[at, neuron]):
        peaks[at, neuron] = charge
        steps[at, neuron] = control[lay.STEP]


@kernel
def late_population(c):
    """Lowest-ranked population with a neuron above threshold that nothing reached, or -1.

    Neurons that are above threshold no more leave the list.
    """
    control, best, kept = control_of(c), -1, 0
    if control[lay.LISTED] == 0:
        return best
    listed, marks, populations = listed_of(c), marks_of(c), populations_of(c)
    for k in range(control[lay.LISTED]):
        i = listed[k]
        p = _owner(populations, i)
        block = (i - populations[p, lay.START]) // lay.BLOCK
        freshen_block(c, p, populations[p, lay.FIRST_BLOCK] + block)
        if potentials_of(c)[i] <= thresholds_of(c)[i]:
            marks[i] &= ~np.int32(lay.LISTED_BIT)
            continue
        listed[kept] = i
        kept += 1
        if marks[i] < control[lay.PASS_MARK]:
            rank = populations[p, lay.RANK]
            if (
                best < 0
                or rank < populations[best, lay.RANK]
                or (rank == populations[best, lay.RANK] and p < best)
            ):
                best = p
    control[lay.LISTED] = kept
    return best


@kernel
def _owner(populations, neuron):
    p = 0
    while populations[p, lay.STOP] <= neuron:
        p += 1
    return p


@kernel
def touch_late(c, p):
    """Reach, with nothing, the neurons of ``p`` that fire late."""
    control, populations = control_of(c), populations_of(c)
    listed, marks = listed_of(c), marks_of(c)
    counts_of(c)[lay.REACHES, p] = 1
    for k in range(control[lay.LISTED]):
        i = listed[k]
        inside = populations[p, lay.START] <= i < populations[p, lay.STOP]
        if inside and marks[i] < control[lay.PASS_MARK]:
            mark_target(c, p, i, 0)
