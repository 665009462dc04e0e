"""Results as tables and as one JSON file per run."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console, JustifyMethod
from rich.table import Table

from bench.environment import describe
from bench.result import CheckError, Line, Result

__all__ = ["add_out_option", "as_json", "print_and_save", "print_result", "save"]

_FORMAT = 1
_TARGET: Final = "target"
_GAP: Final = 2
"""Space between two columns."""


def add_out_option(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--out`` for the folder that :func:`save` writes to."""
    default = Path(__file__).parent / "results"
    parser.add_argument(
        "--out", type=Path, default=default, metavar="DIR", help="folder for the results"
    )


def print_and_save(
    measure: Callable[[Console], Iterable[Result]], folder: Path, failure: str, **settings: object
) -> int:
    """Print each result when it is there, save all of them, and return the exit status.

    The exit status is 1 if a check failed or pyperf is missing.

    Args:
        measure: Returns the results. It may also print to the console.
        folder: Folder to save to.
        failure: What is wrong if ``measure`` raises CheckError.
        **settings: Settings of the run to save.
    """
    console = Console(width=None if sys.stdout.isatty() else 200)
    results = []
    try:
        machine = describe()  # before the measurement, which would be lost if it failed
    except ModuleNotFoundError as missing:
        print(f"{missing}: pip install -c constraints.txt -e '.[bench]'", file=sys.stderr)
        return 1
    try:
        for result in measure(console):
            print_result(result, console)
            results.append(result)
    except CheckError as error:
        print(f"{failure}: {error}", file=sys.stderr)
        return 1
    path = save(as_json(results, machine) | settings, folder)
    console.print(f"wrote {path}", highlight=False)
    return 0


def as_json(results: list[Result], machine: dict[str, str]) -> dict[str, Any]:
    """Return a run as plain data. Ratios are medians of the ratios of each round."""
    return {"format": _FORMAT, "machine": machine, "answers": [asdict(a) for a in results]}


def save(run: dict[str, Any], folder: Path) -> Path:
    """Write the run to a new file in ``folder`` whose name is the date, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = str(run["machine"]["date"]).replace(":", "").partition("+")[0]
    path = folder / f"{stamp}.json"
    path.write_text(json.dumps(run, indent=1) + "\n")
    return path


def print_result(result: Result, console: Console) -> None:
    """Print the figures of a result, its checks and its notes.

    Columns that do not fit beside the others are printed in a further table.
    """
    console.print(f"{result.name}: {result.question}", style="bold", highlight=False)
    names = [line.name for line in result.lines]
    for columns in _fitting(_columns(result), max(map(len, names)), console.width):
        table = Table(box=None)
        table.add_column("", no_wrap=True)
        for column in columns:
            justify: JustifyMethod = "left" if column[0] == _TARGET else "right"
            table.add_column(column[0], justify=justify)
        for name, *row in zip(names, *(column[1:] for column in columns), strict=True):
            table.add_row(name, *row)
        console.print(table)
    console.print(f"  {result.unit}; ratios refer to: {result.baseline}", highlight=False)
    for check in result.checks:
        console.print(f"  checked: {check}", highlight=False, markup=False)
    for note in result.notes:
        console.print(f"  note: {note}", highlight=False, markup=False)
    console.print()


def _columns(result: Result) -> list[list[str]]:
    """Return the columns that have a value, each with its name first."""
    figures = list(dict.fromkeys(name for line in result.lines for name in line.figures))
    titles = ("n", "p50", "p90", "p99", "max", "ratio", "p10-p90", *figures, _TARGET)
    rows = [
        (*_cells(line), *(_figure(line, name) for name in figures), line.target)
        for line in result.lines
    ]
    columns = [list(column) for column in zip(titles, *rows, strict=True)]
    return [column for column in columns if any(column[1:])]


def _fitting(columns: list[list[str]], first: int, width: int) -> list[list[list[str]]]:
    """Divide columns into groups that fit beside a first column in a console, in their order."""
    groups: list[list[list[str]]] = [[]]
    used = first
    for column in columns:
        needed = max(map(len, column)) + _GAP
        if groups[-1] and used + needed > width:
            groups.append([])
            used = first
        groups[-1].append(column)
        used += needed
    return groups


def _cells(line: Line) -> list[str]:
    q = line.values
    times = [""] * 5 if q is None else [str(q.n), *map(_short, (q.p50, q.p90, q.p99, q.max))]
    spread = line.ratio_spread
    span = "" if spread is None else f"{spread[0]:.2f}-{spread[1]:.2f}"
    return [*times, "" if line.ratio is None else f"{line.ratio:.2f}", span]


def _figure(line: Line, name: str) -> str:
    return _short(line.figures[name]) if name in line.figures else ""


def _short(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
