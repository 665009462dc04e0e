"""How many spikes or events a slot of the reference simulator stands for."""

import numpy as np

Count = int | tuple[int, np.float32]


def number(count: Count) -> int:
    """Return how many spikes or events a slot stands for."""
    return count[0] if isinstance(count, tuple) else count


def factor(count: Count) -> np.float32:
    """Return what a slot multiplies weights by."""
    return count[1] if isinstance(count, tuple) else np.float32(count)


def summed(events: list[tuple[int, Count]]) -> dict[int, Count]:
    """Return the count of each input of a pass, whose events share a slot."""
    counts: dict[int, Count] = {}
    for i, count in events:
        before = counts.get(i)
        if before is None:
            counts[i] = count
        elif isinstance(count, tuple):
            counts[i] = number(before) + 1, factor(before) + count[1]
        else:
            counts[i] = before + 1
    return counts
