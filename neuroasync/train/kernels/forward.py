"""The runtime's own loop over the samples of a chunk, keeping the record of each."""

import numpy as np

from neuroasync.core.kernels.array_views import (
    control_of,
    i64_at,
    populations_of,
    settings_of,
    spike_log_of,
    votes_of,
)
from neuroasync.core.kernels.forward_pass import begin, run_compiled
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    Interrupt,
    Populations,
    Settings,
    SpikeLog,
)
from neuroasync.core.kernels.voting import leader

__all__ = ["forward_samples"]

_ALL_OF_IT = np.int64(2**60)


@kernel
def forward_samples(
    context, k, resumes, events, end_us, seeds, offsets, peaks, ends, owner, votes, spikes, labels
):
    """Run samples from ``k`` on, until the chunk ends or something is needed.

    Args:
        context: address of the runtime's; the logs of all samples stand one after the other.
        k: sample of the chunk to begin with.
        resumes: whether it has begun already, and goes on where it returned.
        events: i64[2], addresses of the events' times and indices, by (time, index) within a
            sample.
        end_us: i64[S], passes up to this time take place.
        seeds: u64[S].
        offsets: i64[S + 1], where each sample's events begin.
        peaks: i64[3], addresses of f32 and i32[S, T, N], and the bytes of a sample in each; 0
            if they are not wanted.
        ends: i64[3, S], written: passes of each sample, and where its rows and slots end.
        owner: i32[N], population of each neuron.
        votes: f32[S, T, classes], written: spikes of the output in each pass.
        spikes: f32[S, T, P], written: spikes of each population in each pass.
        labels: i64[S], written: the decision, or -1.

    Returns:
        The sample that needs something, or S; and what ``run_compiled`` returned.
    """
    c = i64_at(context, len(Context))
    control, output = control_of(c), settings_of(c)[Settings.OUTPUT]
    start = populations_of(c)[output, Populations.START]
    while k < seeds.size:
        c[Context.T_US] = events[0] + 8 * offsets[k]
        c[Context.INDEX] = events[1] + 8 * offsets[k]
        c[Context.EVENTS] = offsets[k + 1] - offsets[k]
        if peaks[2]:
            c[Context.PEAKS] = peaks[0] + k * peaks[2]
            c[Context.PEAK_STEPS] = peaks[1] + k * peaks[2]
        if not resumes:
            in_rows, in_slots = control[Control.SPIKE_LOG], control[Control.DELIVERY_LOG]
            begin(c, np.int64(seeds[k]))
            control[Control.SPIKE_LOG], control[Control.DELIVERY_LOG] = in_rows, in_slots
        resumes = False
        why = run_compiled(c, end_us[k], _ALL_OF_IT)
        if why != Interrupt.DONE:
            return k, why
        ends[0, k] = control[Control.PASS] + 1
        ends[1, k] = control[Control.SPIKE_LOG]
        ends[2, k] = control[Control.DELIVERY_LOG]
        labels[k] = leader(votes_of(c))
        rows, _ = spike_log_of(c)
        for r in range(ends[1, k - 1] if k else 0, ends[1, k]):
            now, i = rows[SpikeLog.PASS, r], rows[SpikeLog.NEURON, r]
            spikes[k, now, owner[i]] += np.float32(1.0)
            if owner[i] == output:
                votes[k, now, i - start] += np.float32(1.0)
        k += 1
    return k, Interrupt.DONE
