"""What a spike does to its neuron: reset, adaptation of the threshold, refractoriness.

The equations are those of :mod:`neuroasync.core.kernels.integrate_and_fire`.
"""

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    float_settings_of,
    last_group_of,
    populations_of,
    potentials_of,
    suprathreshold_of,
)
from neuroasync.core.kernels.delivery.synapses import valid_flags
from neuroasync.core.kernels.jit import inlined_uncounted, kernel, uncounted
from neuroasync.core.kernels.layout import (
    REFRACTORY_BIT,
    SUPRATHRESHOLD_BIT,
    Control,
    Dynamics,
    ExtraState,
    FloatSettings,
    Populations,
)
from neuroasync.core.kernels.neurons.views import dynamics_of, extra_state_of, threshold_at
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform

__all__ = ["DROPOUT_STREAM", "note_suprathreshold", "reset", "resets_of"]

DROPOUT_STREAM = np.uint64(0xD1B54A32D192ED03)
"""Changes the seed, so that refractory dropout and the random order draw different numbers."""


@inlined_uncounted
def resets_of(c, p):
    """Return what a spike does to a neuron of ``p``.

    Returns:
        Whether the reset subtracts the threshold; whether it can leave the neuron above threshold;
        whether the neuron becomes refractory; whether the spike does anything else.
    """
    row = populations_of(c)[p]
    return (
        row[Populations.SUBTRACTS] != 0,
        row[Populations.FIRES_SPONTANEOUSLY] != 0,
        row[Populations.REFRACTORY] != 0,
        row[Populations.IS_SPECIAL] != 0,
    )


@uncounted
def reset(c, p, neuron, threshold, resets):
    """Reset a neuron of ``p`` that fires, after its potential was stored as its momentum.

    Args:
        c: the context.
        p: the population.
        neuron: network-wide index.
        threshold: f32, the threshold that the neuron exceeded.
        resets: the result of :func:`resets_of`.
    """
    subtracts, may_stay_above, becomes_refractory, is_special = resets
    v = potentials_of(c)
    if is_special:
        _reset_specially(c, populations_of(c)[p], neuron, threshold)
        threshold = threshold_at(c, populations_of(c)[p], neuron)
    else:
        v[neuron] = v[neuron] - threshold if subtracts else np.float32(0.0)
    if may_stay_above and v[neuron] > threshold:
        note_suprathreshold(c, neuron)
    if becomes_refractory and not (
        float_settings_of(c)[FloatSettings.REFRACTORY_DROPOUT] > 0.0
        and _drops_refractoriness(c, neuron)
    ):
        last_group_of(c)[neuron] |= np.int32(REFRACTORY_BIT)


@kernel
def _reset_specially(c, row, neuron, threshold):
    """Reset a neuron whose reset is not one of the two plain ones, or whose threshold adapts."""
    v, amount = potentials_of(c), threshold
    if row[Populations.SUBTRACTS] == 0:
        amount = np.float32(1.0)
    elif row[Populations.HAS_AMOUNT]:
        amount = np.float32(dynamics_of(c)[Dynamics.AMOUNT, neuron])
    if row[Populations.DELAYED]:
        extra_state_of(c)[ExtraState.DELAYED_RESET, neuron] += amount
    elif row[Populations.SUBTRACTS]:
        v[neuron] -= amount
    elif row[Populations.KEEPS] == 0:
        v[neuron] = np.float32(0.0)
    if row[Populations.ADAPTS]:
        increment = np.float32(dynamics_of(c)[Dynamics.INCREMENT, neuron])
        extra_state_of(c)[ExtraState.ADAPTATION, neuron] += increment


@uncounted
def note_suprathreshold(c, neuron):
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
def _drops_refractoriness(c, neuron):
    """Return whether refractory dropout leaves the neuron non-refractory after this spike."""
    control = control_of(c)
    seed = np.uint64(control[Control.SEED]) ^ DROPOUT_STREAM
    prefix = step_prefix(seed, control[Control.PASS], control[Control.STEP])
    return (
        uniform(neuron_key(prefix, neuron)) < float_settings_of(c)[FloatSettings.REFRACTORY_DROPOUT]
    )
