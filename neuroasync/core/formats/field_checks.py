"""Take decoded values apart, with errors that name the path of the field."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.formats.strict_msgpack import MAX_ITEMS
from neuroasync.core.model.checks import (
    as_number,
    at_path,
    check_int,
    check_text,
    must_be,
    printable,
    shown,
)
from neuroasync.errors import BundleError, EventsError, ModelError

__all__ = [
    "Scalar",
    "array_map",
    "as_array",
    "as_choice",
    "as_list",
    "as_map",
    "as_text",
    "check_classes",
    "check_number",
    "checked_meta",
    "located",
]

Scalar: TypeAlias = str | int | float | bool | None
"""A value in a bundle's ``meta``."""

_MAX_ELEMENTS: Final = 2**48
"""Elements of an array; more than any file holds, and few enough that no product overflows."""

_KINDS: Final = {
    dict: "a map",
    list: "a list",
    str: "text",
    memoryview: "binary data",
    bool: "a bool",
    int: "an integer",
    float: "a float",
    type(None): "nil",
}


@contextmanager
def located(prefix: str = "") -> Iterator[None]:
    """Turn errors about models and spikes into BundleErrors whose path starts with ``prefix``.

    Raises:
        BundleError: the block raised a ModelError or EventsError.
    """
    try:
        yield
    except (ModelError, EventsError) as error:
        if isinstance(error, BundleError) and not prefix:
            raise
        message = at_path(prefix, str(error)) if prefix else str(error)
        raise BundleError(message) from error


def as_map(
    path: str, value: object, required: Sequence[str], optional: Sequence[str] | None = ()
) -> dict[str, Any]:
    """Return ``value`` if it is a map with these keys.

    Args:
        path: path of the map; empty for the outermost one.
        value: the value to check.
        required: keys that the map must have.
        optional: keys that it may have; None allows any.

    Raises:
        BundleError: ``value`` is not a map, or a key is missing or unknown.
    """
    if not isinstance(value, dict):
        raise _wrong_kind(path, value, "a map")
    prefix = f"{path}." if path else ""
    for key in required:
        if key not in value:
            raise BundleError(f"`{prefix}{key}` is missing")
    known = None if optional is None else [*required, *optional]
    for key in value:
        if known is not None and key not in known:
            raise BundleError(
                f"`{prefix}{printable(key)}` is an unknown key; known keys are {known}"
            )
    return value


def as_list(path: str, value: object) -> list[Any]:
    """Return ``value`` if it is a list.

    Raises:
        BundleError: it is not; the error names ``path``.
    """
    if not isinstance(value, list):
        raise _wrong_kind(path, value, "a list")
    return value


def as_text(path: str, value: object) -> str:
    """Return ``value`` if it is text.

    Raises:
        BundleError: it is not; the error names ``path``.
    """
    if not isinstance(value, str):
        raise _wrong_kind(path, value, "text")
    return value


def as_choice(path: str, value: object, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        BundleError: it is not; the error names ``path`` and the choices.
    """
    if not isinstance(value, str) or value not in choices:
        raise BundleError(must_be(path, f"one of {list(choices)}", shown(value)))
    return value


def check_number(path: str, value: object, low: float, high: float, bounds: str = "") -> float:
    """Return ``value`` as a float if it is a number, but not a bool, from ``low`` to ``high``.

    Args:
        path: path of the number.
        value: the value to check.
        low: minimum.
        high: maximum.
        bounds: how an error describes the range; the two numbers by default.

    Raises:
        BundleError: ``value`` is not a number in this range.
    """
    number = as_number(value)
    if number is None or not low <= number <= high:
        requirement = f"a number {bounds or f'from {low} to {high}'}"
        raise BundleError(must_be(path, requirement, shown(value)))
    return float(number)


def as_array(path: str, value: object, dtype: str) -> NDArray[Any]:
    """Return the array in a map, as a read-only view of its bytes.

    Args:
        path: path of the map.
        value: a map of ``dtype``, ``shape`` and ``data``.
        dtype: the required type, ``"<f4"`` or ``"<i8"``.

    Raises:
        BundleError: ``value`` is not such a map, has another type, or its shape does not fit its
            bytes.
    """
    fields = as_map(path, value, ("dtype", "shape", "data"))
    if fields["dtype"] != dtype:
        raise BundleError(must_be(f"{path}.dtype", repr(dtype), shown(fields["dtype"])))
    shape = as_list(f"{path}.shape", fields["shape"])
    if len(shape) > limits.MAX_DIMENSIONS:
        requirement = f"a list of at most {limits.MAX_DIMENSIONS} dimensions"
        raise BundleError(must_be(f"{path}.shape", requirement, f"{len(shape)} dimensions"))
    for k, extent in enumerate(shape):
        check_int(f"{path}.shape[{k}]", extent, 0, _MAX_ELEMENTS, BundleError)
    # NumPy multiplies the other extents even if one of them is 0, so they must not overflow.
    if math.prod(extent or 1 for extent in shape) > _MAX_ELEMENTS:
        requirement = f"a shape of at most {_MAX_ELEMENTS} elements"
        raise BundleError(must_be(f"{path}.shape", requirement, f"{shape}"))
    data = fields["data"]
    if not isinstance(data, memoryview):
        raise _wrong_kind(f"{path}.data", data, "binary data")
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if len(data) != expected:
        requirement = f"{expected} bytes long for shape {shape}"
        raise BundleError(must_be(f"{path}.data", requirement, f"{len(data)} bytes"))
    return np.frombuffer(data, dtype).reshape(shape)


def array_map(array: NDArray[Any], dtype: str) -> dict[str, Any]:
    """Return the map that :func:`as_array` reads."""
    data = np.ascontiguousarray(array, dtype).tobytes()
    return {"dtype": dtype, "shape": list(array.shape), "data": data}


def _wrong_kind(path: str, value: object, requirement: str) -> BundleError:
    kind = _KINDS.get(type(value), type(value).__name__)
    return BundleError(must_be(path or "bundle", requirement, kind))


def check_classes(classes: tuple[str, ...], outputs: int) -> None:
    """Check that there is a distinct name for each output neuron.

    Raises:
        ModelError: there are more or fewer names, or a name is malformed or occurs twice.
    """
    # The decoder rejects lists of more than MAX_ITEMS entries, so a file with more classes would
    # be unreadable.
    if len(classes) != outputs or outputs > MAX_ITEMS:
        requirement = f"a list of {outputs} names, one per output neuron (at most {MAX_ITEMS})"
        raise BundleError(must_be("classes", requirement, f"{len(classes)}"))
    seen: set[str] = set()
    for k, name in enumerate(classes):
        check_text(f"classes[{k}]", name, limits.MAX_NAME_CHARS)
        if name in seen:
            requirement = "different from all names before it"
            raise BundleError(must_be(f"classes[{k}]", requirement, shown(name)))
        seen.add(name)


def checked_meta(meta: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the entries, with numbers of other types, for example of numpy, as int or float."""
    if not isinstance(meta, Mapping):
        raise BundleError(must_be("meta", "a map from text to plain values", type(meta).__name__))
    if len(meta) > limits.MAX_META_ENTRIES:
        requirement = f"a map of at most {limits.MAX_META_ENTRIES} entries"
        raise BundleError(must_be("meta", requirement, f"{len(meta)}"))
    checked: dict[str, Scalar] = {}
    for key, given in meta.items():
        check_text("key of meta", key, limits.MAX_NAME_CHARS)
        path = f"meta[{key!r}]"
        number = as_number(given)
        value = given if number is None else number
        if isinstance(value, str):
            check_text(path, value, limits.MAX_TEXT_CHARS, 0)
        elif type(value) is int:
            check_int(path, value, -(2**63), 2**64 - 1)
        elif not (value is None or type(value) is bool or type(value) is float):
            raise BundleError(must_be(path, "text, a number, a bool or nil", shown(value)))
        elif type(value) is float and not math.isfinite(value):
            raise BundleError(must_be(path, "a finite number", shown(value)))
        checked[key] = value
    return checked
