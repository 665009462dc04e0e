"""Tables on stdout."""

import io
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from neuroasync.cli.output import one_line, write_stdout

# Importing rich takes long, so each function does it when a table is needed.
if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["echo", "key_value_table", "page_width", "table"]

_MAX_WIDTH: Final = 100


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
            page.print(block)
    # Rich fills lines with spaces up to the width, which would clutter a file or a diff.
    lines = (line.rstrip() for line in captured.get().splitlines())
    write_stdout("\n".join(lines) + "\n")


def page_width() -> int:
    """Return the width of tables on stdout: that of the terminal or ``COLUMNS``, at most 100."""
    return min(shutil.get_terminal_size(fallback=(_MAX_WIDTH, 24)).columns, _MAX_WIDTH)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = ()
) -> "Table":
    """Return a table.

    Args:
        columns: Headers with units. Line breaks are kept.
        rows: The cells of each row.
        numbers: Positions of the columns that are aligned to the right.
    """
    from rich import box
    from rich.table import Table

    result = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
        header_style="bold",
    )  # fmt: skip
    for k, title in enumerate(columns):
        result.add_column(title, justify="right" if k in numbers else "left", overflow="fold")
    for row in rows:
        result.add_row(*(one_line(cell) for cell in row))
    return result


def key_value_table(pairs: Sequence[tuple[str, object]]) -> "Table":
    """Return a table of two columns, names and values, without headers."""
    from rich.table import Table

    result = Table.grid(padding=(0, 2, 0, 0))
    result.add_column(style="bold", no_wrap=True)
    result.add_column(overflow="fold")
    for name, value in pairs:
        result.add_row(one_line(name), one_line(value))
    return result
