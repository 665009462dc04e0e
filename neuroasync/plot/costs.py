"""Figures of cost: spike density by population, and accuracy against what was spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuroasync.metrics import AnytimeCurve, StopPoint
from neuroasync.metrics.anytime import Unit
from neuroasync.plot.canvas import (
    COLOURS,
    HATCHES,
    LINES,
    MARKERS,
    add_legend,
    check_points,
    count_axis,
    new_figure,
    show_literally,
)

__all__ = ["AnytimeRun", "plot_anytime", "plot_density", "plot_group_sizes"]

_AXES: Final[dict[Unit, str]] = {
    "spikes": "budget: spikes of the network",
    "steps": "budget: forward steps",
    "rounds": "budget: rounds (a round delivers up to F spikes)",
}
_BARS: Final = 0.8
"""Total width of the bars of one population; populations are 1 apart."""


@dataclass(frozen=True, slots=True)
class AnytimeRun:
    """A network that ran under one ordering policy.

    Attributes:
        label: Text of the legend.
        curve: Accuracy against the budget.
        points: Where stop rules end the samples, drawn on the same axes.
    """

    label: str
    curve: AnytimeCurve
    points: Sequence[StopPoint] = ()


def plot_density(runs: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Draw the spike density of each population, with several runs side by side.

    Args:
        runs: Spike densities by label, at least one run. Each maps the name of a population to its
            mean spikes per neuron and sample (``metrics.spike_density``). Populations that a run
            lacks have an empty bar.
        title: Title of the figure.

    Raises:
        ValueError: There are no runs.
    """
    if not runs:
        raise ValueError("`runs` must have at least one run, got none")
    names = list(dict.fromkeys(name for densities in runs.values() for name in densities))
    figure = new_figure(max(6.0, 1.6 + 0.5 * len(names) * len(runs)), 4.2)
    axis = figure.subplots()
    width = _BARS / len(runs)
    handles = []
    for k, (label, densities) in enumerate(runs.items()):
        places = np.arange(len(names)) + (k + 0.5) * width - _BARS / 2
        bars = axis.bar(
            places, [densities.get(name, 0.0) for name in names], 0.92 * width, label=label,
            color=COLOURS[k % len(COLOURS)], hatch=HATCHES[k % len(HATCHES)], edgecolor="white",
        )  # fmt: skip
        handles.append(bars)
    axis.set_xticks(range(len(names)), names)
    axis.set_ylabel("mean spikes per neuron and sample")
    _finish(axis, title)
    add_legend(figure, handles, 2)
    return show_literally(figure)


def plot_anytime(runs: Sequence[AnytimeRun], title: str) -> Figure:
    """Draw the accuracy that each run would have if every sample had to answer within a budget.

    Numbered marks stand for stop rules. A mark lies at the mean budget that its samples spent.

    Args:
        runs: At least one run, all in the same unit.
        title: Title of the figure.

    Raises:
        ValueError: There are no runs, or their units differ.
    """
    if not runs:
        raise ValueError("`runs` must have at least one run, got none")
    units = {run.curve.unit for run in runs}
    if len(units) != 1:
        raise ValueError(f"`runs` must all have the same unit, got {sorted(units)}")
    (unit,) = units
    figure = new_figure(8, 4.8)
    axis = figure.subplots()
    rules = list(dict.fromkeys(point.rule for run in runs for point in run.points))
    handles = []
    for k, run in enumerate(runs):
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        handles += axis.plot(
            run.curve.budget, 100 * run.curve.accuracy, color=colour, label=run.label,
            linestyle=LINES[k % len(LINES)], drawstyle="steps-post", linewidth=1.5, marker=marker,
            markevery=0.12, markersize=4,
        )  # fmt: skip
        for point in run.points:
            _mark(axis, point, unit, f"{1 + rules.index(point.rule)}", colour, marker)
    for number, rule in enumerate(rules, 1):
        handles += axis.plot(
            [], [], "ko", markersize=9, markerfacecolor="white", label=f"{number}: {rule}"
        )
    axis.set_xlabel(_AXES[unit])
    axis.set_ylabel("accuracy, % of all samples")
    count_axis(axis)
    axis.set_xlim(0, 1.1 * max(1, *(run.curve.budget[-1] for run in runs)))
    axis.set_ylim(0, 105)
    _finish(axis, title)
    add_legend(figure, handles, 2)
    return show_literally(figure)


def plot_group_sizes(
    runs: Mapping[str, Sequence[tuple[int, float, float | None]]], title: str
) -> Figure:
    """Draw the accuracy over the group size F.

    Args:
        runs: Points by label, at least one run. Each point has F, the accuracy from 0 to 1, and
            its standard error or None; F ascends.
        title: Title of the figure.

    Raises:
        ValueError: There are no runs, or one has no points.
    """
    check_points(runs)
    figure = new_figure(8, 4.5)
    axis = figure.subplots()
    handles = []
    for k, (label, points) in enumerate(runs.items()):
        sizes, accuracy, errors = zip(*points, strict=True)
        drawn = axis.errorbar(
            sizes, [100 * a for a in accuracy], [100 * (e or 0.0) for e in errors], label=label,
            color=COLOURS[k % len(COLOURS)], linestyle=LINES[k % len(LINES)], capsize=3,
            marker=MARKERS[k % len(MARKERS)], markersize=5,
        )  # fmt: skip
        handles.append(drawn)
    ticks = sorted({size for points in runs.values() for size, *_ in points})
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(size) for size in ticks])
    axis.set_xlabel("group size F: maximum number of spikes per forward step")
    axis.set_ylabel("accuracy, % of all samples")
    _finish(axis, title)
    add_legend(figure, handles, 2)
    return show_literally(figure)


def _mark(axis: Axes, point: StopPoint, unit: Unit, number: str, colour: str, marker: str) -> None:
    """Draw the number of a stop rule in a marker of its run; do nothing without samples."""
    spent, accuracy = point.mean(unit), point.accuracy
    if spent is None or accuracy is None:
        return
    axis.plot(
        spent, 100 * accuracy, linestyle="", marker=marker, markersize=12, color=colour,
        markeredgecolor="black",
    )  # fmt: skip
    axis.annotate(
        number, (spent, 100 * accuracy), ha="center", va="center", color="white", fontsize=8,
        fontweight="bold",
    )  # fmt: skip


def _finish(axis: Axes, title: str) -> None:
    axis.grid(alpha=0.3, axis="y")
    axis.set_axisbelow(True)
    axis.set_title(title, fontsize=11)
