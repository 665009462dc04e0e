"""The decorator of every kernel: compiled once, released from the GIL, kept on disk."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit

__all__ = ["kernel"]


def kernel(function: Callable[..., Any], *, fastmath: bool | set[str] = False) -> Any:
    """Compile ``function`` at its first call, and keep the code on disk.

    Numba takes kept code for fresh as long as the function's *own* file is unchanged, though it
    has other kernels inlined: after an upgrade it would run old ones. Here it is fresh only if
    no kernel of any file has changed.

    Args:
        function: in the part of Python that numba compiles.
        fastmath: liberties with floats, for the trainer's gradients only: forward passes are
            the same to the bit everywhere.
    """
    dispatcher = njit(cache=True, nogil=True, fastmath=fastmath)(function)
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is None or not hasattr(kept, "_source_stamp"):
        # Another numba than we know: slower to start, but never wrong.
        return njit(nogil=True, fastmath=fastmath)(function)
    folder = Path(function.__code__.co_filename).parent
    kept._source_stamp = (kept._source_stamp, _digest(Path(__file__).parent), _digest(folder))
    return dispatcher


@cache
def _digest(folder: Path) -> str:
    sources = sorted(folder.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
