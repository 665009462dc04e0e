"""Arrays whose memory nobody can write.

Kernels index memory with values that were checked once, when a spike train, a model or a recording
was made. A flag does not protect such an array: the owner of a read-only view may still write to
it, and whoever holds an array that owns its memory may set its flag again. Memory of ``bytes`` is
read-only for good.
"""

import ctypes
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["immutable", "immutable_copy"]

_LARGE: Final = 2**18
"""Size of an array, in bytes, from which other threads may run while it is copied."""

_NEW_BYTES: Final = ctypes.pythonapi.PyBytes_FromStringAndSize
_NEW_BYTES.restype, _NEW_BYTES.argtypes = ctypes.py_object, (ctypes.c_char_p, ctypes.c_ssize_t)
_ADDRESS: Final = ctypes.pythonapi.PyBytes_AsString
_ADDRESS.restype, _ADDRESS.argtypes = ctypes.c_void_p, (ctypes.py_object,)


def immutable(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return ``array`` as a C-contiguous array of ``dtype`` in memory that nobody can write.

    The values are copied, unless they are in such memory already. Check them in the result: until
    they are copied, another thread may change them.
    """
    is_usable = array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned
    return array if is_usable and _is_immutable(array) else immutable_copy(array, dtype)


def immutable_copy(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return a C-contiguous copy of ``array`` in memory that nobody can write."""
    size = array.size * np.dtype(dtype).itemsize
    if size < _LARGE:
        return np.frombuffer(np.asarray(array, dtype).tobytes(), dtype).reshape(array.shape)
    # `tobytes` would keep all other threads from running until it returns. The C API allows to
    # write to the memory of new bytes that nothing else refers to, and NumPy copies to it without
    # holding the interpreter's lock.
    memory = _NEW_BYTES(None, size)
    buffer = (ctypes.c_char * size).from_address(_ADDRESS(memory))
    np.copyto(
        np.frombuffer(memoryview(buffer), dtype).reshape(array.shape), array, casting="unsafe"
    )
    return np.frombuffer(memory, dtype).reshape(array.shape)


def _is_immutable(array: NDArray[Any]) -> bool:
    """Return whether the memory of ``array`` belongs to an object of type bytes."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, bytes)
