"""What commands write: tables and lines or JSON on stdout, progress on stderr."""

import io
import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from neuroasync.cli.exit_codes import one_line

__all__ = ["Ticker", "facts", "progress", "say", "say_json", "say_text", "shown", "table"]

_MAX_WIDTH: Final = 100
_REFRESH_S: Final = 0.1


class Ticker(Protocol):
    """Tells how far a command is."""

    def __call__(self, done: int, note: str = "", total: int | None = None) -> None:
        """``done`` of the total are done, which is another than first said if it is given."""


def say(*parts: RenderableType) -> None:
    """Write tables and lines to stdout: in colour on a terminal, 100 columns wide at most."""
    if sys.stdout is None:
        return
    terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH) if terminal else _MAX_WIDTH
    page = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, markup=False, emoji=False,
        highlight=False, soft_wrap=False,
    )  # fmt: skip
    with page.capture() as captured:
        for part in parts:
            page.print(part)
    lines = (line.rstrip() for line in captured.get().splitlines())
    _write("\n".join(lines) + "\n")


def say_json(value: Mapping[str, object]) -> None:
    """Write one JSON object on a line of its own to stdout."""
    _write(json.dumps(value, allow_nan=False) + "\n")


def say_text(text: str) -> None:
    """Write lines to stdout as they are, but for control characters."""
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        _write(f"{indent}{one_line(line)}\n")


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = ()
) -> Table:
    """A table.

    Args:
        columns: headers, with units; a line break is kept.
        rows: cells.
        numbers: positions of the columns that are aligned to the right.
    """
    drawn = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
        header_style="bold",
    )  # fmt: skip
    for k, title in enumerate(columns):
        drawn.add_column(title, justify="right" if k in numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(one_line(cell) for cell in row))
    return drawn


def facts(pairs: Sequence[tuple[str, object]]) -> Table:
    """Names and values in two columns."""
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(one_line(name), one_line(value))
    return drawn


def shown(value: float | None, unit: str = "", digits: int = 1) -> str:
    """A number with its unit, or a dash; a share (unit ``%``) from 0 to 1 in percent."""
    if value is None:
        return "-"
    if unit == "%":
        value *= 100
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"
    return f"{number} {unit}".rstrip()


@contextmanager
def progress(title: str, total: int) -> Iterator[Ticker]:
    """A progress bar on stderr, if that is a terminal; gone when it is done.

    It is redrawn between decisions, not by a thread of its own: that would be in the
    measured latency.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda done, note="", total=None: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        console=Console(file=sys.stderr), auto_refresh=False, transient=True,
    )  # fmt: skip
    with bar:
        task, drawn_at = bar.add_task(title, total=total, note=""), 0.0

        def tick(done: int, note: str = "", total: int | None = None) -> None:
            nonlocal drawn_at
            if (now := time.monotonic()) - drawn_at >= _REFRESH_S:
                bar.update(task, completed=done, total=total, note=one_line(note), refresh=True)
                drawn_at = now

        bar.refresh()
        yield tick


def _write(text: str) -> None:
    if sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
