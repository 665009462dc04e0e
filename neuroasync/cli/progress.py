"""A progress bar on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from neuroasync.cli.output import one_line

__all__ = ["ProgressCallback", "progress"]

_REFRESH_S: Final = 0.1


class ProgressCallback(Protocol):
    """A function that reports how much of the work is done."""

    def __call__(self, done: int, note: str = "", total: int | None = None) -> None:
        """Report progress.

        Args:
            done: Units of work that are done.
            note: Text to show behind the bar.
            total: New total, if it differs from the one that was announced.
        """


@contextmanager
def progress(title: str, total: int) -> Iterator[ProgressCallback]:
    """Show a progress bar on stderr while the block runs, if stderr is a terminal.

    The callback redraws the bar. A thread that does so would disturb the latencies that commands
    measure.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda done, note="", total=None: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        console=Console(file=sys.stderr), auto_refresh=False, transient=True,
    )  # fmt: skip
    with bar:
        task, drawn_at = bar.add_task(title, total=total, note=""), 0.0

        def advance(done: int, note: str = "", total: int | None = None) -> None:
            nonlocal drawn_at
            if (now := time.monotonic()) - drawn_at >= _REFRESH_S:
                bar.update(task, completed=done, total=total, note=one_line(note), refresh=True)
                drawn_at = now

        bar.refresh()
        yield advance
