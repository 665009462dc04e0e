"""The check of a batch, before kernels index memory with its values."""

import numpy as np

from neuroasync.core.kernels.jit import kernel

__all__ = ["count_times", "is_consistent"]


@kernel
def is_consistent(t_us, index, offsets, end_us, passes, input_size, timestep_us):
    """Return whether arrays of the right lengths describe a batch.

    Args:
        t_us, index, offsets, end_us, passes, input_size, timestep_us: See
            ``neuroasync.train.batch.Batch``.
    """
    if offsets[0] != 0 or offsets[-1] != t_us.size:
        return False
    if not _are_below(index, input_size):
        return False
    for k in range(passes.size):
        if offsets[k + 1] < offsets[k]:
            return False
    for k in range(passes.size):
        times = t_us[offsets[k] : offsets[k + 1]]
        if not _are_ascending(times):
            return False
        if timestep_us:
            needed = end_us[k] // timestep_us + 1 if end_us[k] >= 0 else 0
        else:
            needed = count_times(times)
        if passes[k] < needed:
            return False
    return True


@kernel
def count_times(t_us):
    """Return the number of distinct times in ascending ones."""
    times = 1 if t_us.size else 0
    for e in range(1, t_us.size):
        times += t_us[e] != t_us[e - 1]
    return times


@kernel
def _are_ascending(t_us):
    """Return whether no time is negative or less than the one before."""
    are_ascending, before = True, np.int64(0)
    for e in range(t_us.size):
        are_ascending &= t_us[e] >= before
        before = t_us[e]
    return are_ascending


@kernel
def _are_below(index, size):
    """Return whether all indices are in the range from 0 to ``size - 1``."""
    are_below = True
    for e in range(index.size):
        are_below &= (index[e] >= 0) & (index[e] < size)
    return are_below
