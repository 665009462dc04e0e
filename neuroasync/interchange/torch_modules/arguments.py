"""Arguments of the functions that a traced module calls."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from torch import Tensor

from neuroasync.interchange.torch_modules.linear_functions import name_of

__all__ = ["index_of", "is_in_place", "mapped", "on_a_copy", "tensors_in"]

_OPERATORS: Final = frozenset({
    "__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__imod__",
    "__ipow__", "__iand__", "__ior__", "__ixor__", "__ilshift__", "__irshift__",
})  # fmt: skip
"""Operators that change a tensor in place."""


def index_of(index: Any, dim: int) -> Any:
    """Return the index of dimension ``dim`` if all others are taken whole, else None."""
    parts = index if isinstance(index, tuple) else (index,)
    others = (*parts[:dim], *parts[dim + 1 :])
    if len(parts) <= dim or any(part != slice(None) and part is not Ellipsis for part in others):
        return None
    return parts[dim]


def tensors_in(values: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists and tuples."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors_in(value)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return nested lists, tuples and maps with each value in them changed."""
    if isinstance(value, list | tuple):
        return [mapped(v, change) for v in value]
    if isinstance(value, Mapping):
        return {k: mapped(v, change) for k, v in value.items()}
    return change(value)


def is_in_place(func: Callable[..., Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a call changes a tensor in place, by the function's name and arguments."""
    name = str(getattr(func, "__name__", func))
    is_named_so = name in _OPERATORS or (name.endswith("_") and not name.endswith("__"))
    return is_named_so or "out" in kwargs or kwargs.get("inplace") is True


def on_a_copy(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that changes its argument in place as one that changes a copy of it."""

    def changed(given: Any, *args: Any, **kwargs: Any) -> Any:
        return func(given.clone() if isinstance(given, Tensor) else given, *args, **kwargs)

    changed.__name__ = name_of(func)
    return changed
