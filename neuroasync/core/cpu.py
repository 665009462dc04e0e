"""The number of processor cores that this process may use."""

import os
import sys

__all__ = ["cores"]


def cores() -> int:
    """Return the number of cores that this process may use.

    On Linux this respects the CPU affinity of the process. Other systems do not report it, and the
    result is the number of all cores.
    """
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
