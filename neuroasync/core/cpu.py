"""The number of processor cores that this process may use."""

import os
import sys

__all__ = ["cores"]


def cores() -> int:
    """Cores that this process may use, where the system says; else all."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
