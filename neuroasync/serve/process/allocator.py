"""Settings of the memory allocator that suit a server."""

import contextlib
import ctypes
import sys
from typing import Final

__all__ = ["fix_mmap_threshold"]

_M_MMAP_THRESHOLD: Final = -3
"""Number of the setting in ``malloc.h`` of glibc."""

_THRESHOLD_BYTES: Final = 2**16
"""Blocks of this size or more have pages of their own. The initial threshold of glibc is twice as
large."""


def fix_mmap_threshold() -> bool:
    """Make the C library return each large block to the system as soon as it is freed.

    By default, glibc raises the threshold for large blocks once one was freed, so that later ones
    come from the heap. Many large unfinished messages then leave a heap with holes, which stays
    several times as large as its content. Other C libraries have no such setting.

    Returns:
        Whether the setting was changed.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES))
    return False
