"""Bounded heaps of positions: the F smallest of n in O(n log F), in order, without allocation."""

from neuroasync.kernels.jit import kernel

__all__ = ["smallest"]


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
def _less(keys, ties, a, b):
    return keys[a] < keys[b] or (keys[a] == keys[b] and ties[a] < ties[b])


@kernel
def smallest(keys, ties, n, k, heap):
    """Write the positions of the ``k`` smallest of ``n`` to ``heap[:k]``, ascending.

    Args:
        keys: u64[>= n], compared first.
        ties: i64[>= n], distinct, compared where keys are equal.
        n: how many there are.
        k: how many are wanted, at most n.
        heap: i64[>= k], overwritten.
    """
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
