"""The k smallest of n keys, in order.

The order is that of the pairs (key, tie). Ties are distinct, so the order is total and does not
depend on the algorithm. Nothing is allocated. There are two algorithms:

* insertion into a sorted prefix if k <= 16;
* otherwise a max-heap of the k smallest so far, which is then sorted.

Both work in pieces: a call continues what earlier calls have done. Few keys are ordered by
:mod:`neuroasync.core.kernels.vectors.ranking` instead.
"""

from typing import Final

import numpy as np

from neuroasync.core.kernels.jit import kernel, uncounted

__all__ = [
    "MAX_INSERTED",
    "heap_further",
    "insert",
    "select_further",
    "sort",
    "sort_further",
]

MAX_INSERTED: Final = 16
"""Maximum number of selected keys for which insertion is faster than a heap (measured)."""


@uncounted
def _less(keys, ties, a, b):
    """Return whether position ``a`` comes before position ``b``."""
    return keys[a] < keys[b] or (keys[a] == keys[b] and ties[a] < ties[b])


@uncounted
def select_further(keys, ties, begin, end, k, out):
    """Keep the ``k`` smallest of the keys before ``end`` in ``out``.

    They are in ascending order if k is at most ``MAX_INSERTED``; otherwise they are a max-heap.

    Args:
        keys: u64[>= end], compared first.
        ties: integers [>= end], distinct, compared if keys are equal.
        begin: number of keys that earlier calls have compared. ``out`` holds the smallest of them.
        end: number of keys that are compared after this call.
        k: number of keys to select.
        out: i64[>= k], positions of the selected keys.

    Returns:
        The number of positions in the heap that were replaced.
    """
    if k <= MAX_INSERTED:
        _select_by_insertion(keys, ties, begin, end, k, out)
        return 0
    replaced = 0
    for i in range(begin, min(end, k)):
        out[i] = i
    heap_further(keys, ties, begin, min(end, k), out)
    for i in range(max(begin, k), end):
        if _less(keys, ties, i, out[0]):
            out[0] = i
            _sift_down(out, k, keys, ties, 0)
            replaced += 1
    return replaced


@uncounted
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
def insert(keys, ties, size, position, out):
    """Insert a position into ``out[:size]``, which is sorted."""
    at = size
    while at > 0 and _less(keys, ties, position, out[at - 1]):
        out[at] = out[at - 1]
        at -= 1
    out[at] = position


@kernel
def heap_further(keys, ties, begin, end, heap):
    """Add ``heap[begin:end]`` to the max-heap ``heap[:begin]``."""
    for size in range(begin, end):
        at, position = size, heap[size]
        while at > 0 and _less(keys, ties, heap[(at - 1) // 2], position):
            heap[at] = heap[(at - 1) // 2]
            at = (at - 1) // 2
        heap[at] = position


@kernel
def sort_further(keys, ties, begin, end, n, heap):
    """Move the greatest entries of a max-heap of ``n`` positions to its end, in ascending order.

    ``begin`` entries were moved by earlier calls, and ``end`` are moved after this call.
    """
    for left in range(n - 1 - begin, n - 1 - end, -1):
        heap[0], heap[left] = heap[left], heap[0]
        _sift_down(heap, left, keys, ties, 0)


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
    if values.size > 2 * MAX_INSERTED:  # an insertion sort is quadratic
        values.sort()
        return
    for i in range(1, values.size):
        value, at = values[i], i
        while at > 0 and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value
