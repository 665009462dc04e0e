"""Take decoded values apart, with errors that say where in the bundle."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.errors import BundleError, ModelError, SpikeFileError

__all__ = ["array_map", "as_array", "as_list", "as_map", "as_text", "located"]

_MAX_CELLS: Final = 2**48

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
def located(where: str = "") -> Iterator[None]:
    """Turn the errors of models and spikes into BundleErrors whose path begins with ``where``."""
    try:
        yield
    except (ModelError, SpikeFileError) as error:
        if isinstance(error, BundleError) and not where:
            raise
        raise BundleError(f"{where}{error}") from error


def as_map(
    where: str, value: object, required: Sequence[str], optional: Sequence[str] | None = ()
) -> dict[str, Any]:
    """Return ``value`` if it is a map with these keys.

    Args:
        where: path of the map.
        value: anything.
        required: keys that must be there.
        optional: keys that may be there; None for any.

    Raises:
        BundleError: it is no map, a key is missing, or one is unknown.
    """
    if not isinstance(value, dict):
        raise _unexpected(where, value, "a map")
    prefix = f"{where}." if where else ""
    for key in required:
        if key not in value:
            raise BundleError(f"{prefix}{key}: missing")
    known = None if optional is None else [*required, *optional]
    for key in value:
        if known is not None and key not in known:
            raise BundleError(f"{prefix}{key:.80}: unknown key, expected one of {known}")
    return value


def as_list(where: str, value: object) -> list[Any]:
    """Return ``value`` if it is a list."""
    if not isinstance(value, list):
        raise _unexpected(where, value, "a list")
    return value


def as_text(where: str, value: object) -> str:
    """Return ``value`` if it is text."""
    if not isinstance(value, str):
        raise _unexpected(where, value, "text")
    return value


def as_array(where: str, value: object, dtype: str) -> NDArray[Any]:
    """Return a view of an array's bytes.

    Args:
        where: path of the array.
        value: map of ``dtype``, ``shape`` and ``data``.
        dtype: the one that is expected, ``"<f4"`` or ``"<i8"``.

    Raises:
        BundleError: it is no array, of another type, or its shape does not fit its bytes.
    """
    fields = as_map(where, value, ("dtype", "shape", "data"))
    if fields["dtype"] != dtype:
        raise BundleError(f"{where}.dtype: {fields['dtype']!r:.80}, expected {dtype!r}")
    shape = as_list(f"{where}.shape", fields["shape"])
    if len(shape) > limits.MAX_DIMENSIONS:
        raise BundleError(
            f"{where}.shape: {len(shape)} dimensions, expected at most {limits.MAX_DIMENSIONS}"
        )
    for k, extent in enumerate(shape):
        if type(extent) is not int or not 0 <= extent <= _MAX_CELLS:
            raise BundleError(
                f"{where}.shape[{k}]: {extent!r:.80}, expected an integer from 0 to {_MAX_CELLS}"
            )
    if math.prod(extent or 1 for extent in shape) > _MAX_CELLS:  # numpy's, even if one is 0
        raise BundleError(f"{where}.shape: {shape}, expected at most {_MAX_CELLS} cells")
    data = fields["data"]
    if not isinstance(data, memoryview):
        raise _unexpected(f"{where}.data", data, "binary data")
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if len(data) != expected:
        raise BundleError(f"{where}.data: {len(data)} bytes, expected {expected} for {shape}")
    return np.frombuffer(data, dtype).reshape(shape)


def array_map(array: NDArray[Any], dtype: str) -> dict[str, Any]:
    """Return the map that :func:`as_array` reads."""
    data = np.ascontiguousarray(array, dtype).tobytes()
    return {"dtype": dtype, "shape": list(array.shape), "data": data}


def _unexpected(where: str, value: object, expected: str) -> BundleError:
    found = _KINDS.get(type(value), type(value).__name__)
    return BundleError(f"{where or 'bundle'}: {found}, expected {expected}")
