"""The F smallest of n, in order, and short lists in order; without allocation."""

from typing import Final

import numpy as np

from neuroasync.core.kernels.jit import kernel

__all__ = ["smallest", "sort"]

_FEW: Final = 16
"""Up to so many wanted, an insertion beats a heap."""
_COUNTED: Final = 64
"""Up to so many in all, counting for each how many are smaller beats both: no branch is guessed."""


@kernel
def _less(keys, ties, a, b):
    return keys[a] < keys[b] or (keys[a] == keys[b] and ties[a] < ties[b])


@kernel
def smallest(keys, ties, n, k, out):
    """Write the positions of the ``k`` smallest of ``n`` to ``out[:k]``, ascending.

    Args:
        keys: u64[>= n], compared first.
        ties: i64[>= n], distinct, compared where keys are equal.
        n: how many there are.
        k: how many are wanted, at most n.
        out: i64[>= n], overwritten.
    """
    if n <= _COUNTED and _sort_by_counting(keys, n, out):
        return
    if k <= _FEW:
        _select_by_insertion(keys, ties, n, k, out)
    else:
        _select_by_heap(keys, ties, n, k, out)


@kernel
def _sort_by_counting(keys, n, out):
    """Write all positions in order, if no two keys are equal; return whether that is so."""
    total = 0
    for i in range(n):
        rank, key = 0, keys[i]
        for j in range(n):
            rank += 1 if keys[j] < key else 0
        out[rank] = i
        total += rank
    return total == n * (n - 1) // 2


@kernel
def _select_by_insertion(keys, ties, n, k, out):
    size, last = 0, np.uint64(0)
    for i in range(n):
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
def _select_by_heap(keys, ties, n, k, heap):
    for i in range(k):
        heap[i] = i
    for at in range(k // 2 - 1, -1, -1):
        _sift_down(heap, k, keys, ties, at)
    for i in range(k, n):
        if _less(keys, ties, i, heap[0]):
            heap[0] = i
            _sift_down(heap, k, keys, ties, 0)
    for end in range(k - 1, 0, -1):
        heap[0], heap[end] = heap[end], heap[0]
        _sift_down(heap, end, keys, ties, 0)


@kernel
def _sift_down(heap, size, keys, ties, at):
    """Restore the max-heap of positions below ``at``."""
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
    if values.size > 2 * _FEW:
        values.sort()
        return
    for i in range(1, values.size):
        value, at = values[i], i
        while at > 0 and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value
