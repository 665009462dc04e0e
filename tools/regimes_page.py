"""Write the tables of ``docs/results/regimes.md``: ``python -m tools.regimes_page DIR``.

DIR is the output folder of the command that the page names.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Final

from neuroasync.study.design.case import GROUP_SIZE
from neuroasync.study.design.regimes import REGIMES
from neuroasync.study.report.number_format import counted, percent, points
from neuroasync.study.results.half_budget import full_budget_mode, half_budget_rows
from neuroasync.study.results.statistics import CaseResults, PairedDifference
from neuroasync.train.recipes import Training
from tools.result_pages import (
    PAGES,
    Rows,
    modes,
    own_input,
    read_cases,
    with_tables,
)

PAGE: Final = PAGES / "regimes.md"
RANDOM_AND_MOMENTUM: Final[tuple[Training, ...]] = ("unlayered-random", "unlayered-momentum")
FIFO: Final[Training] = "unlayered-fifo"
OTHERS: Final[tuple[Training, ...]] = ("layered", *RANDOM_AND_MOMENTUM, FIFO)
"""The networks that were trained for one order."""
ALL: Final[Training] = "unlayered-any"
"""The network that was trained for all orders."""
COST_OF: Final = "queued-1-dense"
"""Regime whose networks are compared under layer-sync."""


def name(results: CaseResults) -> str:
    """Return the name of a regime, as code."""
    return f"`{results.case.name}`"


def marked(difference: PairedDifference) -> str:
    """Return a difference in points, with an asterisk if it is clear."""
    return f"{points(difference.over_seeds)}{' *' if difference.is_clear else ''}"


def gains(results: CaseResults) -> Rows:
    """Yield what training for random or momentum order gains over ``layered``."""
    cells = []
    for training in RANDOM_AND_MOMENTUM:
        for size in (GROUP_SIZE, 1):
            mode = results.case.trained_mode(training, size)
            layered, own = (results.accuracy(t, mode).value for t in ("layered", training))
            gain = marked(results.difference((training, mode), ("layered", mode)))
            cells.append(f"{100 * layered:.1f}, {100 * own:.1f} ({gain})")
    yield [name(results), percent(results.accuracy("layered", full_budget_mode(results))), *cells]


def one_for_all(results: CaseResults) -> Rows:
    """Yield the network for all orders beside those for one order, over all run modes."""
    each = {
        training: [results.accuracy(training, mode).value for mode in modes(results)]
        for training in (*OTHERS, ALL)
    }
    means = {training: fmean(values) for training, values in each.items()}
    best = max(OTHERS, key=means.__getitem__)
    best_of_modes = map(max, *(each[training] for training in OTHERS))
    behind = max(top - value for top, value in zip(best_of_modes, each[ALL], strict=True))
    layered = own_input(results, "layer-sync")
    yield [
        name(results),
        f"{100 * means['layered']:.1f}, {100 * min(each['layered']):.1f}",
        f"{100 * means[best]:.1f}, {100 * min(each[best]):.1f} (`{best}`)",
        f"{100 * means[ALL]:.1f}, {100 * min(each[ALL]):.1f}",
        f"{100 * (means[ALL] - means[best]):+.1f}",
        f"{100 * behind:.1f}",
        marked(results.difference((ALL, layered), ("layered", layered))),
    ]


def fifo(results: CaseResults) -> Rows:
    """Yield what training for fifo order gains over ``layered``."""
    cells = []
    for size in (GROUP_SIZE, 1):
        mode = results.case.trained_mode(FIFO, size)
        gain = marked(results.difference((FIFO, mode), ("layered", mode)))
        accuracies = [percent(results.accuracy(t, mode)) for t in ("layered", FIFO)]
        cells += [*accuracies, gain]
    yield [name(results), *cells]


def half_of_the_rounds(results: CaseResults) -> Rows:
    """Yield the accuracy of each network in its own order, with half of the rounds."""
    full = full_budget_mode(results)
    cells = [percent(results.accuracy("layered", full)), counted(results.rounds("layered", full))]
    found = {(row.training, row.mode): row for row in half_budget_rows(results)}
    for training in (*RANDOM_AND_MOMENTUM, ALL):
        row = found.get((training, results.case.trained_mode(training)))
        cells += ["-", "-"] if row is None else [percent(row.accuracy), counted(row.rounds)]
    yield [name(results), *cells]


def under_layer_sync(results: CaseResults) -> Rows:
    """Yield the accuracy of each network under layer-sync, in one regime."""
    if results.case.name == COST_OF:
        for training in (*OTHERS, ALL):
            accuracy = results.accuracy(training, full_budget_mode(results))
            yield [f"`{training}`", percent(accuracy)]


TABLES: Final[Mapping[str, Callable[[CaseResults], Rows]]] = {
    "gains": gains,
    "one for all": one_for_all,
    "fifo": fifo,
    "half of the rounds": half_of_the_rounds,
    "under layer-sync": under_layer_sync,
}
"""The tables of the page, by the name in their comment."""


def main() -> None:
    """Write the tables into the page."""
    parser = argparse.ArgumentParser("python -m tools.regimes_page")
    parser.add_argument("folder", type=Path, metavar="DIR", help="output folder of the study")
    cases = read_cases(parser.parse_args().folder, REGIMES)
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), cases, TABLES), "utf-8")


if __name__ == "__main__":
    main()
