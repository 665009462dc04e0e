"""The integrate-and-fire kernel: the equations of all neurons, and integration with threshold.

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
  ``v -= v_threshold`` with a subtracting reset, or ``v -= reset_amount``, or nothing.
* Refractoriness: unless the population is non-refractory, a neuron that fired cannot fire or
  integrate again until the pass ends.
* Under layer-sync, a population integrates once per turn and as a whole, with ``I`` summed over all
  groups since its latest turn; see :mod:`neuroasync.core.kernels.turns`.
* Spontaneous firing under any other policy: when no spike is pending, a neuron that no group has
  reached in this pass may still be above threshold: because of its bias or synaptic current,
  because of what its reset left, or because its threshold fell. The lowest-ranked population that
  has such neurons fires them in a forward step of its own. Neurons with a sync threshold never fire
  this way.

Populations may have further features, which the others do not pay for:

* Delayed reset: a spike leaves v alone and adds its amount to r (the threshold that it exceeded,
  or ``reset_amount``). The next pass begins, after the decay, with ``v -= r`` (or ``v = 0``, if the
  reset is to zero) and ``r = 0``.
* Synaptic current i: the pass begins, after decay and delayed reset, with
  ``i *= exp(-(t - t_prev) / tau_syn)`` and ``v += i``. Each bias and each ``I`` is added to i as
  well as to v; i takes ``I`` even if the neuron is refractory.
* Adaptive threshold ``v_threshold + a``: the pass begins with ``a *= exp(-(t - t_prev) / tau_a)``,
  and a spike adds ``increment`` to a after the reset.
* Leaky integrators have an infinite threshold. At the end of a sample, their potentials are its
  readout.

Decay is applied lazily, when a neuron is first reached; see
:mod:`neuroasync.core.kernels.decay`.

Sources: the asynchronous forward pass of Koopman et al., "Overcoming the Limitations of Layer
Synchronization in Spiking Neural Networks", arXiv 2408.05098. Delayed reset: ``Leaky`` and
``Synaptic`` of snnTorch (https://snntorch.readthedocs.io/en/latest/snn.neurons_leaky.html), whose
reset is a function of the spike of the previous timestep. Synaptic current: the current-based LIF
neuron of Pedersen et al., "Neuromorphic Intermediate Representation", arXiv 2311.14641, with
exponential steps, as in ``Synaptic``; leaky integrators: LI there. Adaptive threshold: Bellec et
al., "Long short-term memory and learning-to-learn in networks of spiking neurons", arXiv
1803.09574. These papers do not define steps within a pass.
"""

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    counts_of,
    current_of,
    fired_of,
    float_settings_of,
    last_group_of,
    momenta_of,
    peaks_of,
    populations_of,
    potentials_of,
    received_of,
    settings_of,
    thresholds_of,
    touched_of,
    uniform_of,
)
from neuroasync.core.kernels.decay import catch_up_decay, catch_up_decay_of_block
from neuroasync.core.kernels.delivery.synapses import valid_flags
from neuroasync.core.kernels.intrinsics import population_count, trailing_zeros
from neuroasync.core.kernels.jit import inlined_uncounted, uncounted
from neuroasync.core.kernels.layout import (
    BLOCK,
    FIRED_AT_ONCE,
    GROUP_UNIT,
    REFRACTORY_BIT,
    Context,
    Control,
    ExtraState,
    FloatSettings,
    PolicyCode,
    Populations,
    Settings,
    StepCounts,
    Uniform,
)
from neuroasync.core.kernels.neurons.resets import note_suprathreshold, reset, resets_of
from neuroasync.core.kernels.neurons.views import extra_state_of, threshold_at
from neuroasync.core.kernels.smallest_keys import sort
from neuroasync.core.kernels.training.peaks import note_peak, note_peaks
from neuroasync.core.kernels.vectors.firing import KEEPS, SUBTRACTS, TO_ZERO, integrate_lanes
from neuroasync.core.kernels.vectors.lanes import LANES

__all__ = ["integrate_and_fire"]


@uncounted
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
    elif populations[p, Populations.HOMOGENEOUS]:
        n = _integrate_homogeneous(c, p)
        if c[Context.PEAKS]:
            note_peaks(c, start, populations[p, Populations.STOP], n)
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


@inlined_uncounted
def _integrate_homogeneous(c, p):
    """Integrate all neurons of a homogeneous population; return how many fire."""
    catch_up_decay(c, p)
    populations, control = populations_of(c), control_of(c)
    start, stop = populations[p, Populations.START], populations[p, Populations.STOP]
    threshold, fires = uniform_of(c)[p, Uniform.THRESHOLD], start
    v, momentum = c[Context.SESSION] + c[Context.V_AT], c[Context.SESSION] + c[Context.MOMENTUM_AT]
    current, last_group = c[Context.CURRENT], c[Context.SESSION] + c[Context.LAST_GROUP_AT]
    marks = (
        np.int32(_mark_of_reached(c)),
        np.int32(control[Control.PASS_MARK]),
        np.int32(control[Control.SAMPLE_MARK]),
    )
    fired, potentials, resets = fired_of(c), potentials_of(c), resets_of(c, p)
    subtracts, may_stay_above, becomes_refractory, is_special = resets
    is_special |= float_settings_of(c)[FloatSettings.REFRACTORY_DROPOUT] > 0.0
    kind, locks = SUBTRACTS if subtracts else TO_ZERO, np.int32(becomes_refractory)
    if is_special:
        kind, locks = KEEPS, np.int32(0)
    if populations[p, Populations.HAS_CURRENT]:
        _add_to_current(c, start, stop)
    for first in range(start, stop, LANES):
        at = 4 * first
        bits = integrate_lanes(
            v + at, momentum + at, current + at, last_group + at, threshold, marks, kind, locks,
            stop - first,
        )  # fmt: skip
        # A branch for each bit would often be mispredicted. What is written in vain is overwritten,
        # by this population or the next one (they integrate in ascending order), or lies behind
        # the last population.
        left, written = bits, fires
        fires += population_count(bits)
        while True:
            for k in range(FIRED_AT_ONCE):
                fired[np.uint64(written + k)] = first + trailing_zeros(left)
                left &= left - np.uint64(1)
            written += FIRED_AT_ONCE
            if written >= fires:
                break
    if is_special or may_stay_above:
        for k in range(start, fires):
            i = fired[np.uint64(k)]
            if is_special:
                reset(c, p, i, threshold, resets)
            elif potentials[i] > threshold:
                note_suprathreshold(c, i)
    return fires - start


@uncounted
def _add_to_current(c, start, stop):
    """Add what the group delivers to the synaptic currents of the neurons ``start`` to ``stop``."""
    delivered, current = current_of(c), extra_state_of(c)[ExtraState.CURRENT]
    for i in range(start, stop):
        current[i] += delivered[i]


@uncounted
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
    resets = resets_of(c, p)
    row = populations[p]
    has_current, adapts = row[Populations.HAS_CURRENT] != 0, row[Populations.ADAPTS] != 0
    is_turn, mark = settings_of(c)[Settings.POLICY] == PolicyCode.LAYER_SYNC, _mark_of_reached(c)
    for k in range(n):
        i = touched[start + k]
        catch_up_decay_of_block(c, p, first + (i - start) // BLOCK)
        if is_turn:  # a group that follows in this pass may touch the neuron again
            last_group[i] = np.int32(mark | (last_group[i] & (GROUP_UNIT - 1)))
        charge = current[i]
        current[i] = np.float32(0.0)
        if has_current:
            extra_state_of(c)[ExtraState.CURRENT, i] += charge
        if last_group[i] & REFRACTORY_BIT:
            continue
        charge += v[i]
        v[i] = charge
        if not is_homogeneous:
            threshold = thresholds[i]
        if adapts:
            threshold = threshold_at(c, row, i)
        ready = sync == 0 or received_of(c)[i] >= sync
        if ready and charge > threshold:
            momenta[i] = charge
            reset(c, p, i, threshold, resets)
            fired[start + fires] = i
            fires += 1
            if c[Context.PEAKS]:
                peaks_of(c)[1][control[Control.PASS], i] = -2
        elif ready and c[Context.PEAKS]:
            note_peak(c, i, charge)
    return fires


@uncounted
def _mark_of_reached(c):
    """Return the mark of a neuron that was reached and has integrated.

    Under layer-sync, all groups of a pass have one mark. A neuron that has integrated must not keep
    it, so that the next group that reaches the neuron touches it again.
    """
    if settings_of(c)[Settings.POLICY] == PolicyCode.LAYER_SYNC:
        return control_of(c)[Control.PASS_MARK]
    return control_of(c)[Control.GROUP_MARK]
