"""The decorator of every kernel: compiled once, released from the GIL, kept on disk."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit

__all__ = ["kernel"]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` at its first call, and keep the code on disk.

    Numba takes kept code for fresh as long as the function's *own* file is unchanged, though it
    has other kernels inlined: after an upgrade it would run old ones. Here it is fresh only if
    no kernel of any file has changed.
    """
    dispatcher = njit(cache=True, nogil=True)(function)
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is None or not hasattr(kept, "_source_stamp"):  # another numba: slower to start, but never wrong
        return njit(nogil=True)(function)
    folder = Path(function.__code__.co_filename).parent
    kept._source_stamp = (kept._source_stamp, _digest(Path(__file__).parent), _digest(folder))
    return dispatcher


@cache
def _digest(folder: Path) -> str:
    sources = sorted(folder.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
