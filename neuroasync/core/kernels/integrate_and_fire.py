"""The integrate-and-fire kernel: decay, bias, integration, threshold, reset and refractoriness.

A forward pass at virtual time t changes the membrane potential v (float32) of a neuron like this:

* Decay, once per pass: ``v *= exp(-(t - t_prev) / tau_mem)``, where ``t_prev`` is the time of the
  previous pass. All neurons stop being refractory.
* Bias, once per pass: ``v += b`` for each connection with a bias.
* Integration, in each forward step whose group of spike events has a connection to the neuron:
  ``I`` is the float32 sum of the delivered weights, in slot order. A refractory neuron loses
  ``I``; any other neuron integrates it: ``v += I``.
* Threshold: a neuron that is not refractory fires if ``v > v_threshold`` (strictly). With a sync
  threshold k > 0, it also must have received at least k spikes in this pass.
* Reset: the neuron keeps its momentum ``m = v`` for the momentum order. Then ``v = 0``, or
  ``v -= v_threshold`` with a subtracting reset.
* Refractoriness: unless the population is non-refractory, a neuron that fired cannot fire or
  integrate again until the pass ends.
* Under layer-sync, a population integrates once per turn and as a whole, with ``I`` summed over all
  groups since its latest turn; see :mod:`neuroasync.core.kernels.turns`.
* Spontaneous firing under any other policy: when no spike is pending, a neuron that no group has
  reached in this pass may still be above threshold, because of its bias or a subtracting reset. The
  lowest-ranked population that has such neurons fires them in a forward step of its own. Neurons
  with a sync threshold never fire this way.

Decay is applied lazily, when a neuron is first reached; see
:mod:`neuroasync.core.kernels.decay`.

Source: the asynchronous forward pass of Koopman et al., "Overcoming the Limitations of Layer
Synchronization in Spiking Neural Networks", arXiv 2408.05098.
"""

import numpy as np

from neuroasync.core.kernels.array_views import (
    connections_of,
    control_of,
    counts_of,
    current_of,
    f32_at,
    fired_of,
    float_settings_of,
    last_group_of,
    momenta_of,
    peaks_of,
    populations_of,
    potentials_of,
    received_of,
    settings_of,
    suprathreshold_of,
    thresholds_of,
    touched_of,
    uniform_of,
)
from neuroasync.core.kernels.decay import (
    catch_up_decay,
    catch_up_decay_of_all,
    catch_up_decay_of_block,
    note_interval,
)
from neuroasync.core.kernels.delivery.dense_rows import LANES, charge
from neuroasync.core.kernels.delivery.synapses import valid_flags
from neuroasync.core.kernels.intrinsics import trailing_zeros
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    BLOCK,
    GROUP_LIMIT,
    GROUP_UNIT,
    REFRACTORY_BIT,
    SUPRATHRESHOLD_BIT,
    Connections,
    Context,
    Control,
    FloatSettings,
    PolicyCode,
    Populations,
    Settings,
    StepCounts,
    Uniform,
)
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform
from neuroasync.core.kernels.smallest_keys import sort
from neuroasync.core.kernels.training.peaks import note_peak

__all__ = ["integrate_and_fire", "start_pass"]

DROPOUT_STREAM = np.uint64(0xD1B54A32D192ED03)
"""Changes the seed, so that refractory dropout and the random order draw different numbers."""


@kernel
def start_pass(c, time):
    """Begin the pass at virtual time ``time``: end refractoriness and add biases.

    Populations without a bias stay untouched here: their decay is applied when they are reached.
    """
    control, populations = control_of(c), populations_of(c)
    if control[Control.PASS] >= 0 or control[Control.CARRIES]:
        note_interval(c, time - control[Control.TIME])
    if control[Control.GROUP_MARK] >= GROUP_LIMIT:
        _renumber_groups(c)
    control[Control.CLOCK] += 1
    control[Control.GROUP_MARK] += GROUP_UNIT
    control[Control.PASS_MARK] = control[Control.GROUP_MARK]
    control[Control.PASS] += 1
    control[Control.TIME] = time
    if c[Context.PEAKS]:  # the trainer reads every potential, also of neurons never reached
        catch_up_decay_of_all(c)
    for p in range(c[Context.POPULATION_COUNT]):
        if populations[p, Populations.HAS_BIAS]:
            _add_biases(c, p)
    if c[Context.PEAKS]:
        peaks, peak_steps = peaks_of(c)
        peaks[control[Control.PASS], :] = potentials_of(c)
        peak_steps[control[Control.PASS], :] = -1


@kernel
def _renumber_groups(c):
    """Renumber the groups from 0, before their marks exceed 32 bits.

    Entries of ``last_group`` keep the flags that are still valid in the pass that begins.
    """
    last_group, control = last_group_of(c), control_of(c)
    # The new pass has begun for this purpose: refractory flags of the previous one have expired.
    control[Control.PASS_MARK] = control[Control.GROUP_MARK] + GROUP_UNIT
    for i in range(last_group.size):
        last_group[i] = np.int32(valid_flags(np.int64(last_group[i]), control))
    control[Control.SAMPLE_MARK] = 0
    control[Control.GROUP_MARK] = 0


@kernel
def _add_biases(c, p):
    """Add the biases of all connections to population ``p``, in declared order."""
    catch_up_decay(c, p)
    populations, connections = populations_of(c), connections_of(c)
    start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
    v = potentials_of(c)[start:stop]
    for k in range(connections.shape[0]):
        at = connections[k, Connections.BIAS]
        if at >= 0 and connections[k, Connections.TARGET] == p:
            biases = f32_at(c[Context.WEIGHTS] + 4 * at, v.size)
            for i in range(v.size):
                v[i] += biases[i]
    control_of(c)[Control.WORK] += v.size // 4  # an addition costs about a quarter of a synop
    if populations[p, Populations.FIRES_SPONTANEOUSLY]:
        thresholds = thresholds_of(c)
        for i in range(start, stop):
            if v[i - start] > thresholds[i]:
                _note_suprathreshold(c, i)


@kernel
def _note_suprathreshold(c, neuron):
    """Add the neuron to ``suprathreshold``, unless it is an entry already."""
    last_group, control = last_group_of(c), control_of(c)
    mark = np.int64(last_group[neuron])
    now = valid_flags(mark, control)
    if now & SUPRATHRESHOLD_BIT:
        return
    suprathreshold_of(c)[control[Control.SUPRATHRESHOLD]] = neuron
    control[Control.SUPRATHRESHOLD] += 1
    # An entry of an earlier pass has flags that no longer hold. They are removed, but the mark must
    # stay below the current pass's: the neuron has not been reached in it.
    if mark < control[Control.SAMPLE_MARK]:
        mark = control[Control.SAMPLE_MARK]
    elif mark < control[Control.PASS_MARK]:
        mark &= ~np.int64(REFRACTORY_BIT)
    last_group[neuron] = np.int32(mark | SUPRATHRESHOLD_BIT)


@kernel
def integrate_and_fire(c, p):
    """Integrate the current of the neurons of ``p`` that the group reached, and let them fire.

    The neurons that fire are written to ``fired``, from the population's ``START`` on, ascending.

    Returns:
        The number of neurons that fire, which is also written to ``counts[FIRED, p]``.
    """
    populations, counts = populations_of(c), counts_of(c)
    n, start = counts[StepCounts.TOUCHED, p], populations[p, Populations.START]
    if n >= 0:
        n = _integrate_touched(c, p, n)
        if n > 1:  # the neurons were touched in the order of delivery
            sort(fired_of(c)[start : start + n])
    elif c[Context.PEAKS] == 0 and populations[p, Populations.HOMOGENEOUS]:
        n = _integrate_homogeneous(c, p)
    else:  # a dense connection reached all neurons, but they are not alike: list them one by one
        touched, control = touched_of(c), control_of(c)
        counts[StepCounts.TOUCHED, p] = 0
        last_group = last_group_of(c)
        for i in range(start, populations[p, Populations.STOP]):
            mark = np.int64(last_group[i])
            last_group[i] = np.int32(control[Control.GROUP_MARK] | valid_flags(mark, control))
            touched[i] = i
        n = _integrate_touched(c, p, populations[p, Populations.STOP] - start)
    counts[StepCounts.FIRED, p] = n
    return n


@kernel
def _integrate_homogeneous(c, p):
    """Integrate all neurons of a homogeneous population; return how many fire."""
    catch_up_decay(c, p)
    populations, control = populations_of(c), control_of(c)
    start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
    threshold, fires = uniform_of(c)[p, Uniform.THRESHOLD], start
    v, current = c[Context.SESSION] + c[Context.V_AT], c[Context.CURRENT]
    last_group = c[Context.SESSION] + c[Context.LAST_GROUP_AT]
    now, pass_mark = np.int32(_mark_of_reached(c)), np.int32(control[Control.PASS_MARK])
    sample_mark = np.int32(control[Control.SAMPLE_MARK])
    fired, momenta, potentials = fired_of(c), momenta_of(c), potentials_of(c)
    subtracts, may_stay_above, becomes_refractory = _resets(c, p)
    first = start
    while first < stop:
        at = 4 * first
        bits = charge(
            v + at,
            current + at,
            last_group + at,
            threshold,
            now,
            pass_mark,
            sample_mark,
            stop - first,
        )
        while bits:
            i = first + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            fired[fires] = i
            fires += 1
            momenta[i] = potentials[i]
            _reset(c, i, threshold, subtracts, may_stay_above, becomes_refractory)
        first += LANES
    return fires - start


@kernel
def _integrate_touched(c, p, n):
    """Integrate the ``n`` neurons of ``p`` that ``touched`` lists; return how many fire."""
    populations, control = populations_of(c), control_of(c)
    start, sync = populations[p, Populations.START], populations[p, Populations.SYNC_THRESHOLD]
    first, is_homogeneous = (
        populations[p, Populations.FIRST_BLOCK],
        populations[p, Populations.HOMOGENEOUS] != 0,
    )
    v, current, last_group, momenta = (
        potentials_of(c),
        current_of(c),
        last_group_of(c),
        momenta_of(c),
    )
    touched, fired, thresholds = touched_of(c), fired_of(c), thresholds_of(c)
    threshold, fires = np.float32(0.0), 0
    if is_homogeneous:
        threshold = uniform_of(c)[p, Uniform.THRESHOLD]
    subtracts, may_stay_above, becomes_refractory = _resets(c, p)
    is_turn, mark = settings_of(c)[Settings.POLICY] == PolicyCode.LAYER_SYNC, _mark_of_reached(c)
    for k in range(n):
        i = touched[start + k]
        catch_up_decay_of_block(c, p, first + (i - start) // BLOCK)
        if is_turn:  # a group that follows in this pass may touch the neuron again
            last_group[i] = np.int32(mark | (last_group[i] & (GROUP_UNIT - 1)))
        charge = current[i]
        current[i] = np.float32(0.0)
        if last_group[i] & REFRACTORY_BIT:
            continue
        charge += v[i]
        v[i] = charge
        if not is_homogeneous:
            threshold = thresholds[i]
        ready = sync == 0 or received_of(c)[i] >= sync
        if ready and charge > threshold:
            momenta[i] = charge
            _reset(c, i, threshold, subtracts, may_stay_above, becomes_refractory)
            fired[start + fires] = i
            fires += 1
            if c[Context.PEAKS]:
                peaks_of(c)[1][control[Control.PASS], i] = -2
        elif ready and c[Context.PEAKS]:
            note_peak(c, i, charge)
    return fires


@kernel
def _mark_of_reached(c):
    """Return the mark of a neuron that was reached and has integrated.

    Under layer-sync, all groups of a pass have one mark. A neuron that has integrated must not keep
    it, so that the next group that reaches the neuron touches it again.
    """
    if settings_of(c)[Settings.POLICY] == PolicyCode.LAYER_SYNC:
        return control_of(c)[Control.PASS_MARK]
    return control_of(c)[Control.GROUP_MARK]


@kernel
def _resets(c, p):
    """Return what a spike does to a neuron of ``p``.

    Returns:
        Whether the reset subtracts the threshold; whether it can leave the neuron above threshold;
        whether the neuron becomes refractory.
    """
    row = populations_of(c)[p]
    return (
        row[Populations.SUBTRACTS] != 0,
        row[Populations.FIRES_SPONTANEOUSLY] != 0,
        row[Populations.REFRACTORY] != 0,
    )


@kernel
def _reset(c, neuron, threshold, subtracts, may_stay_above, becomes_refractory):
    """Reset a neuron that fires, after its potential was stored as its momentum."""
    v = potentials_of(c)
    v[neuron] = v[neuron] - threshold if subtracts else np.float32(0.0)
    if may_stay_above and v[neuron] > threshold:
        _note_suprathreshold(c, neuron)
    if becomes_refractory and not (
        float_settings_of(c)[FloatSettings.REFRACTORY_DROPOUT] > 0.0
        and _drops_refractoriness(c, neuron)
    ):
        last_group_of(c)[neuron] |= np.int32(REFRACTORY_BIT)


@kernel
def _drops_refractoriness(c, neuron):
    """Return whether refractory dropout leaves the neuron non-refractory after this spike."""
    control = control_of(c)
    seed = np.uint64(control[Control.SEED]) ^ DROPOUT_STREAM
    prefix = step_prefix(seed, control[Control.PASS], control[Control.STEP])
    return (
        uniform(neuron_key(prefix, neuron)) < float_settings_of(c)[FloatSettings.REFRACTORY_DROPOUT]
    )
