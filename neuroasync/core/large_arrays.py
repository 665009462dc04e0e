"""Arrays whose place in memory matters: at cache lines, or taken little by little."""

import mmap
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["aligned", "zeros_on_demand"]

_LINE: Final = 64
"""Size in bytes of a cache line, and of the vectors of the widest processors."""

_LARGE: Final = 2**22
"""Size in bytes from which NumPy asks Linux for huge pages."""

_PRIVATE: Final[dict[str, int]] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
)


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that begins at a cache line, so that vectors of 64 bytes need one line each."""
    memory = np.empty(array.nbytes + _LINE, np.uint8)
    skipped = -memory.ctypes.data % _LINE
    copy = memory[skipped : skipped + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def zeros_on_demand(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of zeros that takes memory in small pages, as it is written.

    The first write to a huge page clears 2 MB, which takes about 1 ms. A kernel that writes to
    several arrays in turn would clear several of them at once, and stop the event loop as long.

    Args:
        shape: Shape of the array.
        dtype: Type of its elements.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size < _LARGE:
        return np.zeros(shape, dtype)
    memory = mmap.mmap(-1, size, **_PRIVATE)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype).reshape(shape)
