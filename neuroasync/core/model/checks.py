"""Checks of single fields, and the wording of the errors that they raise."""

import math
import numbers
import operator
from collections.abc import Iterable, Mapping

from neuroasync import limits
from neuroasync.errors import ModelError, NeuroasyncError

__all__ = [
    "as_integer",
    "as_number",
    "at_path",
    "check_callback",
    "check_fraction",
    "check_int",
    "check_ints",
    "check_shape",
    "check_text",
    "check_type",
    "did_you_mean",
    "must_be",
    "printable",
    "shown",
]

_TOO_LARGE_TO_MENTION = 2**31 - 1
"""The error of a value that is too low names the upper bound only if it is smaller than this."""


def must_be(path: str, requirement: str, got: str) -> str:
    """Return the message of an error about a field: ```path` must be ..., got ...``.

    Args:
        path: path of the field, such as ``populations[0].name``.
        requirement: what the field must be, as it follows the words "must be".
        got: what was found instead, for example the result of :func:`shown`.
    """
    return f"`{path}` must be {requirement}, got {got}"


def did_you_mean(value: object, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'name'?"`` for the most similar of ``names``.

    The text is empty if ``value`` is not similar to any of them. Append it to an error.
    """
    # Loaded for errors only, because it takes a while.
    from difflib import get_close_matches

    if not isinstance(value, str):
        return ""
    lower = {name.lower(): name for name in names}
    matches = get_close_matches(value[:80].lower(), lower, n=1)
    return f"; did you mean {str(lower[matches[0]])!r}?" if matches else ""


def at_path(prefix: str, message: str) -> str:
    """Return ``message`` with ``prefix`` in front of the path that it begins with."""
    return (
        f"`{prefix}{message[1:]}"
        if message.startswith("`")
        else f"`{prefix.rstrip('.')}`: {message}"
    )


def printable(text: str, max_chars: int = 80) -> str:
    """Return untrusted text for an error: shortened, and without control characters.

    A control character from a file could otherwise end the line or control the terminal.
    """
    short = text[:max_chars]
    return short if short.isprintable() else repr(short)[1:-1]


def shown(value: object) -> str:
    """Return ``value`` as it appears in an error: one line of at most 80 characters."""
    try:
        text = repr(value)
    except RecursionError:  # a deeply nested list from an untrusted message
        text = f"a deeply nested {type(value).__name__}"
    return f"{' '.join(text.split()):.80}"


def as_integer(value: object) -> int | None:
    """Return an integer of any type, for example of numpy, as an int; None for everything else.

    A bool is no integer, and neither is a float without a fraction.
    """
    if type(value) is int:
        return value
    if isinstance(value, bool | float):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # a TypeError is the answer
    except (TypeError, ValueError):
        return None


def as_number(value: object) -> int | float | None:
    """Return a real number of any type as an int or a float; None for a bool and all else."""
    if type(value) is float:  # the usual case, for which the tests below are slow
        return value
    integer = as_integer(value)
    if integer is not None or isinstance(value, bool) or not isinstance(value, numbers.Real):
        return integer
    return float(value)


def check_callback(path: str, value: object) -> None:
    """Raise ValueError unless ``value`` is a function or None."""
    if value is not None and not callable(value):
        raise ValueError(must_be(path, "a function", shown(value)))


def check_fraction(path: str, value: object) -> float:
    """Return ``value`` as a float if it is a number from 0 to 1.

    Raises:
        ValueError: ``value`` breaks this rule.
    """
    number = as_number(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError(must_be(path, "a number from 0 to 1", shown(value)))
    return float(number)


def check_int(
    path: str,
    value: object,
    low: int,
    high: int,
    error: type[NeuroasyncError | ValueError] = ModelError,
) -> int:
    """Return ``value`` as an int if it is an integer, but not a bool, from ``low`` to ``high``.

    Raises:
        NeuroasyncError, ValueError: ``value`` breaks this rule. The class is ``error``.
    """
    integer = as_integer(value)
    if integer is not None and low <= integer <= high:
        return integer
    if high < _TOO_LARGE_TO_MENTION:
        requirement = f"an integer from {low} to {high}"
    elif integer is not None and integer > high:
        requirement = f"an integer of at most {high}"
    else:
        requirement = f"an integer of at least {low}"
    raise error(must_be(path, requirement, shown(value if integer is None else integer)))


def check_ints(
    owner: object,
    ranges: Mapping[str, tuple[int, int]],
    error: type[NeuroasyncError | ValueError] = ModelError,
) -> None:
    """Check integer fields of a frozen dataclass, and replace integers of other types by ints.

    Args:
        owner: instance of the dataclass.
        ranges: lowest and highest value for each name of a field.
        error: class of the errors.

    Raises:
        NeuroasyncError, ValueError: a field is no integer in its range; the class is ``error``.
    """
    for name, (low, high) in ranges.items():
        value = check_int(name, getattr(owner, name), low, high, error)
        object.__setattr__(owner, name, value)


def check_shape(
    path: str, shape: object, max_size: int, error: type[NeuroasyncError] = ModelError
) -> tuple[int, ...]:
    """Return ``shape`` if it is a tuple of positive integers with a product up to ``max_size``.

    Raises:
        NeuroasyncError: ``shape`` breaks this rule. The class is ``error``.
    """
    if not isinstance(shape, tuple) or not 1 <= len(shape) <= limits.MAX_DIMENSIONS:
        requirement = f"a tuple of 1 to {limits.MAX_DIMENSIONS} integers"
        raise error(must_be(path, requirement, shown(shape)))
    extents = tuple(
        check_int(f"{path}[{k}]", extent, 1, max_size, error) for k, extent in enumerate(shape)
    )
    if (size := math.prod(extents)) > max_size:
        requirement = f"a shape of at most {max_size} elements"
        raise error(must_be(path, requirement, f"{extents} with {size} elements"))
    return extents


def check_text(path: str, text: object, max_chars: int, min_chars: int = 1) -> None:
    """Check that ``text`` is a str of ``min_chars`` to ``max_chars`` that UTF-8 can encode.

    Raises:
        ModelError: ``text`` is not a str, too short, too long, or not valid Unicode.
    """
    if not isinstance(text, str) or not min_chars <= len(text) <= max_chars:
        requirement = f"text of {min_chars} to {max_chars} characters"
        raise ModelError(must_be(path, requirement, shown(text)))
    # Python strings may hold lone surrogates, which no file could store.
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ModelError(must_be(path, "text that UTF-8 can encode", shown(text)))


def check_type(path: str, value: object, kind: type) -> None:
    """Raise TypeError unless ``value`` is an instance of a class."""
    if not isinstance(value, kind):
        raise TypeError(must_be(path, f"a {kind.__name__}", type(value).__name__))
