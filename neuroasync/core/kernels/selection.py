"""The built-in ordering policies: select the pending spikes that the next group delivers.

A forward step delivers at most F pending spikes, F being the group size. Orders:

    layer-sync  all spikes of the lowest-ranked population that has any, by neuron, whatever F is
    random      ascending order_key(seed, pass, step, neuron); ties by neuron
    momentum    descending m + noise * uniform[0, 1) of the same key; ties by neuron
    fifo        the order in which they fired

Source: the forward step of Koopman et al., arXiv 2408.05098.

The policies select the k smallest of n keys, in ascending order.
The order is that of the pairs (key, tie). Ties are distinct, so the order is total and does not
depend on the algorithm. Nothing is allocated. :func:`smallest` uses

* counting sort by rank if n <= 64: the rank of a key is the number of smaller keys;
* insertion into a sorted prefix if k <= 16;
* otherwise a max-heap of the k smallest so far, which is then sorted.
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
    populations_of,
    settings_of,
)
from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import (
    Context,
    Control,
    FloatSettings,
    Pending,
    PolicyCode,
    Populations,
    Settings,
)
from neuroasync.core.kernels.order_keys import neuron_key, step_prefix, uniform

__all__ = ["choose", "smallest", "sort"]

_FEW: Final = 16
"""Maximum number of selected keys for which insertion is faster than a heap (measured)."""
_KEYS_PER_CHECK: Final = 16384
"""Pending spikes that are compared between two checks of the work budget."""
_COUNTED: Final = 64
"""Maximum number of keys for which ranking by counting, which has no branches, is fastest."""
# Kernels need these as np.uint64, because a literal above 2**63 - 1 or a mix of signed and unsigned
# integers would become a float.
_SIGN: Final = np.uint64(1 << 63)
"""Sign bit of a float64."""
_ALL: Final = np.uint64(2**64 - 1)
"""All bits of a u64; the exclusive or with it, or the difference from it, reverses the order."""


@kernel
def _less(keys, ties, a, b):
    """Return whether position ``a`` comes before position ``b``."""
    return keys[a] < keys[b] or (keys[a] == keys[b] and ties[a] < ties[b])


@kernel
def smallest(keys, ties, n, k, out):
    """Write the positions of the ``k`` smallest of ``n`` keys to ``out[:k]``, ascending.

    Args:
        keys: u64[>= n], compared first.
        ties: i64[>= n], distinct, compared if keys are equal.
        n: number of keys.
        k: number of keys to select, at most n.
        out: i64[>= n], overwritten.
    """
    if n <= _COUNTED and _sort_by_counting(keys, n, out):
        return
    select_further(keys, ties, 0, n, k, out)
    complete_selection(keys, ties, k, out)


@kernel
def select_further(keys, ties, begin, end, k, out):
    """Keep the ``k`` smallest of the keys before ``end`` in ``out``.

    Args:
        keys, ties, k, out: as for :func:`smallest`.
        begin: number of keys that earlier calls have compared. ``out`` holds the smallest of them.
        end: number of keys that are compared after this call; at least ``k`` if ``begin`` is 0.
    """
    if k <= _FEW:
        _select_by_insertion(keys, ties, begin, end, k, out)
    else:
        _select_by_heap(keys, ties, begin, end, k, out)


@kernel
def complete_selection(keys, ties, k, out):
    """Sort the ``k`` smallest keys, which :func:`select_further` has selected."""
    if k > _FEW:
        for end in range(k - 1, 0, -1):
            out[0], out[end] = out[end], out[0]
            _sift_down(out, end, keys, ties, 0)


@kernel
def _sort_by_counting(keys, n, out):
    """Write the positions of all keys in order; return False if two keys are equal.

    Equal keys have equal ranks, so that the sum of all ranks is less than n (n - 1) / 2. The
    contents of ``out`` are then undefined.
    """
    total = 0
    for i in range(n):
        rank, key = 0, keys[i]
        for j in range(n):
            rank += 1 if keys[j] < key else 0
        out[rank] = i
        total += rank
    return total == n * (n - 1) // 2


@kernel
def _select_by_insertion(keys, ties, begin, end, k, out):
    """Keep ``out`` sorted while inserting each position that is among the ``k`` smallest."""
    size, last = min(begin, k), np.uint64(0)
    if size:
        last = keys[out[size - 1]]
    for i in range(begin, end):
        key = keys[i]
        if size == k:
            if key > last or (key == last and ties[i] > ties[out[k - 1]]):
                continue
            at = k - 1
        else:
            at = size
            size += 1
        while at > 0 and _less(keys, ties, i, out[at - 1]):
            out[at] = out[at - 1]
            at -= 1
        out[at] = i
        last = keys[out[size - 1]]


@kernel
def _select_by_heap(keys, ties, begin, end, k, heap):
    """Keep the ``k`` smallest in a max-heap."""
    if begin == 0:
        for i in range(k):
            heap[i] = i
        for at in range(k // 2 - 1, -1, -1):
            _sift_down(heap, k, keys, ties, at)
    for i in range(max(begin, k), end):
        if _less(keys, ties, i, heap[0]):
            heap[0] = i
            _sift_down(heap, k, keys, ties, 0)


@kernel
def _sift_down(heap, size, keys, ties, at):
    """Restore the max-heap property below position ``at``."""
    while True:
        largest = at
        for child in (2 * at + 1, 2 * at + 2):
            if child < size and _less(keys, ties, heap[largest], heap[child]):
                largest = child
        if largest == at:
            return
        heap[at], heap[largest] = heap[largest], heap[at]
        at = largest


@kernel
def sort(values):
    """Sort i64[n] in place."""
    if values.size > 2 * _FEW:  # an insertion sort is quadratic
        values.sort()
        return
    for i in range(1, values.size):
        value, at = values[i], i
        while at > 0 and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value


@kernel
def choose(c, limit):
    """Write the positions of the pending spikes to deliver next to ``chosen``, in policy order.

    Args:
        c: the context.
        limit: value of ``control[WORK]`` after which to return in the middle of a selection among
            many pending spikes; the next call continues there.

    Returns:
        The number of selected spikes: at most the group size, except under layer-sync; or -1 if
        the selection is not complete.
    """
    control, settings, chosen = control_of(c), settings_of(c), chosen_of(c)
    n, policy = control[Control.PENDING], settings[Settings.POLICY]
    count = min(n, settings[Settings.GROUP_SIZE])
    if policy == PolicyCode.FIFO:  # pending spikes are stored in the order of firing
        for s in range(count):
            chosen[s] = control[Control.HEAD] + s
        return count
    if policy == PolicyCode.LAYER_SYNC:
        return _choose_layer(c, n)
    keys, ties = order_keys_of(c), pending_of(c)[Pending.KEY]
    begin = control[Control.COMPARED]
    while begin < n:
        # The first keys to be compared must be at least as many as are selected.
        end = min(n, max(begin + _KEYS_PER_CHECK, count))
        _write_keys(c, begin, end)
        if n <= _COUNTED and _sort_by_counting(keys, n, chosen):
            return count
        select_further(keys, ties, begin, end, count, chosen)
        begin = end
        if end < n and control[Control.WORK] > limit:
            control[Control.COMPARED] = end
            return -1
    control[Control.COMPARED] = 0
    complete_selection(keys, ties, count, chosen)
    return count


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
    control[Control.WORK] += end - begin
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


@kernel
def _choose_layer(c, n):
    """Select all pending spikes of the lowest-ranked population, by neuron; return how many."""
    pending, populations = pending_of(c), populations_of(c)
    keys, chosen = order_keys_of(c), chosen_of(c)
    best = pending[Pending.OWNER, 0]
    control_of(c)[Control.WORK] += n
    for k in range(1, n):
        p = pending[Pending.OWNER, k]
        rank, lowest = populations[p, Populations.RANK], populations[best, Populations.RANK]
        if rank < lowest or (rank == lowest and p < best):
            best = p
    count, ascends, latest = 0, True, np.int64(-1)
    for k in range(n):
        mine = pending[Pending.OWNER, k] == best
        keys[k] = np.uint64(0) if mine else np.uint64(1)
        if mine:
            chosen[count] = k
            count += 1
            ascends = ascends and pending[Pending.KEY, k] > latest
            latest = pending[Pending.KEY, k]
    if not ascends:
        smallest(keys, pending[Pending.KEY], n, count, chosen)
    return count
