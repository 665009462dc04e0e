"""Plain text and JSON on stdout. Tables are in ``tables.py``, which needs rich."""

import json
import sys
from collections.abc import Mapping

__all__ = ["echo_json", "echo_text", "format_duration", "format_number", "one_line", "write_stdout"]


def echo_json(value: Mapping[str, object]) -> None:
    """Write one JSON object to stdout, on its own line."""
    write_stdout(json.dumps(value, allow_nan=False) + "\n")


def echo_text(text: str) -> None:
    """Write lines of text to stdout, with control characters escaped."""
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        write_stdout(f"{indent}{one_line(line)}\n")


def one_line(text: object) -> str:
    """Return ``text`` on one line, with control characters escaped.

    File names and other input may contain control characters, which could drive a terminal.
    """
    joined = " ".join(str(text).split())
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in joined
    )


def format_number(value: float | None, unit: str = "", digits: int = 1) -> str:
    """Return a number with its unit, or a dash for None.

    Args:
        value: The number. With the unit ``%``, a fraction from 0 to 1.
        unit: The unit, if there is one.
        digits: Digits after the decimal point. Integers have none.
    """
    if value is None:
        return "-"
    if unit == "%":
        value *= 100
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"
    return f"{number} {unit}".rstrip()


def format_duration(ms: float | None) -> str:
    """Return a duration with the unit that fits it, µs, ms or s, or a dash for None.

    Args:
        ms: The duration, ms.
    """
    if ms is None:
        return "-"
    for unit, factor in (("µs", 1e3), ("ms", 1.0)):
        # What rounds up to 1,000 belongs to the next unit.
        if (value := ms * factor) < 999.5:
            return f"{value:.{0 if value >= 9.95 else 1}f} {unit}"
    return f"{ms / 1e3:,.1f} s"


def write_stdout(text: str) -> None:
    """Write ``text`` to stdout. Characters that its encoding lacks become question marks."""
    if sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
