"""The decorator of every kernel: compiled once, released from the GIL, kept on disk."""

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
"""Up to this numba, kept code was seen to run with nothing but numba's runtime loaded."""


def kernel(function: Callable[..., Any], *, fastmath: bool | set[str] = False) -> Any:
    """Compile ``function`` at its first call, and keep the code on disk.

    Args:
        function: in the part of Python that numba compiles.
        fastmath: liberties with floats, for the trainer's gradients only: forward passes are
            the same to the bit everywhere.
    """
    dispatcher = njit(nogil=True, fastmath=fastmath)(function)
    dispatcher._cache = _Kept(function)
    return dispatcher


class _Kept(NullCache):
    """Code that numba keeps on disk: fresh, looked for when it is needed, and never in the way.

    Numba takes kept code for fresh as long as the function's *own* file is unchanged, though it
    has other kernels inlined: after an upgrade it would run old ones. Here it is fresh only if
    no kernel of any file has changed.

    It also looks for a place to keep code when a function is decorated, by writing a file there.
    Most kernels are only ever called by others, and need none.

    Before it reads any, it loads all that it can compile, scipy's linear algebra included where
    that is installed: half of the time to a first decision. Kept code needs none of it. Whatever
    is compiled later has numba load it then.

    What cannot be read is compiled anew: a damaged file, or one of an older version that names a
    class which has gone; so is everything where nothing can be written.
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
        kept = FunctionCache(self._function)
        folder = Path(self._function.__code__.co_filename).parent
        # A numba that has no such stamp is one that we do not know: better slow than wrong.
        stamp = kept._cache_file._source_stamp
        kept._cache_file._source_stamp = (stamp, _digest(Path(__file__).parent), _digest(folder))
        return kept


@cache
def _digest(folder: Path) -> str:
    sources = sorted(folder.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
