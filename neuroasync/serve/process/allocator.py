"""Settings of the memory allocator that suit a server."""

import contextlib
import ctypes
import sys
from typing import Final

__all__ = ["fix_mmap_threshold"]

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Numbers of the settings in ``malloc.h`` of glibc."""

_THRESHOLD_BYTES: Final = 2**16
"""Blocks of this size or more have pages of their own. The initial threshold of glibc is twice as
large."""

_KEPT_BYTES: Final = 2**23
"""Free memory at the end of the heap that is kept. A fixed threshold for large blocks would also
fix this one at 128 KiB, and the heap would shrink and grow again with every sample."""


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
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        return bool(mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES))
    return False
