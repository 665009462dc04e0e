"""The text of a topology as items: words and settings, each with its place for errors."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias, TypeVar

from neuroasync import limits
from neuroasync.core.model.connections import INPUT
from neuroasync.errors import ModelError

__all__ = ["KINDS", "WINDOW", "Item", "Window", "items_of", "window_of"]

Kind: TypeAlias = Literal["settings", "input", "population", "arrow"]
KINDS: Final[tuple[Kind, ...]] = ("settings", "input", "population", "arrow")
"""In the order in which they stand in a text."""

_PAIR: Final = r"(\d{1,6}(?:x\d{1,6})?)"
WINDOW: Final = rf"k{_PAIR}(?:s{_PAIR})?(?:p{_PAIR})?"
"""Regular expression of kernel, stride and padding: three groups."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Window:
    """Kernel, stride and padding of a convolution, (y, x) each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the text.

    Attributes:
        where: its place, for errors.
        kind: what it is.
        words: all that is no setting.
        settings: ``key=value``, as text.
    """

    where: str
    kind: Kind
    words: tuple[str, ...]
    settings: Mapping[str, str]

    def fail(self, problem: str) -> NoReturn:
        """Raise ModelError for this item."""
        raise ModelError(f"{self.where}: {problem}")

    def check_keys(self, known: tuple[str, ...]) -> None:
        """Refuse settings that this item cannot have."""
        for key in self.settings:
            if key not in known:
                expected = f"some of {', '.join(known)}" if known else "no settings"
                self.fail(f"setting {key!r:.80} has no place here, expected {expected}")

    def integer(self, key: str, text: str) -> int:
        """The value of a setting as an integer from 0."""
        if not re.fullmatch(r"[0-9]{1,15}", text):
            self.fail(f"{key}={text:.80}, expected an integer from 0")
        return int(text)

    def number(self, key: str, text: str, is_valid: Callable[[float], bool], range_: str) -> float:
        """The value of a setting as a number in a range."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not is_valid(value):  # NaN is in no range
            self.fail(f"{key}={text:.80}, expected a number {range_}")
        return value

    def choice(self, key: str, text: str, choices: Mapping[str, _T]) -> _T:
        """The value of a setting out of some."""
        if text not in choices:
            self.fail(f"{key}={text:.80}, expected {' or '.join(choices)}")
        return choices[text]


def items_of(text: str) -> list[Item]:
    """Split a text into its items.

    Raises:
        ModelError: it is no text, too long, or an item sets something twice.
    """
    if not isinstance(text, str) or len(text) > limits.MAX_TEXT_CHARS:
        raise ModelError(f"topology: expected a text of at most {limits.MAX_TEXT_CHARS} characters")
    return [
        _item(f"topology, line {number}, '{' '.join(part.split()):.80}'", part)
        for number, line in enumerate(text.splitlines(), 1)
        for part in line.split("#")[0].split(";")
        if part.strip()
    ]


def window_of(groups: tuple[str | None, ...]) -> Window:
    """What the groups of :data:`WINDOW` matched; a stride of 1 and no padding if left out."""
    kernel, stride, padding = groups
    return Window(_pair(kernel or "1"), _pair(stride or "1"), _pair(padding or "0"))


def _pair(text: str) -> tuple[int, int]:
    y, _, x = text.partition("x")
    return int(y), int(x or y)


def _item(where: str, text: str) -> Item:
    words: list[str] = []
    settings: dict[str, str] = {}
    for word in text.replace("->", " -> ").split():
        key, is_setting, value = word.partition("=")
        if not is_setting:
            words.append(word)
        elif key in settings:
            raise ModelError(f"{where}: {key} is set twice")
        else:
            settings[key] = value
    kind: Kind = "population"
    if not words:
        kind = "settings"
    elif "->" in words:
        kind = "arrow"
    elif words[0] == INPUT:
        kind = "input"
    return Item(where, kind, tuple(words), settings)
