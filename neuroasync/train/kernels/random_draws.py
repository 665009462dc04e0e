"""Gathering of a batch's samples, shuffling and input dropout.

All random numbers are computed from a seed and a counter. There is no generator state, so a
resumed training uses the same numbers as an uninterrupted one.
"""

import numpy as np

from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.order_keys import GOLDEN, mix, neuron_key, step_prefix, uniform
from neuroasync.train.kernels.batch_checks import count_times

__all__ = ["gather", "sample_seeds", "shuffle_keys"]

# Each use of random numbers flips other bits of the seed, so that its keys are independent of
# those that order the spikes.
_SHUFFLE = np.uint64(0x8CB92BA72F3D8DD7)
_DROP = np.uint64(0xA0761D6478BD642F)


@kernel
def shuffle_keys(seed, epoch, n):
    """Return keys u64[n]; sorting the samples by them gives the order of an epoch."""
    prefix = step_prefix(seed ^ _SHUFFLE, epoch, 0)
    keys = np.empty(n, np.uint64)
    for i in range(n):
        keys[i] = neuron_key(prefix, i)
    return keys


@kernel
def sample_seeds(seed, samples):
    """Return the seed of each sample, u64[B], given their numbers i64[B]; see ``sample_seed``."""
    seeds = np.empty(samples.size, np.uint64)
    for k in range(samples.size):
        seeds[k] = mix(seed + GOLDEN * (np.uint64(samples[k]) + np.uint64(1)))
    return seeds


@kernel
def gather(
    t_us, index, value, offsets, chosen, seeds, before_us, dropout, to_t, to_i, to_value,
    to_offsets, times,
):  # fmt: skip
    """Copy the events of the chosen samples, and drop some of them at random.

    Args:
        t_us, index, value, offsets: The data set; see ``SpikeTrains``. ``value`` is f32[0] if its
            events are spikes.
        chosen: i64[B], numbers of the samples.
        seeds: u64[B], seed of each sample's dropout.
        before_us: Events at this time or later are left out, µs.
        dropout: Probability that an event is dropped.
        to_t, to_i: i64[events], written: times and indices of the copied events.
        to_value: f32[events], written: values of the copied events; f32[0] if they are spikes.
        to_offsets: i64[B + 1], written: start of each sample in ``to_t`` and ``to_i``.
        times: i64[2, B], written: time of each sample's last event, µs, dropped events
            included (-1 without events); and the number of distinct times that were kept.

    Returns:
        Whether the events were in (time, index) order. If not, the copy is incomplete.
    """
    at = 0
    to_offsets[0] = 0
    for k in range(chosen.size):
        first = offsets[chosen[k]]
        stop = first + np.searchsorted(t_us[first : offsets[chosen[k] + 1]], before_us)
        if not _is_ordered(t_us[first:stop], index[first:stop]):
            return False
        # Dropout must not shorten a sample, so its last event counts even if it is dropped.
        times[0, k] = t_us[stop - 1] if stop > first else -1
        begin = at
        if dropout > 0.0:
            prefix = step_prefix(seeds[k] ^ _DROP, 0, 0)
            for e in range(first, stop):
                to_t[at], to_i[at] = t_us[e], index[e]
                if value.size:
                    to_value[at] = value[e]
                at += uniform(neuron_key(prefix, e - first)) >= dropout
        else:
            at += stop - first
            to_t[begin:at], to_i[begin:at] = t_us[first:stop], index[first:stop]
            if value.size:
                to_value[begin:at] = value[first:stop]
        times[1, k] = count_times(to_t[begin:at])
        to_offsets[k + 1] = at
    return True


@kernel
def _is_ordered(t_us, index):
    """Return whether events with ascending times are in (time, index) order."""
    is_ordered = True
    for e in range(1, t_us.size):
        is_ordered &= (t_us[e] != t_us[e - 1]) | (index[e] >= index[e - 1])
    return is_ordered
