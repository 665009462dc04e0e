"""Durations, which are integers of µs inside the package and may be given in other forms.

A duration is an integer of µs, a text with a unit (``"20ms"``, ``"50us"`` or ``"50µs"``,
``"1.5s"``), or a :class:`datetime.timedelta`. Nothing is rounded: a duration that is not a whole
number of µs is refused.
"""

import re
from datetime import timedelta
from typing import Final, TypeAlias

from neuroasync import limits
from neuroasync.core.model.checks import as_integer, must_be, shown

__all__ = ["Duration", "microseconds", "optional_microseconds", "text_us"]

Duration: TypeAlias = int | str | timedelta
"""A duration: an integer of µs, a text such as ``"20ms"``, or a timedelta."""

_TEXT: Final = "([0-9]{1,15})(?:[.]([0-9]{1,15}))? ?(us|\u00b5s|\u03bcs|ms|s)"
"""Pattern of a duration as text; the letter in µs may be the micro sign or the Greek mu."""

_DIGITS: Final = {"us": 0, "\u00b5s": 0, "\u03bcs": 0, "ms": 3, "s": 6}
"""Number of decimal digits that each unit has below it, down to 1 µs."""

_FORMS: Final = "an integer of µs, a text such as '20ms', or a timedelta"


def microseconds(
    value: Duration, name: str, at_least: int = 0, at_most: int = limits.MAX_TIME_US
) -> int:
    """Return a duration in µs.

    Args:
        value: the duration; any integer type except bool.
        name: name of the argument, for the error.
        at_least: lower bound, µs.
        at_most: upper bound, µs.

    Raises:
        ValueError: ``value`` is not a duration, not a whole number of µs, or out of range.
    """
    us = _whole_us(value, name)
    if at_least <= us <= at_most:
        return us
    bound = f"at most {at_most}" if us > at_most else f"at least {at_least}"
    if isinstance(value, str | timedelta):
        raise ValueError(must_be(name, f"{bound} µs", str(value)))
    raise ValueError(must_be(name, f"an integer of {bound}", shown(us)))


def optional_microseconds(
    value: Duration | None, name: str, default_us: int | None = None
) -> int | None:
    """Return a duration in µs, or ``default_us`` for None; raise as :func:`microseconds`."""
    return default_us if value is None else microseconds(value, name)


def text_us(text: str) -> int | None:
    """Return the duration that a text states, µs; None if it is not a whole number of µs."""
    match = re.fullmatch(_TEXT, text, re.ASCII)
    if match is None:
        return None
    digits = _DIGITS[match[3]]
    fraction = (match[2] or "").rstrip("0")
    if len(fraction) > digits:
        return None
    return int(match[1] + fraction.ljust(digits, "0"))


def _whole_us(value: object, name: str) -> int:
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)  # exact, because a timedelta has whole µs
    if isinstance(value, str):
        if (us := text_us(value)) is not None:
            return us
        requirement = "a whole number of µs with a unit, such as '50us', '20ms' or '1.5s'"
        raise ValueError(must_be(name, requirement, shown(value)))
    if (integer := as_integer(value)) is None:
        raise ValueError(must_be(name, _FORMS, shown(value)))
    return integer
