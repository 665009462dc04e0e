"""Splitting of batches in which a few samples are much longer than the others.

The tensors of a batch have room for as many passes as its longest sample has, for each of its
samples. If one sample is a thousand times as long as the others, that room is padding.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.model import Model

__all__ = ["split_by_length"]

_MAX_RATIO: Final = 8
"""A batch is split only if it has room for more than this many times the passes that it has."""
_MAX_PADDING_BYTES: Final = 2**26
"""Memory that padding may take in any case. Ordinary batches are never split."""


def split_by_length(passes: NDArray[np.int64], model: Model) -> list[NDArray[np.int64]]:
    """Divide the samples of a batch into parts of similar length, if that saves much memory.

    Args:
        passes: i64[B], number of passes of each sample.
        model: The network.

    Returns:
        The positions of each part's samples in the batch, ascending. There is one part unless the
        padding takes more than 64 MiB and seven eighths of the room.
    """
    classes = model.populations[model.index(model.output)].size
    # Peaks of all neurons take 8 bytes, and votes are copied about ten times for the loss.
    pass_bytes = 8 * model.size + 40 * classes + 16 * len(model.populations)

    def wastes(samples: int, longest: int, total: int) -> bool:
        padding = samples * longest - total
        return padding * pass_bytes > _MAX_PADDING_BYTES and padding > (_MAX_RATIO - 1) * total

    if not wastes(passes.size, int(passes.max(initial=0)), int(passes.sum())):
        return [np.arange(passes.size)]
    order = np.argsort(passes, kind="stable")
    parts, begin, total = [], 0, 0
    for k, length in enumerate(passes[order].tolist()):
        if k > begin and wastes(k + 1 - begin, length, total + length):
            parts.append(np.sort(order[begin:k]))
            begin, total = k, 0
        total += length
    return [*parts, np.sort(order[begin:])]
