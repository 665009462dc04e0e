"""Forward passes of a chunk of samples by the runtime's own kernels, with an event record."""

import numpy as np
from numba import carray

from neuroasync.core.kernels.array_views import (
    control_of,
    i64_at,
    input_times,
    populations_of,
    potentials_of,
    settings_of,
    spike_log_of,
    votes_of,
)
from neuroasync.core.kernels.decay import catch_up_decay_of_all
from neuroasync.core.kernels.forward_pass import run_compiled
from neuroasync.core.kernels.intrinsics import pointer_at
from neuroasync.core.kernels.jit import inlined, kernel
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    DeliveryLog,
    ExtraState,
    Interrupt,
    Phase,
    Populations,
    Settings,
    SpikeLog,
)
from neuroasync.core.kernels.neurons.views import extra_state_of, readout_of
from neuroasync.core.kernels.sample_start import begin
from neuroasync.core.kernels.voting import leader
from neuroasync.train.kernels.runs import add_runs

__all__ = ["forward_samples"]

_UNLIMITED = np.int64(2**60)
"""A work budget that is never used up: training does not yield to an event loop."""


@kernel
def forward_samples(
    context, k, resumes, network, t_us, index, value, end_us, seeds, offsets, peaks, ends, owner,
    keeps, origins, factors, runs, states, votes, spikes, potentials, labels,
):  # fmt: skip
    """Run the samples from ``k`` on, until the chunk ends or the caller has to intervene.

    Args:
        context: Address of the runtime's context. Its logs of spikes and turns hold all samples,
            one after another; that of deliveries holds a single sample.
        k: First sample of the chunk to run.
        resumes: Whether sample ``k`` was interrupted earlier and continues from there.
        network: The weights, thresholds, factors, taus, uniform factors and dynamics with which
            the samples run; see ``neuroasync.core.kernels.layout``. The context gets their
            addresses, so the caller must hold them.
        t_us, index: i64[events], times (µs) and input indices of the events of the batch, in
            (time, index) order within a sample.
        value: f32[events], their values; f32[0] if they are spikes.
        end_us: i64[S], time of each sample's last pass, µs.
        seeds: u64[S], seed of each sample's order keys.
        offsets: i64[S + 1], start of each sample's events.
        peaks: i64[3], addresses of the highest silent potentials f32[S, T, N] and of their steps
            i32[S, T, N], and the number of bytes per sample in each; all 0 if they are not
            needed.
        ends: i64[5, S], written: number of passes of each sample, and the ends of its rows, runs,
            turns and slots.
        owner: i32[N], population of each neuron.
        keeps: Whether to write the deliveries.
        origins, factors, runs: i32[..], f32[..], i32[RUN_ROWS, ..], written: the deliveries of all
            samples; see :mod:`.runs`.
        states: f32[3, S, T, N], written: potential, synaptic current and adaptation of each
            neuron at the end of each pass; without elements if they are not needed.
        votes: f32[S, T, classes], written: spikes of the output population in each pass.
        spikes: f32[S, T, P], written: spikes of each population in each pass.
        potentials: f32[S, T, classes], written: potentials of the output at the end of each
            pass; without columns unless they are the readout.
        labels: i64[S], written: the decision, or -1 if there is none.

    Returns:
        The sample that needs an intervention, or S at the end; and the ``Interrupt`` that says
        which. ``NEEDS_ROOM`` may also mean that the deliveries need more room.
    """
    c = i64_at(context, len(Context))
    control, output = control_of(c), settings_of(c)[Settings.OUTPUT]
    start = populations_of(c)[output, Populations.START]
    _place_network(c, network)
    while k < seeds.size:
        c[Context.T_US] = t_us.ctypes.data + 8 * offsets[k]
        c[Context.INDEX] = index.ctypes.data + 8 * offsets[k]
        c[Context.VALUE] = value.ctypes.data + 4 * offsets[k] if value.size else 0
        c[Context.EVENTS] = offsets[k + 1] - offsets[k]
        if peaks[2]:
            c[Context.PEAKS] = peaks[0] + k * peaks[2]
            c[Context.PEAK_STEPS] = peaks[1] + k * peaks[2]
        if not resumes:
            # `begin` empties the logs, but the backward pass needs the spikes of earlier samples.
            log_rows = control[Control.SPIKE_LOG]
            begin(c, np.int64(seeds[k]))
            control[Control.SPIKE_LOG] = log_rows
        resumes = False
        if states.size or potentials.shape[2]:
            interrupt = _run_pass_by_pass(c, end_us[k], k, start, states, potentials)
        else:
            interrupt = run_compiled(c, end_us[k], _UNLIMITED)
        if interrupt != Interrupt.DONE:
            return k, interrupt
        if keeps and not _keep_deliveries(c, k, owner, origins, factors, runs, ends):
            return k, Interrupt.NEEDS_ROOM
        ends[0, k] = control[Control.PASS] + 1
        ends[1, k] = control[Control.SPIKE_LOG]
        ends[3, k] = c[Context.TURNS]
        labels[k] = leader(votes_of(c))
        if potentials.shape[2] and ends[0, k]:
            labels[k] = np.argmax(readout_of(c))
        rows, _ = spike_log_of(c)
        for r in range(ends[1, k - 1] if k else 0, ends[1, k]):
            now, i = rows[SpikeLog.PASS, r], rows[SpikeLog.NEURON, r]
            spikes[k, now, owner[i]] += np.float32(1.0)
            if owner[i] == output:
                votes[k, now, i - start] += np.float32(1.0)
        k += 1
    return k, Interrupt.DONE


@inlined
def _place_network(c, network):
    """Write the addresses of the arrays that can change from batch to batch to the context."""
    weights, thresholds, factors, taus, uniform, dynamics = network
    c[Context.WEIGHTS], c[Context.THRESHOLDS] = weights.ctypes.data, thresholds.ctypes.data
    c[Context.FACTORS], c[Context.TAUS] = factors.ctypes.data, taus.ctypes.data
    c[Context.UNIFORM], c[Context.DYNAMICS] = uniform.ctypes.data, dynamics.ctypes.data


@inlined
def _keep_deliveries(c, k, owner, origins, factors, runs, ends):
    """Write the deliveries of sample ``k``, and the ends; return whether there was room."""
    slots = control_of(c)[Control.DELIVERY_LOG]
    slot, run = (ends[4, k - 1], ends[2, k - 1]) if k else (0, 0)
    if slot + slots > origins.size or run + slots > runs.shape[1]:
        return False
    log = _delivery_log_of(c)
    ends[2, k] = add_runs(populations_of(c), owner, log, slots, origins, factors, slot, runs, run)
    ends[4, k] = slot + slots
    return True


@inlined
def _delivery_log_of(c):
    """Return the table ``DeliveryLog``: i64[6, S]."""
    shape = (len(DeliveryLog), c[Context.DELIVERY_LOG_CAPACITY])
    return carray(pointer_at(c[Context.DELIVERY_LOG]), shape, np.int64)


@kernel
def _run_pass_by_pass(c, end_us, k, start, states, potentials):
    """Run sample ``k`` until it ends or needs an intervention; write the state after each pass.

    Args:
        c: The context.
        end_us: Time of the last pass, µs.
        k: The sample.
        start: First neuron of the output.
        states, potentials: As in :func:`forward_samples`.

    Returns:
        The ``Interrupt``.
    """
    control, timestep = control_of(c), settings_of(c)[Settings.TIMESTEP_US]
    while True:
        until = control[Control.TIME]  # of the pass that was interrupted
        if control[Control.PHASE] == Phase.BETWEEN_PASSES:
            until = end_us
            if timestep:
                until = min(end_us, (control[Control.PASS] + 1) * timestep)
            elif control[Control.CURSOR] < c[Context.EVENTS]:
                until = min(end_us, input_times(c)[control[Control.CURSOR]])
        interrupt = run_compiled(c, until, _UNLIMITED)
        if interrupt != Interrupt.DONE:
            return interrupt
        now = control[Control.PASS]
        if now >= 0:
            catch_up_decay_of_all(c)
            v = potentials_of(c)
            if potentials.shape[2]:
                potentials[k, now] = v[start : start + potentials.shape[2]]
            if states.size:
                states[0, k, now] = v
                if c[Context.EXTRA_STATE_AT] >= 0:
                    extras = extra_state_of(c)
                    states[1, k, now] = extras[ExtraState.CURRENT]
                    states[2, k, now] = extras[ExtraState.ADAPTATION]
        if until == end_us:
            return interrupt
