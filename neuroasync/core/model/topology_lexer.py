"""Splits the text of a topology into items: words and settings with their place in the text."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias, TypeVar

from neuroasync import limits
from neuroasync.core.model.checks import printable
from neuroasync.core.model.connections import INPUT
from neuroasync.errors import ModelError

__all__ = ["KERNEL_PATTERN", "KINDS", "Item", "Kernel", "parse_kernel", "split_items"]

Kind: TypeAlias = Literal["settings", "input", "population", "arrow"]
KINDS: Final[tuple[Kind, ...]] = ("settings", "input", "population", "arrow")
"""The kinds of items, in the order in which they must appear in a text."""

_PAIR: Final = r"(\d{1,6}(?:x\d{1,6})?)"
KERNEL_PATTERN: Final = rf"k{_PAIR}(?:s{_PAIR})?(?:p{_PAIR})?"
"""Regular expression of a kernel with three groups: size, stride and padding."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel of a convolution.

    Attributes:
        size: height and width.
        stride: (y, x).
        padding: (y, x).
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the text.

    Attributes:
        place: line and text of the item, for errors.
        kind: kind of the item.
        words: all words that are not settings.
        settings: the ``key=value`` words; values are text.
    """

    place: str
    kind: Kind
    words: tuple[str, ...]
    settings: Mapping[str, str]

    def fail(self, problem: str) -> NoReturn:
        """Raise a ModelError that names this item."""
        raise ModelError(f"{self.place}: {problem}")

    def check_keys(self, known: tuple[str, ...]) -> None:
        """Reject settings that this item cannot have."""
        for key in self.settings:
            if key not in known:
                allowed = f"allowed here are {', '.join(known)}" if known else "none is allowed"
                self.fail(f"setting `{printable(key)}` is not allowed here; {allowed}")

    def integer(self, key: str, text: str) -> int:
        """Return the value of a setting as an integer of at least 0."""
        if not re.fullmatch(r"[0-9]{1,15}", text):
            self.fail(f"`{key}` must be an integer of at least 0, got {printable(text)}")
        return int(text)

    def number(
        self, key: str, text: str, is_valid: Callable[[float], bool], requirement: str
    ) -> float:
        """Return the value of a setting as a number for which ``is_valid`` holds."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan  # fails every comparison, and with it every `is_valid`
        if not is_valid(value):
            self.fail(f"`{key}` must be a number {requirement}, got {printable(text)}")
        return value

    def choice(self, key: str, text: str, choices: Mapping[str, _T]) -> _T:
        """Return the value that ``choices`` has for the text of a setting."""
        if text not in choices:
            self.fail(f"`{key}` must be {' or '.join(choices)}, got {printable(text)}")
        return choices[text]


def split_items(text: str) -> list[Item]:
    """Split a text into its items.

    Raises:
        ModelError: ``text`` is not a str, is too long, or an item sets a key twice or to nothing.
    """
    if not isinstance(text, str) or len(text) > limits.MAX_TEXT_CHARS:
        raise ModelError(f"a topology must be text of at most {limits.MAX_TEXT_CHARS} characters")
    return [
        _item(f"topology, line {number}, '{printable(' '.join(part.split()))}'", part)
        for number, line in enumerate(text.splitlines(), 1)
        for part in line.split("#")[0].split(";")
        if part.strip()
    ]


def parse_kernel(groups: tuple[str | None, ...]) -> Kernel:
    """Return the kernel that :data:`KERNEL_PATTERN` matched.

    Args:
        groups: text of size, stride and padding. A missing stride is 1, a missing padding 0.
    """
    size, stride, padding = groups
    return Kernel(_pair(size or "1"), _pair(stride or "1"), _pair(padding or "0"))


def _pair(text: str) -> tuple[int, int]:
    y, _, x = text.partition("x")
    return int(y), int(x or y)


def _item(place: str, text: str) -> Item:
    words: list[str] = []
    settings: dict[str, str] = {}
    # Arrows may be written without spaces: "conv1->output".
    for word in text.replace("->", " -> ").split():
        key, is_setting, value = word.partition("=")
        if not is_setting:
            words.append(word)
        elif not key or not value:
            lacks = f"`{printable(key)}` has no value" if key else "'=' has no name before it"
            raise ModelError(f"{place}: {lacks}; write settings without spaces, such as reset=zero")
        elif key in settings:
            raise ModelError(f"{place}: `{printable(key)}` is set twice")
        else:
            settings[key] = value
    return Item(place, _kind_of(words), tuple(words), settings)


def _kind_of(words: list[str]) -> Kind:
    if not words:
        return "settings"
    if "->" in words:
        return "arrow"
    return "input" if words[0] == INPUT else "population"
