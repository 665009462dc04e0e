"""Settings of the memory allocator that suit a server."""

import contextlib
import ctypes
import sys
from typing import Final

__all__ = ["return_free_memory", "set_mmap_threshold"]

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Numbers of the settings in ``malloc.h`` of glibc."""

_KEPT_BYTES: Final = 2**23
"""Free memory at the end of the heap that is kept. A fixed threshold for large blocks would also
fix this one at 128 KiB, and the heap would shrink and grow again with every sample."""


def set_mmap_threshold(size: int) -> bool:
    """Let blocks of ``size`` bytes or more return to the system as soon as they are freed.

    By default, glibc raises its threshold of 128 KiB once a larger block was freed, so that later
    ones come from the heap. Many large unfinished messages then leave a heap with holes, which
    stays several times as large as its content. Other C libraries have no such setting.

    Returns:
        Whether the setting was changed.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        return bool(mallopt(_M_MMAP_THRESHOLD, size))
    return False


def return_free_memory() -> bool:
    """Return free memory within the heap of the C library to the system, which takes some ms.

    Small blocks that stay would otherwise keep the free memory between them.

    Returns:
        Whether memory was returned. Other C libraries than glibc have no such function.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).malloc_trim(0))
    return False
