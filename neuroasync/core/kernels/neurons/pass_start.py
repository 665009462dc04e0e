"""The start of a forward pass: biases, and neurons that are above threshold without any input."""

import numpy as np

from neuroasync.core.kernels.array_views import (
    clocks_of,
    connections_of,
    control_of,
    f32_at,
    last_group_of,
    peaks_of,
    populations_of,
    potentials_of,
)
from neuroasync.core.kernels.decay import (
    catch_up_decay,
    catch_up_decay_of_all,
    catch_up_decay_of_block,
    note_interval,
)
from neuroasync.core.kernels.delivery.synapses import valid_flags
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    BLOCK,
    GROUP_LIMIT,
    GROUP_UNIT,
    Connections,
    Context,
    Control,
    ExtraState,
    Populations,
)
from neuroasync.core.kernels.neurons.resets import note_suprathreshold
from neuroasync.core.kernels.neurons.views import extra_state_of, threshold_at

__all__ = ["start_pass"]


@kernel
def start_pass(c, time):
    """Begin the pass at virtual time ``time``: end refractoriness and add biases.

    Other populations stay untouched: their decay is applied when they are reached. Those with a
    synaptic current or an adaptive threshold are visited as far as they are not at rest, if that
    can make them fire spontaneously.
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
        elif populations[p, Populations.FIRES_SPONTANEOUSLY] and (
            populations[p, Populations.HAS_CURRENT] or populations[p, Populations.ADAPTS]
        ):
            _note_all_suprathreshold(c, p)
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
            if populations[p, Populations.HAS_CURRENT]:
                current = extra_state_of(c)[ExtraState.CURRENT]
                for i in range(v.size):
                    current[start + i] += biases[i]
    control_of(c)[Control.WORK] += v.size // 4  # an addition costs about a quarter of a synop
    if populations[p, Populations.FIRES_SPONTANEOUSLY]:
        _note_suprathreshold_of(c, p, start, stop)


@kernel
def _note_all_suprathreshold(c, p):
    """Apply the decay of the blocks of ``p`` that are not at rest; note who is above threshold."""
    control, clocks, row = control_of(c), clocks_of(c), populations_of(c)[p]
    b = row[Populations.FIRST_BLOCK]
    for start in range(row[Populations.START], row[Populations.STOP], BLOCK):
        if clocks[b] >= control[Control.SAMPLE_CLOCK]:
            catch_up_decay_of_block(c, p, b)
            _note_suprathreshold_of(c, p, start, min(start + BLOCK, row[Populations.STOP]))
            control[Control.WORK] += BLOCK
        b += 1


@kernel
def _note_suprathreshold_of(c, p, start, stop):
    """Note the neurons from ``start`` to ``stop`` of ``p`` that are above threshold."""
    v, row = potentials_of(c), populations_of(c)[p]
    for i in range(start, stop):
        if v[i] > threshold_at(c, row, i):
            note_suprathreshold(c, i)
