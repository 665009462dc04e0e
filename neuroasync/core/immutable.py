"""Arrays whose memory nobody can write.

Kernels index memory with values that were checked once, when a spike train, a model or a recording
was made. A flag does not protect such an array: the owner of a read-only view may still write to
it, and whoever holds an array that owns its memory may set its flag again. Memory of ``bytes`` is
read-only for good.
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["immutable", "immutable_copy"]


def immutable(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return ``array`` as a C-contiguous array of ``dtype`` in memory that nobody can write.

    The values are copied, unless they are in such memory already. Check them in the result: until
    they are copied, another thread may change them.
    """
    is_usable = array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned
    return array if is_usable and _is_immutable(array) else immutable_copy(array, dtype)


def immutable_copy(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return a C-contiguous copy of ``array`` in memory that nobody can write."""
    return np.frombuffer(np.asarray(array, dtype).tobytes(), dtype).reshape(array.shape)


def _is_immutable(array: NDArray[Any]) -> bool:
    """Return whether the memory of ``array`` belongs to an object of type bytes."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, bytes)
