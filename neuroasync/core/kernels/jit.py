"""The decorator of all kernels: compile without the GIL, and cache the code on disk."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from numba import njit, version_info
from numba.core.caching import FunctionCache, NullCache
from numba.core.runtime import rtsys

__all__ = ["kernel"]

_LATEST_KNOWN: Final = (0, 68)
"""Latest numba for which cached code is known to need only numba's runtime to be loaded."""


def kernel(function: Callable[..., Any], *, fastmath: bool | set[str] = False) -> Any:
    """Compile ``function`` when it is first called, and cache the code on disk.

    Args:
        function: a function in the subset of Python that numba compiles.
        fastmath: permission to reorder floating-point operations. Use it for gradients only:
            forward passes must give the same bits on every machine.
    """
    dispatcher = njit(nogil=True, fastmath=fastmath)(function)
    dispatcher._cache = _DiskCache(function)
    return dispatcher


class _DiskCache(NullCache):
    """A disk cache for compiled code that differs from numba's own cache in four ways.

    Validity: numba checks only the file of the cached function, although other kernels are inlined
    in its code, so it would run old code after an upgrade. This cache is valid only if no file
    with kernels has changed.

    Creation: numba looks for a writable folder when a function is decorated, by writing a file.
    Most kernels are only called by other kernels and need no cache. This one is created when it is
    first used.

    Loading: before numba reads cached code, it loads everything that it can compile, including
    scipy's linear algebra if that is installed. That takes half of the time to a first decision,
    and cached code needs none of it. Numba loads it later if something must be compiled.

    Errors: if cached code cannot be read (because the file is damaged, or refers to a class that no
    longer exists) or nothing can be written, the function is compiled.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            if version_info.short > _LATEST_KNOWN:
                return self._on_disk.load_overload(sig, target_context)
            rtsys.initialize(target_context)
            return self._on_disk._load_overload(sig, target_context)
        except Exception:
            self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):
            self._on_disk.save_overload(sig, data)

    def flush(self) -> None:
        with suppress(Exception):
            self._on_disk.flush()

    @cached_property
    def _on_disk(self) -> FunctionCache:
        disk_cache = FunctionCache(self._function)
        folder = Path(self._function.__code__.co_filename).parent
        # If a later numba lacks this attribute, this raises, and code is compiled but not cached.
        stamp = disk_cache._cache_file._source_stamp
        disk_cache._cache_file._source_stamp = (
            stamp,
            _digest(Path(__file__).parent),
            _digest(folder),
        )
        return disk_cache


@cache
def _digest(folder: Path) -> str:
    """Return a hash of all Python files in a folder and its subfolders."""
    sources = sorted(folder.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
