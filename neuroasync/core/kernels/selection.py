"""The built-in ordering policies: select the pending spikes that the next group delivers.

A forward step delivers at most F pending spikes, F being the group size. Orders:

    random      ascending order_key(seed, pass, step, neuron); ties by neuron
    momentum    descending m + noise * uniform[0, 1) of the same key; ties by neuron
    fifo        the order in which they fired

Under layer-sync nothing is selected: all spikes of a turn are delivered; see
:mod:`neuroasync.core.kernels.turns`.

Source: the forward step of Koopman et al., arXiv 2408.05098.

A selection among many pending spikes is made in pieces. It can return between two pieces when the
work budget is spent, so that it does not block the event loop.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.array_views import (
    chosen_of,
    control_of,
    float_settings_of,
    momenta_of,
    order_keys_of,
    pending_of,
    settings_of,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    FloatSettings,
    Pending,
    PolicyCode,
    Settings,
)
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform
from neuroasync.core.kernels.smallest_keys import (
    MAX_COUNTED,
    MAX_INSERTED,
    heap_further,
    select_further,
    sort_by_counting,
    sort_further,
)

__all__ = ["choose"]

_SPIKES_PER_CHECK: Final = 16384
"""Pending spikes that are compared between two checks of the work budget."""
_HEAPED_PER_CHECK: Final = 512
"""Pending spikes that are compared with those in a heap, or added to it, between two checks."""
_SORTED_PER_CHECK: Final = 256
"""Selected spikes that are taken from a heap between two checks."""
_SPIKE_COST: Final = 8
"""Cost of comparing a pending spike, in synaptic operations (measured)."""
# Kernels need these as np.uint64, because a literal above 2**63 - 1 or a mix of signed and unsigned
# integers would become a float.
_SIGN: Final = np.uint64(1 << 63)
"""Sign bit of a float64."""
_ALL: Final = np.uint64(2**64 - 1)
"""All bits of a u64; the exclusive or with it, or the difference from it, reverses the order."""


@kernel
def choose(c, limit):
    """Write the positions of the pending spikes to deliver next to ``chosen``, in policy order.

    Args:
        c: the context.
        limit: value of ``control[WORK]`` after which to return in the middle of a selection among
            many pending spikes; the next call continues there.

    Returns:
        The number of selected spikes, at most the group size; or -1 if the selection is not
        complete.
    """
    control, settings, chosen = control_of(c), settings_of(c), chosen_of(c)
    n, policy = control[Control.PENDING], settings[Settings.POLICY]
    count = min(n, settings[Settings.GROUP_SIZE])
    if policy == PolicyCode.FIFO:
        return _choose_first(c, count, limit)
    keys, ties = order_keys_of(c), pending_of(c)[Pending.KEY]
    begin = control[Control.COMPARED]
    while begin < n:
        end = min(n, begin + (_SPIKES_PER_CHECK if count <= MAX_INSERTED else _HEAPED_PER_CHECK))
        _write_keys(c, begin, end)
        if n <= MAX_COUNTED and sort_by_counting(keys, n, chosen):
            return count
        replaced = select_further(keys, ties, begin, end, count, chosen)
        begin = end
        if count > MAX_INSERTED:
            control[Control.WORK] += replaced * _sift_cost(count)
        if end < n and control[Control.WORK] > limit:
            control[Control.COMPARED] = end
            return -1
    if count > MAX_INSERTED:
        control[Control.COMPARED] = n  # so that the next call goes on with sorting
        control[Control.HEAPED] = count
        if not _sort_heap(c, count, limit):
            return -1
    control[Control.COMPARED] = 0
    return count


@kernel
def _choose_first(c, count, limit):
    """Select the spikes that are pending longest; see :func:`choose`.

    They are stored in the order of firing.
    """
    control, chosen, room = control_of(c), chosen_of(c), c[Context.PENDING_CAPACITY]
    head, begin = control[Control.HEAD], control[Control.COMPARED]
    while begin < count:
        end = min(count, begin + _SPIKES_PER_CHECK)
        for s in range(begin, end):
            chosen[s] = head + s if head + s < room else head + s - room
        control[Control.WORK] += _SPIKE_COST * (end - begin) // 2
        begin = end
        if end < count and control[Control.WORK] > limit:
            control[Control.COMPARED] = end
            return -1
    control[Control.COMPARED] = 0
    return count


@kernel
def _sift_cost(n):
    """Return the cost of moving an entry down a heap of ``n``, in synaptic operations (measured).

    Levels of a large heap cost more, because they are not in a cache.
    """
    levels = 0
    while n:
        n >>= 1
        levels += 1
    return 4 * levels * levels


@kernel
def _sort_heap(c, count, limit):
    """Sort the selected spikes, of which ``control[HEAPED]`` are a heap; return whether all are."""
    control, chosen = control_of(c), chosen_of(c)
    keys, ties, cost = order_keys_of(c), pending_of(c)[Pending.KEY], _sift_cost(count)
    while control[Control.SORTED] < count:
        if control[Control.HEAPED] < count:
            begin = control[Control.HEAPED]
            end = min(count, begin + _HEAPED_PER_CHECK)
            heap_further(keys, ties, begin, end, chosen)
            control[Control.HEAPED] = end
            control[Control.WORK] += _SPIKE_COST * (end - begin)
        else:
            begin = control[Control.SORTED]
            end = min(count, begin + _SORTED_PER_CHECK)
            sort_further(keys, ties, begin, end, count, chosen)
            control[Control.SORTED] = end
            control[Control.WORK] += cost * (end - begin)
        if control[Control.SORTED] < count and control[Control.WORK] > limit:
            return False
    control[Control.HEAPED] = control[Control.SORTED] = 0
    return True


@kernel
def _write_keys(c, begin, end):
    """Write the keys of the pending spikes from ``begin`` to ``end``; the smallest go first."""
    control, settings, keys, pending = (
        control_of(c),
        settings_of(c),
        order_keys_of(c),
        pending_of(c),
    )
    prefix = step_prefix(
        np.uint64(control[Control.SEED]), control[Control.PASS], control[Control.STEP] + 1
    )
    control[Control.WORK] += _SPIKE_COST * (end - begin)
    if settings[Settings.POLICY] == PolicyCode.RANDOM:
        for k in range(begin, end):
            keys[k] = neuron_key(prefix, pending[Pending.KEY, k])
        return
    momenta, inputs = momenta_of(c), c[Context.POPULATION_COUNT]
    noise = float_settings_of(c)[FloatSettings.NOISE]
    for k in range(begin, end):
        m = np.float64(0.0)
        if pending[Pending.OWNER, k] != inputs:
            m = np.float64(momenta[pending[Pending.ORIGIN, k]])
        if noise != 0.0:
            m += noise * uniform(neuron_key(prefix, pending[Pending.KEY, k]))
        keys[k] = _ALL - _ascending(m)


@kernel
def _ascending(value):
    """Return a u64 for a float64, such that the integers sort like the numbers.

    Adding 0.0 turns -0.0 into 0.0, so that both have the same key.
    """
    bits = np.float64(value + 0.0).view(np.uint64)
    return bits ^ _ALL if bits & _SIGN else bits | _SIGN
