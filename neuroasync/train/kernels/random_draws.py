"""Which samples and events a batch has: gathering, shuffling and input dropout.

Draws are computed from counters, not drawn, so that a resumed training has the same ones.
"""

import numpy as np

from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform

__all__ = ["gather", "shuffle_keys"]

_SHUFFLE = np.uint64(0x8CB92BA72F3D8DD7)
_DROP = np.uint64(0xA0761D6478BD642F)


@kernel
def shuffle_keys(seed, epoch, n):
    """Keys u64[n] whose ascending order is the order of the samples in an epoch."""
    prefix = step_prefix(seed ^ _SHUFFLE, epoch, 0)
    keys = np.empty(n, np.uint64)
    for i in range(n):
        keys[i] = neuron_key(prefix, i)
    return keys


@kernel
def gather(t_us, index, offsets, which, seeds, before_us, dropout, to_t, to_i, to_offsets, times):
    """Copy the events of some samples.

    Args:
        t_us, index, offsets: of the data set; see ``SpikeTrains``.
        which: i64[B], samples of it.
        seeds: u64[B].
        before_us: events from this time on are left out.
        dropout: probability that an event is dropped.
        to_t, to_i: i64[events], written.
        to_offsets: i64[B + 1], written.
        times: i64[2, B], written: time of each sample's last event before any was dropped, or -1,
            and the number of distinct times.

    Returns:
        Whether the events were in (time, index) order.
    """
    at = 0
    to_offsets[0] = 0
    for k in range(which.size):
        prefix = step_prefix(seeds[k] ^ _DROP, 0, 0)
        first, begin = offsets[which[k]], at
        times[0, k], times[1, k] = -1, 0
        for e in range(first, offsets[which[k] + 1]):
            if t_us[e] >= before_us:
                break
            if e > first and t_us[e] == t_us[e - 1] and index[e] < index[e - 1]:
                return False
            times[0, k] = t_us[e]
            if dropout > 0.0 and uniform(neuron_key(prefix, e - first)) < dropout:
                continue
            if at == begin or to_t[at - 1] != t_us[e]:
                times[1, k] += 1
            to_t[at], to_i[at] = t_us[e], index[e]
            at += 1
        to_offsets[k + 1] = at
    return True
