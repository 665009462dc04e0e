"""Tables on stdout."""

import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal

from neuroasync.cli.output import displayable, one_line, write_stdout

# Importing rich takes long, so each function does it when a table is needed.
if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

__all__ = ["echo", "key_value_table", "page_width", "table"]

_MAX_WIDTH: Final = 100
_GAP: Final = 2
"""Spaces between the name and the value of a pair."""


def echo(*blocks: "RenderableType") -> None:
    """Write tables and lines to stdout, in colour on a terminal."""
    if sys.stdout is None:
        return
    from rich.console import Console

    terminal = sys.stdout.isatty()
    page = Console(
        file=io.StringIO(), width=page_width(), force_terminal=terminal, markup=False, emoji=False,
        highlight=False, soft_wrap=False,
    )  # fmt: skip
    with page.capture() as captured:
        for block in blocks:
            page.print(displayable(block) if isinstance(block, str) else block)
    # Rich fills lines with spaces up to the width, which would clutter a file or a diff.
    lines = (line.rstrip() for line in captured.get().splitlines())
    write_stdout("\n".join(lines) + "\n")


def page_width() -> int:
    """Return the width of tables on stdout: that of the terminal or ``COLUMNS``, at most 100."""
    return min(shutil.get_terminal_size(fallback=(_MAX_WIDTH, 24)).columns, _MAX_WIDTH)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = ()
) -> "RenderableType":
    """Return a table. Where it is too wide for the page, each row becomes a list of pairs.

    Args:
        columns: Headers with units. Line breaks are kept.
        rows: The cells of each row.
        numbers: Positions of the columns that are aligned to the right. They are never folded.
    """
    cells = [[displayable(one_line(cell)) for cell in row] for row in rows]
    return _Table([displayable(title) for title in columns], cells, numbers)


def key_value_table(pairs: Sequence[tuple[str, object]]) -> "RenderableType":
    """Return a table of names and values, without headers.

    A value with a word that is too long for the space beside its name begins on the next line.
    """
    return _Pairs(
        [(displayable(one_line(name)), displayable(one_line(value))) for name, value in pairs]
    )


class _Pairs:
    """Names and values, laid out for the width of the page."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> "Iterator[RenderableType]":
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        names = max((len(name) for name, _ in self._pairs), default=0)
        left = options.max_width - names - _GAP
        grid: Table | None = None
        for name, value in self._pairs:
            if _longest_word(value) > left:
                if grid is not None:
                    yield grid
                    grid = None
                yield Text(name, "bold")
                yield Padding(Text(value, overflow="fold"), (0, 0, 0, _GAP))
                continue
            if grid is None:
                grid = Table.grid(padding=(0, _GAP, 0, 0))
                grid.add_column(style="bold", no_wrap=True, width=names)
                grid.add_column()
            grid.add_row(name, value)
        if grid is not None:
            yield grid


class _Table:
    """A table with headers, laid out for the width of the page."""

    def __init__(
        self, titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]
    ) -> None:
        self._titles, self._rows, self._numbers = titles, rows, numbers

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> "Iterator[RenderableType]":
        # Each column but the last is followed by two spaces.
        widths = self._widths(options.max_width - 2 * (len(self._titles) - 1))
        if widths is not None:
            yield self._as_columns(widths)
            return
        titles = [" ".join(title.split()) for title in self._titles]
        for k, row in enumerate(self._rows):
            if k:
                yield ""
            yield _Pairs(list(zip(titles, row, strict=True)))

    def _widths(self, space: int) -> list[int] | None:
        """Return the width of each column, or None if a word or number would have to be folded."""
        columns = list(zip(self._titles, *self._rows, strict=True))
        least = [
            max(_longest_word(title), *(len(c) if k in self._numbers else _longest_word(c)
                                        for c in cells), 0)
            for k, (title, *cells) in enumerate(columns)
        ]  # fmt: skip
        if sum(least) > space:
            return None
        lines = [[line for cell in cells for line in cell.splitlines()] for cells in columns]
        widths = [max(map(len, column), default=0) for column in lines]
        while sum(widths) > space:
            # Shrink the widest column that has a word less to lose.
            k = max((k for k, w in enumerate(widths) if w > least[k]), key=widths.__getitem__)
            widths[k] -= 1
        return widths

    def _as_columns(self, widths: Sequence[int]) -> "Table":
        from rich import box
        from rich.table import Table

        result = Table(
            box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
            header_style="bold",
        )  # fmt: skip
        for k, (title, width) in enumerate(zip(self._titles, widths, strict=True)):
            justify: Literal["left", "right"] = "right" if k in self._numbers else "left"
            result.add_column(title, justify=justify, width=width)
        for row in self._rows:
            result.add_row(*row)
        return result


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)
