"""Tables of pages in ``docs/results`` that are written from the output folder of a study.

A table follows a comment such as ``<!-- study: problem -->``, and its rows are replaced. The text
between the tables is written by hand: read it again when a figure changes.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from neuroasync.study.design.case import GROUP_SIZE, Case, Mode
from neuroasync.study.results.half_budget import full_budget_mode
from neuroasync.study.results.records import Measurement
from neuroasync.study.results.statistics import CaseResults

ROOT: Final = Path(__file__).resolve().parents[1]
TITLES: Final = {
    "digits": "digits",
    "nmnist-small": "N-MNIST small",
    "spoken-digits": "spoken digits",
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "braille": "Braille",
}
"""Name of each case of the study on the pages."""
PAGES: Final = ROOT / "docs" / "results"
ASSETS: Final = ROOT / "docs" / "assets"

Rows: TypeAlias = Iterator[Sequence[str]]
"""Cells of the rows of a table, as Markdown."""


def read_cases(folder: Path, cases: Iterable[Case]) -> list[CaseResults]:
    """Read the measurements of those cases that the study has."""
    documents = [
        json.loads(path.read_text("utf-8"))
        for path in sorted(folder.glob("networks/*.json"))
        if not path.name.endswith(".timings.json")
    ]
    measurements = [Measurement.from_json(document) for document in documents]
    results = [
        CaseResults(case, [m for m in measurements if m.network.case == case.name])
        for case in cases
    ]
    return [each for each in results if each.seeds]


def modes(results: CaseResults) -> list[Mode]:
    """Return the run modes; F and the input do not matter under layer-sync, so it counts once."""
    others = [mode for mode in results.case.grid if mode.policy != "layer-sync"]
    return [full_budget_mode(results), *others]


def own_input(results: CaseResults, policy: str, group_size: int = GROUP_SIZE) -> Mode:
    """Return a mode with the input mode of the case."""
    return Mode(policy, group_size, results.case.input)


def with_tables(
    page: str,
    cases: Sequence[CaseResults],
    tables: Mapping[str, Callable[[CaseResults], Rows]],
) -> str:
    """Return the page with new rows in its tables; their headings stay.

    Raises:
        ValueError: The page lacks a table.
    """
    for name, rows in tables.items():
        page = with_rows(page, name, (row for case in cases for row in rows(case)))
    return page


def with_rows(page: str, name: str, rows: Iterable[Sequence[str]]) -> str:
    """Return the page with new rows in one of its tables; its headings stay.

    Raises:
        ValueError: The page lacks the table.
    """
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    pattern = rf"(<!-- study: {name} -->\n\n\|[^\n]*\n\|[^\n]*\n)(\|[^\n]*\n)*"
    page, found = re.subn(pattern, lambda match: match[1] + lines, page)
    if found != 1:
        raise ValueError(f"the page must have one table {name!r}, has {found}")
    return page
