"""The runtime's own loop over the samples of a chunk, keeping the record of each."""

import numpy as np

from neuroasync.kernels import layout as lay
from neuroasync.kernels.advance import Arrays, advance
from neuroasync.kernels.decide import leader
from neuroasync.kernels.jit import kernel

__all__ = ["forward_samples"]

_ALL_OF_IT = np.int64(2**62)


@kernel
def forward_samples(
    wires, arrays, k, resumes, t_us, index, offsets, end_us, seeds, noise, dropout, peaks,
    peak_steps, ends, owner, votes, spikes, labels,
):  # fmt: skip
    """Run samples from ``k`` on, until the chunk ends or something is needed.

    Args:
        wires, arrays: of the runtime; the logs of all samples stand one after the other.
        k: sample of the chunk to begin with.
        resumes: whether it has begun already, and goes on where it returned.
        t_us, index: i64[events], by (time, index) within a sample.
        offsets: i64[S + 1], where each sample's events begin.
        end_us: i64[S], passes up to this time take place.
        seeds: u64[S].
        noise, dropout: as in ``advance``.
        peaks, peak_steps: f32 and i32[S, T, N], or [S, 0, 0] if they are not wanted.
        ends: i64[3, S], written: passes of each sample, and where its rows and slots end.
        owner: i32[N], population of each neuron.
        votes: f32[S, T, classes], written: spikes of the output in each pass.
        spikes: f32[S, T, P], written: spikes of each population in each pass.
        labels: i64[S], written: the decision, or -1.

    Returns:
        The sample that needs something, or S; and what ``advance`` returned.
    """
    (
        decay, potential, marks, pending, keys, chosen, group, due, rows, row_potential, slots,
        totals, counts, touched, fired, reached, control, settings, _, _,
    ) = arrays  # fmt: skip
    start = wires.populations[settings[lay.OUTPUT], lay.START]
    while k < seeds.size:
        if not resumes:
            _reset(potential, marks, totals, counts, control, settings, seeds[k])
        resumes = False
        why = advance(
            wires,
            Arrays(
                decay, potential, marks, pending, keys, chosen, group, due, rows, row_potential,
                slots, totals, counts, touched, fired, reached, control, settings, peaks[k],
                peak_steps[k],
            ),
            t_us[offsets[k] : offsets[k + 1]], index[offsets[k] : offsets[k + 1]], end_us[k],
            noise, dropout, _ALL_OF_IT,
        )  # fmt: skip
        if why != lay.DONE:
            return k, why
        ends[0, k] = control[lay.PASS] + 1
        ends[1, k] = control[lay.ROWS]
        ends[2, k] = control[lay.SLOTS]
        labels[k] = leader(totals)
        for r in range(ends[1, k - 1] if k else 0, ends[1, k]):
            now, i = rows[lay.PASS_, r], rows[lay.NEURON_, r]
            spikes[k, now, owner[i]] += np.float32(1.0)
            if owner[i] == settings[lay.OUTPUT]:
                votes[k, now, i - start] += np.float32(1.0)
        k += 1
    return k, lay.DONE


@kernel
def _reset(potential, marks, totals, counts, control, settings, seed):
    """Begin a new sample; the logs and the decay factors stay."""
    potential[:] = 0
    marks[:] = 0
    marks[lay.FIRED] = -1
    marks[lay.REACHED] = -1
    totals[:] = 0
    counts[:] = 0
    interval, rows, slots = control[lay.INTERVAL], control[lay.ROWS], control[lay.SLOTS]
    control[:] = 0
    control[lay.INTERVAL], control[lay.ROWS], control[lay.SLOTS] = interval, rows, slots
    control[lay.PASS] = -1
    control[lay.FIRST_VOTE] = -1
    control[lay.LAST_OWNER] = -1
    settings[lay.SEED] = np.int64(seed)
