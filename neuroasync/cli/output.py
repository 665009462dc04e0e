"""Plain text and JSON on stdout. Tables are in ``tables.py``, which needs rich."""

import codecs
import json
import sys
from collections.abc import Mapping
from typing import Final

__all__ = [
    "ASCII_ERRORS",
    "displayable",
    "echo_json",
    "echo_text",
    "format_duration",
    "format_number",
    "one_line",
    "write_stdout",
]

ASCII_ERRORS: Final = "neuroasync.ascii"
"""Name of the codec error handler that replaces what an encoding lacks by similar ASCII."""

# ruff: noqa: RUF001
_IN_ASCII: Final = {
    "µ": "u", "μ": "u", "→": "->", "←": "<-", "×": "x", "·": ".", "…": "...", "±": "+-",
    "–": "-", "—": "-", "−": "-", "≤": "<=", "≥": ">=", "≈": "~", "λ": "lambda",
    "─": "-", "━": "-", "│": "|", "┃": "|", "╸": "-", "╺": "-", "▏": "|", "█": "#", "•": "*",
    "“": '"', "”": '"', "‘": "'", "’": "'",
}  # fmt: skip


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


def displayable(text: str) -> str:
    """Return ``text`` with the characters that the encoding of stdout lacks replaced.

    The result may be longer, so replace them before the text is laid out in columns.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, ASCII_ERRORS).decode(encoding)


def write_stdout(text: str) -> None:
    """Write ``text`` to stdout, with the characters that its encoding lacks replaced."""
    if sys.stdout is not None:
        sys.stdout.write(displayable(text))


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII for the characters that could not be encoded, and where to continue."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(char, "?") for char in missing), error.end


codecs.register_error(ASCII_ERRORS, _in_ascii)
