"""The public coroutines of the package, found by introspection."""

import inspect
from importlib import import_module
from typing import Final

import neuroasync
from neuroasync.runtime.streams.guarded_decisions import GuardedDecisions
from neuroasync.serve.server_state import ServerState

__all__ = ["public_coroutines"]

_SPECIAL: Final = ("__aenter__", "__aexit__", "__anext__", "__call__")

_RETURNED: Final = (GuardedDecisions, ServerState)
"""Classes without a public name whose objects are returned or documented: what ``session.watch``
and ``session.stream`` return, and ``app.state.server_state``."""


def public_coroutines() -> set[str]:
    """Return the qualified names of all public coroutine functions and methods."""
    modules = [neuroasync, *(import_module(f"neuroasync.{m}") for m in neuroasync._SUBMODULES)]
    values = [
        getattr(module, name) for module in modules for name in getattr(module, "__all__", ())
    ]
    return {name for value in (*values, *_RETURNED) for name in _coroutines_of(value)}


def _coroutines_of(value: object) -> set[str]:
    if inspect.isclass(value):
        if not value.__module__.startswith("neuroasync."):
            return set()
        names = [n for n in dir(value) if not n.startswith("_") or n in _SPECIAL]
        return {
            f"{value.__qualname__}.{n}"
            for n in names
            if _is_async(inspect.getattr_static(value, n))
        }
    return {value.__qualname__} if inspect.isfunction(value) and _is_async(value) else set()


def _is_async(function: object) -> bool:
    function = inspect.unwrap(getattr(function, "__func__", function))
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
