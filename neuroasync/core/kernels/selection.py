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
    i32_at,
    momenta_of,
    order_keys_of,
    ordered_of,
    pending_of,
    settings_of,
)
from neuroasync.core.kernels.jit import inlined_uncounted, kernel, uncounted
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    FloatSettings,
    Pending,
    PolicyCode,
    Selected,
    Settings,
)
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform
from neuroasync.core.kernels.smallest_keys import (
    MAX_INSERTED,
    heap_further,
    select_further,
    sort_further,
)
from neuroasync.core.kernels.vectors.ranking import (
    MAX_RANKED,
    order_by_rank,
    write_random_keys,
)

__all__ = ["choose"]

_SPIKES_PER_CHECK: Final = 16384
"""Pending spikes that are compared between two checks of the work budget."""
_HALF = np.uint64(32)
_HIGHEST = np.int32(2**31 - 1)
_LOWEST = np.int64(-(2**31))
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


@inlined_uncounted
def choose(c, limit):
    """Select the pending spikes to deliver next, in policy order.

    ``control[SELECTED]`` tells where they are.

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
        control[Control.SELECTED] = Selected.FIRST
        return count
    if n <= MAX_RANKED and _order_few(c, n):
        control[Control.SELECTED] = Selected.ORDERED
        return count
    control[Control.SELECTED] = Selected.CHOSEN
    keys, ties = order_keys_of(c), pending_of(c)[Pending.KEY]
    begin = control[Control.COMPARED]
    while begin < n:
        end = min(n, begin + (_SPIKES_PER_CHECK if count <= MAX_INSERTED else _HEAPED_PER_CHECK))
        _write_keys(c, begin, end)
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


@inlined_uncounted
def _order_few(c, n):
    """Write the ``n`` pending spikes to ``ordered`` in policy order, by keys of 32 bits.

    Returns:
        Whether these keys determine the order.
    """
    control, pending, room = control_of(c), pending_of(c)[Pending.KEY], MAX_RANKED
    keys, ranks = i32_at(c[Context.KEYS], room), i32_at(c[Context.KEYS] + 4 * room, room)
    ordered, has_ties, noise = ordered_of(c), False, float_settings_of(c)[FloatSettings.NOISE]
    if settings_of(c)[Settings.POLICY] == PolicyCode.RANDOM:
        write_random_keys(c[Context.KEYS], c[Context.PENDING], _step_prefix(c), n)
    elif noise == 0.0:
        _write_momenta(c, keys, pending, n)
        has_ties = True
    else:
        prefix, momenta = _step_prefix(c), momenta_of(c)
        for k in range(n):
            key = np.int64(_momentum_key(momenta, noise, prefix, pending[k]) >> _HALF)
            keys[k] = np.int32(key + _LOWEST)
    control[Control.WORK] += _SPIKE_COST * n
    return order_by_rank(keys, pending, n, ranks, ordered, False) or (
        has_ties and order_by_rank(keys, pending, n, ranks, ordered, True)
    )


@uncounted
def _write_momenta(c, keys, pending, n):
    """Write keys of 32 bits that ascend as the momenta of ``n`` pending spikes descend.

    Adding 0.0 turns -0.0 into 0.0, so that both have the same key.
    """
    momenta, neurons = momenta_of(c), c[Context.NEURONS]
    for k in range(n):
        i, m = np.uint32(pending[k]), np.float32(0.0)
        if i < neurons:
            m = momenta[i] + np.float32(0.0)
        bits = np.float32(m).view(np.int32)
        keys[k] = ~(bits ^ _HIGHEST) if bits < 0 else ~bits


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
    control, keys, pending = control_of(c), order_keys_of(c), pending_of(c)[Pending.KEY]
    prefix = _step_prefix(c)
    control[Control.WORK] += _SPIKE_COST * (end - begin)
    if settings_of(c)[Settings.POLICY] == PolicyCode.RANDOM:
        for k in range(begin, end):
            keys[k] = neuron_key(prefix, pending[k])
        return
    momenta, noise = momenta_of(c), float_settings_of(c)[FloatSettings.NOISE]
    for k in range(begin, end):
        keys[k] = _momentum_key(momenta, noise, prefix, pending[k])


@inlined_uncounted
def _step_prefix(c):
    """Return the hash that the order keys of the step that begins share."""
    control = control_of(c)
    seed = np.uint64(control[Control.SEED])
    return step_prefix(seed, control[Control.PASS], control[Control.STEP] + 1)


@inlined_uncounted
def _momentum_key(momenta, noise, prefix, neuron):
    """Return a u64 that ascends as the momentum of a pending spike, with its noise, descends."""
    m = np.float64(0.0)
    if neuron < momenta.size:
        m = np.float64(momenta[np.uint32(neuron)])
    if noise != 0.0:
        m += noise * uniform(neuron_key(prefix, neuron))
    return _ALL - _ascending(m)


@kernel
def _ascending(value):
    """Return a u64 for a float64, such that the integers sort like the numbers.

    Adding 0.0 turns -0.0 into 0.0, so that both have the same key.
    """
    bits = np.float64(value + 0.0).view(np.uint64)
    return bits ^ _ALL if bits & _SIGN else bits | _SIGN
