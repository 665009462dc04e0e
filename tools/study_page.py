"""Write the tables and pictures of ``docs/results/study.md``.

::

    python -m tools.study_page DIR BASELINES

DIR is the output folder of the study that the page names, and BASELINES a file with the output of
``python -m bench.baselines --json``. Needs the extra ``viz``.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuroasync.core.model.topology import parse_topology
from neuroasync.metrics.mean import Mean
from neuroasync.plot.canvas import COLOURS, LINES, MARKERS, new_figure
from neuroasync.study.design.builtin_cases import CASES
from neuroasync.study.design.case import GROUP_SIZE, Mode
from neuroasync.study.report.number_format import counted, input_name, percent, points
from neuroasync.study.results.early_answers import early_rows
from neuroasync.study.results.half_budget import best_within, full_budget_mode
from neuroasync.study.results.statistics import CaseResults
from neuroasync.train.recipes import Training
from tools.result_pages import (
    ASSETS,
    PAGES,
    TITLES,
    Rows,
    modes,
    own_input,
    read_cases,
    with_tables,
)

PAGE: Final = PAGES / "study.md"
BUDGETS: Final = tuple(k / 20 for k in range(2, 21))
"""Shares of the rounds of ``layered`` under layer-sync, for which the second picture has points."""
ORDERS: Final = ("layer-sync", "random", "momentum", "fifo")


def title(results: CaseResults) -> str:
    """Return the name of a case on the page."""
    return TITLES[results.case.name]


def problem(results: CaseResults) -> Rows:
    """Yield what networks that were trained layer by layer lose without layer synchronization."""
    shown = [own_input(results, policy) for policy in ORDERS[1:]]
    shown.append(own_input(results, "random", 1))
    layered = own_input(results, "layer-sync")
    trainings: tuple[Training, ...] = ("layered-paper", "layered")
    for training in trainings:
        yield [
            f"{title(results)}, `{training}`",
            percent(results.accuracy(training, layered)),
            counted(results.spikes(training, layered)),
            *(percent(results.accuracy(training, mode)) for mode in shown),
        ]


def own_order(results: CaseResults) -> Rows:
    """Yield each network in the order that it was trained for."""
    for training in results.case.trainings:
        mode = results.case.shown_mode(training)
        yield [
            f"{title(results)}, `{training}`",
            mode.policy,
            percent(results.accuracy(training, mode)),
            counted(results.spikes(training, mode)),
            percent(results.accuracy(training, own_input(results, "layer-sync"))),
        ]


def gains(results: CaseResults) -> Rows:
    """Yield what training for an order gains over ``layered``, in it and under layer-sync."""
    layered: Training = "layered"
    specialists: tuple[Training, ...] = ("unlayered-random", "unlayered-momentum")
    pairs = [
        (training, own_input(results, results.case.shown_mode(training).policy, size))
        for training in specialists
        for size in (1, GROUP_SIZE)
    ]
    unlayered: tuple[Training, ...] = (*specialists, "unlayered-any")
    pairs += [(training, own_input(results, "layer-sync")) for training in unlayered]
    differences = [results.difference((t, mode), (layered, mode)) for t, mode in pairs]
    yield [title(results), *(_marked(d.over_seeds, clear=d.is_clear) for d in differences)]


def _marked(mean: Mean, *, clear: bool) -> str:
    return f"**{points(mean)}**" if clear else points(mean)


def every_order(results: CaseResults) -> Rows:
    """Yield the accuracy of each network over all run modes."""
    for training in results.case.trainings:
        each = {mode: results.accuracy(training, mode).value for mode in modes(results)}
        worst = min(each, key=each.__getitem__)
        queued = fmean(value for mode, value in each.items() if mode.input == "queued")
        worst_name = f"{worst.policy}, F = {worst.group_size}, {input_name(worst.input)}"
        if worst.policy == "layer-sync":
            worst_name = worst.policy
        yield [
            f"{title(results)}, `{training}`",
            f"{100 * fmean(each.values()):.1f}",
            f"{100 * each[worst]:.1f}",
            worst_name,
            f"{100 * (max(each.values()) - each[worst]):.1f}",
            f"{100 * queued:.1f}",
        ]


def early(results: CaseResults) -> Rows:
    """Yield each network with its own stop rule."""
    for number, row in enumerate(early_rows(results)):
        yield [
            f"{title(results)}, `{row.training}`, {row.mode.policy}",
            percent(row.accuracy),
            points(row.change) if number else "",
            counted(row.rounds),
            f"{100 * row.rounds.value / row.of_rounds.value:.0f}",
            counted(row.spikes),
            f"{100 * row.spikes.value / row.of_spikes.value:.0f}",
        ]


BASELINES: Final = ("linear", "perceptron", "snntorch")
"""The columns of the other models."""


def absolute(baselines: Mapping[tuple[str, str], str], results: CaseResults) -> Rows:
    """Yield the accuracy of other models, and of two networks, with their hidden spikes."""
    compared: tuple[tuple[Training, str], ...] = (
        ("layered", "layer-sync"), ("unlayered-any", "random"),
    )  # fmt: skip
    cells = []
    for training, policy in compared:
        mode = own_input(results, policy)
        hidden = fmean(_hidden_spikes(results, training, mode))
        cells.append(f"{percent(results.accuracy(training, mode))} ({hidden:,.0f})")
    yield [title(results), *(baselines[results.case.dataset, name] for name in BASELINES), *cells]


def _hidden_spikes(results: CaseResults, training: Training, mode: Mode) -> list[float]:
    """Return the mean number of hidden spikes in a sample, for each seed."""
    networks = [measurement.network for measurement in results.networks(training)]
    totals = []
    for run, network in zip(results.runs(training, mode), networks, strict=True):
        model = parse_topology(network.topology)
        sizes = {p.name: p.size for p in model.populations if p.name != model.output}
        density = run.spike_density or {}
        totals.append(sum(density[name] * size for name, size in sizes.items()))
    return totals


def read_baselines(path: Path) -> dict[tuple[str, str], str]:
    """Return the cells of the other models, by data set and model.

    Raises:
        ValueError: A model was not measured on a data set of the page.
    """
    cells = {}
    for row in json.loads(path.read_text("utf-8"))["results"]:
        cell = percent(Mean.of(row["accuracy"]))
        if row["hidden_spikes"] is not None:
            cell += f" ({fmean(row['hidden_spikes']):,.0f})"
        cells[row["dataset"], row["baseline"]] = cell
    for case in TITLES:
        for name in BASELINES:
            if (CASES[case].dataset, name) not in cells:
                raise ValueError(f"{path}: there is no result of {name!r} on {case!r}")
    return cells


TABLES: Final[Mapping[str, Callable[[CaseResults], Rows]]] = {
    "problem": problem,
    "own order": own_order,
    "gains": gains,
    "every order": every_order,
    "early answers": early,
}
"""The tables of the page, by the name in their comment."""


def orders_picture(cases: Sequence[CaseResults]) -> Figure:
    """Draw the accuracy of each network in each run mode."""
    figure = new_figure(9.6, 6.4)
    axes = _panels(figure, len(cases), sharex=True, sharey=True)
    for axis, results in zip(axes, cases, strict=True):
        trainings = results.case.trainings
        for k, policy in enumerate(ORDERS):
            shown = [mode for mode in modes(results) if mode.policy == policy]
            places = [i + 0.16 * (k - 1.5) for i in range(len(trainings)) for _ in shown]
            accuracies = [
                100 * results.accuracy(training, mode).value
                for training in trainings
                for mode in shown
            ]
            axis.plot(
                places, accuracies, MARKERS[k], color=COLOURS[k], markersize=4, alpha=0.7,
                label=policy,
            )  # fmt: skip
        axis.set_title(title(results))
        axis.set_xticks(range(len(trainings)), trainings, rotation=90)
        axis.grid(axis="y", alpha=0.3)
    _legend(figure)
    return figure


def early_picture(cases: Sequence[CaseResults]) -> Figure:
    """Draw the accuracy of networks whose stop rules were chosen for a budget of rounds."""
    figure = new_figure(9.6, 6.0)
    axes = _panels(figure, len(cases))
    lines: tuple[tuple[Training, str], ...] = (
        ("layered", "layer-sync"), ("layered", "random"), ("layered", "momentum"),
        ("unlayered-any", "random"),
    )  # fmt: skip
    for axis, results in zip(axes, cases, strict=True):
        for k, (training, policy) in enumerate(lines):
            curve = _curve(results, training, own_input(results, policy))
            rounds, accuracies = zip(*curve, strict=True)
            axis.plot(
                rounds, accuracies, marker=MARKERS[k], linestyle=LINES[k], color=COLOURS[k],
                markersize=4, label=f"{training}, {policy}",
            )  # fmt: skip
        axis.set_title(title(results))
        axis.set_xlabel("rounds")
        axis.grid(alpha=0.3)
    _legend(figure)
    return figure


def _panels(figure: Figure, count: int, **shared: bool) -> Sequence[Axes]:
    """Return one panel per case, in two rows; the upper one is longer if the number is odd."""
    axes = figure.subplots(2, (count + 1) // 2, squeeze=False, **shared)
    for axis in axes.flat[count:]:
        axis.remove()
        axes[0, -1].tick_params(labelbottom=True)  # no panel below it has the labels
    for row in axes:
        row[0].set_ylabel("accuracy, %")
    return list(axes.flat[:count])


def _legend(figure: Figure) -> None:
    """Add one legend for all panels, which have the same lines, below them."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=len(labels))


def _curve(results: CaseResults, training: Training, mode: Mode) -> list[tuple[float, float]]:
    """Return mean rounds and mean accuracy (%) for each budget that every seed can meet."""
    layered = results.by_rule("layered", full_budget_mode(results))
    full = [next(run for run in runs if run.until == "quiet") for runs in layered]
    curve = []
    for part in BUDGETS:
        best = [
            best_within(runs, part * whole.validation_rounds)
            for runs, whole in zip(results.by_rule(training, mode), full, strict=True)
        ]
        met = [run for run in best if run is not None]
        if len(met) == len(best):
            accuracy = fmean(run.accuracy for run in met)
            curve.append((fmean(run.rounds_per_sample for run in met), 100 * accuracy))
    return curve


def agreement(cases: Sequence[CaseResults]) -> str:
    """Return how often trainer and runtime agree, and what the coroutine engine repeated."""
    records = [
        measurement.network
        for results in cases
        for training in results.case.trainings
        for measurement in results.networks(training)
    ]
    equal = sum(record.agreement.equal for record in records)
    samples = sum(record.agreement.samples for record in records)
    repeated = sum(record.checked_by_coroutines for record in records)
    return f"{equal:,} of {samples:,} decisions agree; {repeated:,} repeated by coroutines"


def main() -> None:
    """Write the tables into the page, and the pictures beside it."""
    parser = argparse.ArgumentParser("python -m tools.study_page")
    parser.add_argument("folder", type=Path, metavar="DIR", help="output folder of the study")
    parser.add_argument("baselines", type=Path, metavar="BASELINES", help="output of the baselines")
    given = parser.parse_args()
    cases = read_cases(given.folder, [CASES[name] for name in TITLES])
    if len(cases) < len(TITLES):
        parser.error(f"{given.folder}: the study must have all of {', '.join(TITLES)}")
    try:
        baselines = read_baselines(given.baselines)
    except ValueError as error:
        parser.error(str(error))
    tables = {**TABLES, "absolute": partial(absolute, baselines)}
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), cases, tables), "utf-8")
    metadata = {"Software": "neuroasync"}
    orders_picture(cases).savefig(ASSETS / "study-orders.png", dpi=160, metadata=metadata)
    early_picture(cases).savefig(ASSETS / "study-early.png", dpi=160, metadata=metadata)
    print(agreement(cases))


if __name__ == "__main__":
    main()
