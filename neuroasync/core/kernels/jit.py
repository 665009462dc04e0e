"""The decorator of all kernels: compile without the GIL, and cache the code on disk.

Compiled code is looked for in three folders, in this order:

1. a subfolder of ``NUMBA_CACHE_DIR``, if this environment variable is set;
2. ``__pycache__`` beside the source of the kernel;
3. a subfolder of numba's cache folder of the user, ``~/.cache/numba`` on Linux.

Code is read from every folder, and written to the first one that can be written. An image can
therefore contain code that its user may only read.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, TypeAlias

from numba import config, njit, version_info
from numba.core.caching import IndexDataCacheFile, NullCache
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.misc.appdirs import AppDirs

from neuroasync.core.compilation_log import compilation_log
from neuroasync.errors import NeuroasyncError

__all__ = [
    "PORTABLE_CPU",
    "CompilationCounts",
    "cache_folders",
    "counts",
    "fill_cache",
    "inlined",
    "inlined_uncounted",
    "is_writable",
    "kernel",
    "uncounted",
]

PORTABLE_CPU: Final = "generic"
"""LLVM's name of the oldest processor of an architecture, whose code runs on all later ones."""

_LATEST_KNOWN: Final = (0, 68)
"""Latest numba for which cached code is known to need only numba's runtime to be loaded."""

_DURATION: Final = " (about a minute)"
"""How long all kernels of forward passes take, for notes."""

_Key: TypeAlias = tuple[object, tuple[str, str, str]]
"""Signature of a function, and the triple, name and features of the processor."""


@dataclass(slots=True)
class CompilationCounts:
    """What happened to the kernels that this process has used.

    Attributes:
        loaded: number of functions that were loaded from the cache.
        compiled: number of functions that were compiled.
        saved: number of functions that were written to the cache.
        folders: folders of the cache that were read or written.
    """

    loaded: int = 0
    compiled: int = 0
    saved: int = 0
    folders: set[Path] = field(default_factory=set)


counts: Final = CompilationCounts()


def kernel(
    function: Callable[..., Any],
    *,
    fastmath: bool | set[str] = False,
    inline: bool = False,
    counts_references: bool = True,
) -> Any:
    """Compile ``function`` when it is first called, and cache the code on disk.

    Args:
        function: a function in the subset of Python that numba compiles.
        fastmath: permission to reorder floating-point operations. Use it for gradients only:
            forward passes must give the same bits on every machine.
        inline: whether to copy the code into its callers. Use it for kernels that are called in
            every forward step: a call passes a view of the context as seven numbers.
        counts_references: whether to count references to arrays. A kernel that does not can neither
            allocate an array nor return one.

    Raises:
        NeuroasyncError: numba's compiler is switched off.
    """
    if config.DISABLE_JIT:
        raise NeuroasyncError(
            "networks cannot run while numba's compiler is switched off: unset NUMBA_DISABLE_JIT "
            "(or `disable_jit` in .numba_config.yaml)"
        )
    dispatcher = njit(  # type: ignore[call-overload]  # its stub lacks `_nrt`
        nogil=True,
        fastmath=fastmath,
        forceinline=inline,
        error_model="numpy",
        _nrt=counts_references,
    )(function)
    dispatcher._cache = _DiskCache(function)
    return dispatcher


inlined: Final = partial(kernel, inline=True)
"""The decorator of kernels whose code is copied into their callers."""

uncounted: Final = partial(kernel, counts_references=False)
"""The decorator of kernels that run in every forward step or pass, and that neither allocate an
array nor return one. Counting references to views, which own no memory, takes much of their time.
"""

inlined_uncounted: Final = partial(uncounted, inline=True)
"""The decorator of such kernels whose code is copied into their callers."""


def fill_cache() -> None:
    """Take no code from elsewhere: load and save code for this processor in one folder only."""
    _DiskCache.is_filled = True


class _DiskCache(NullCache):
    """A disk cache for compiled code that differs from numba's own cache in these ways.

    Validity: numba checks only the file of the cached function, although other kernels are inlined
    in its code, so it would run old code after an upgrade. This cache is valid only if no file
    with kernels has changed.

    Folders: numba ignores a cache that it cannot write. This one is read nevertheless.

    Processors: if the cache has no code for this processor, portable code is taken.

    Creation: numba looks for a writable folder when a function is decorated, by writing a file.
    Most kernels are only called by other kernels and need no cache. This one is created when it is
    first used.

    Loading: before numba reads cached code, it loads everything that it can compile, including
    scipy's linear algebra if that is installed. That takes half of the time to a first decision,
    and cached code needs none of it. Numba loads it later if something must be compiled.

    Errors: if cached code cannot be read (because the file is damaged, or refers to a class that no
    longer exists) or nothing can be written, the function is compiled. The first function that is
    compiled in a process is logged, because a user may wonder what takes so long.
    """

    is_filled = False
    """Whether this process fills the folder of the cache that can be written."""
    _has_announced = False

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # If a later numba lacks an internal function, code is compiled but not cached.
        with suppress(Exception):
            if version_info.short > _LATEST_KNOWN:
                target_context.refresh()
            else:
                rtsys.initialize(target_context)
            if (code := self._load(sig, target_context)) is not None:
                return code
            self._announce()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        counts.compiled += 1
        with suppress(Exception):
            if data.library.has_dynamic_globals:  # such as the address of an array
                return
            key: _Key = (sig, data.codegen.magic_tuple())
            payload = data._reduce()
            for folder, file in self._files.items():
                if is_writable(folder):
                    file.save(key, payload)
                    counts.saved += 1
                    counts.folders.add(folder)
                    return

    def _load(self, sig: Any, target_context: Any) -> Any:
        cpu = target_context.codegen().magic_tuple()
        keys: list[_Key] = [(sig, cpu)]
        if not self.is_filled:
            keys.append((sig, (cpu[0], PORTABLE_CPU, "")))
        for key, (folder, file) in product(keys, self._files.items()):
            try:
                if (payload := file.load(key)) is not None:
                    code = CompileResult._rebuild(target_context, *payload)
                    counts.loaded += 1
                    counts.folders.add(folder)
                    return code
            except Exception:
                with suppress(Exception):
                    file.flush()
        return None

    @cached_property
    def _files(self) -> dict[Path, IndexDataCacheFile]:
        """The index of this function in each folder; the folders may not exist."""
        source = Path(self._function.__code__.co_filename)
        name = f"{source.stem}.{self._function.__qualname__}".replace("<", "").replace(">", "")
        line = self._function.__code__.co_firstlineno
        version = f"py{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}"
        stamp = (_digest(Path(__file__).parent), _digest(source.parent))
        folders = cache_folders(source.parent)
        if self.is_filled:
            folders = tuple(filter(is_writable, folders))[:1]
        base = f"{name}-{line}.{version}"
        return {folder: IndexDataCacheFile(str(folder), base, stamp) for folder in folders}

    def _announce(self) -> None:
        """Log that kernels are compiled, once in a process."""
        if _DiskCache._has_announced:
            return
        _DiskCache._has_announced = True
        is_empty = not any(any(folder.glob("*.nbc")) for folder in cache_folders())
        duration = _DURATION if is_empty else ""
        if any(is_writable(folder) for folder in self._files):
            compilation_log.info("compiling kernels%s; `neuroasync warm` does this ahead", duration)
            return
        compilation_log.warning(
            "compiling kernels at every start%s, because the compiled code cannot be saved in "
            "%s; set NUMBA_CACHE_DIR to a folder that can be written",
            duration,
            ", ".join(map(str, self._files)),
        )


@cache
def cache_folders(source: Path = Path(__file__).parent) -> tuple[Path, ...]:
    """Return the folders where code may be cached that was compiled from a folder of sources.

    Args:
        source: the folder of the sources; by default, that of the kernels of forward passes.
    """
    source = source.absolute()
    subfolder = f"{source.name}_{hashlib.sha256(os.fsencode(source)).hexdigest()[:40]}"
    user = Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)
    folders = [source / "__pycache__"]
    if config.CACHE_DIR:
        folders.insert(0, Path(config.CACHE_DIR).absolute() / subfolder)
    # Without a home, the path begins with "~" and would mean a folder beside the user's files.
    if user.is_absolute():
        folders.append(user / subfolder)
    return tuple(folders)


@cache
def is_writable(folder: Path) -> bool:
    """Return whether files can be created in a folder, which is created if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def _digest(folder: Path) -> str:
    """Return a hash of all Python files in a folder and its subfolders."""
    sources = sorted(folder.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
