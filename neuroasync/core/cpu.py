"""The number of processor cores that this process may use."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["cores", "limited_cores"]

_limit: int | None = None


def cores() -> int:
    """Return the number of cores that this process may use.

    On Linux this respects the CPU affinity of the process. Other systems do not report it, and the
    result is the number of all cores. Inside :func:`limited_cores` it is at most that limit.
    """
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return usable if _limit is None else min(_limit, usable)


@contextmanager
def limited_cores(limit: int) -> Iterator[None]:
    """Let all threads of this process together use at most ``limit`` cores inside the block.

    Args:
        limit: number of cores, at least 1.
    """
    global _limit
    before, _limit = _limit, limit
    try:
        yield
    finally:
        _limit = before
