"""Arrays whose memory nobody can write.

Kernels index memory with values that were checked once, when a spike train, a model or a recording
was made. A flag does not protect such an array: the owner of a read-only view may still write to
it, and an array that owns its memory can be made writable again. Only memory of ``bytes`` that was
placed here is trusted. Arrays of other ``bytes`` are copied, because NumPy makes an array writable
when it is read from a pickle, although it uses the memory of ``bytes``; and a ``memoryview`` can be
released while an array still uses its memory.
"""

import ctypes
import mmap
import sys
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["array_of_bytes", "immutable", "immutable_copy", "immutable_memory"]

_LARGE: Final = 2**18
"""Size of an array, in bytes, from which other threads may run while it is copied."""

_HUGE: Final = 2**22
"""Size of an array, in bytes, from which it is placed in huge pages, like NumPy's own arrays."""

_NEW_BYTES: Final = ctypes.pythonapi.PyBytes_FromStringAndSize
_NEW_BYTES.restype, _NEW_BYTES.argtypes = ctypes.py_object, (ctypes.c_char_p, ctypes.c_ssize_t)
_ADDRESS: Final = ctypes.pythonapi.PyBytes_AsString
_ADDRESS.restype, _ADDRESS.argtypes = ctypes.c_void_p, (ctypes.py_object,)


class _Memory(np.ndarray[Any, Any]):
    """An array of ``bytes`` that was made here. Other arrays use its memory through plain views."""


def immutable(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return ``array`` as a C-contiguous array of ``dtype`` in memory that nobody can write.

    The values are copied, unless they are in such memory already. Check them in the result: until
    they are copied, another thread may change them.
    """
    is_usable = array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned
    return array if is_usable and _is_immutable(array) else immutable_copy(array, dtype)


def immutable_copy(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return a C-contiguous copy of ``array`` in memory that nobody can write."""
    if array.size * np.dtype(dtype).itemsize < _LARGE:
        return array_of_bytes(np.asarray(array, dtype).tobytes(), dtype, array.shape)
    # `tobytes` would keep all other threads from running until it returns. NumPy copies to new
    # memory without holding the interpreter's lock.
    to, copy = immutable_memory(array.size, dtype)
    np.copyto(to.reshape(array.shape), array, casting="unsafe")
    return copy.reshape(array.shape)


def immutable_memory(size: int, dtype: DTypeLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return two arrays of ``size`` over the same new memory: a writable one and a read-only one.

    Delete the first array once the values are written, before the second: it does not keep the
    memory alive.
    """
    nbytes = size * np.dtype(dtype).itemsize
    # The C API allows to write to the memory of new bytes that nothing else refers to.
    memory = _NEW_BYTES(None, nbytes)
    address = _ADDRESS(memory)
    if nbytes >= _HUGE:
        _use_huge_pages(address, nbytes)
    buffer = (ctypes.c_char * nbytes).from_address(address)
    return np.frombuffer(memoryview(buffer), dtype), array_of_bytes(memory, dtype, (size,))


def array_of_bytes(memory: bytes, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a C-contiguous array that shares the memory of ``bytes``, which has to fit exactly."""
    return _Memory(shape, dtype, memory).view(np.ndarray)


def _use_huge_pages(address: int, size: int) -> None:
    """Ask Linux for huge pages in memory that was not written yet.

    The thread that drops the last reference to an array frees its pages. It is often that of the
    event loop, and freeing 8 MB in small pages takes more than a millisecond.
    """
    if sys.platform == "linux":
        start = address + -address % mmap.PAGESIZE
        stop = address + size
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        # This is a request: the kernel may refuse it, and then the pages are small ones.
        advise(start, stop - stop % mmap.PAGESIZE - start, mmap.MADV_HUGEPAGE)


def _is_immutable(array: NDArray[Any]) -> bool:
    """Return whether the array is a view of one that :func:`array_of_bytes` has made."""
    base: object = array
    while isinstance(base, np.ndarray):
        below: object = base.base
        if type(base) is _Memory and type(below) is bytes:
            return True
        base = below
    return False
