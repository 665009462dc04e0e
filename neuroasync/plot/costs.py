"""What answers cost: spike density by population, accuracy against what was spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuroasync.metrics import AnytimeCurve, StopPoint
from neuroasync.metrics.anytime import Unit
from neuroasync.plot.canvas import COLOURS, HATCHES, LINES, MARKERS, count_axis, new_figure

__all__ = ["AnytimeRun", "plot_anytime", "plot_density", "plot_group_sizes"]

_AXES: Final[dict[Unit, str]] = {
    "spikes": "spikes of the network, at most",
    "steps": "forward steps, at most",
    "rounds": "rounds (deliveries of up to F spikes), at most",
}
_BARS: Final = 0.8
"""Width of the bars of one population, which stand one apart from the next one's."""


@dataclass(frozen=True, slots=True)
class AnytimeRun:
    """A network under one order.

    Attributes:
        label: says which.
        curve: its accuracy against a budget.
        points: where stop rules end its samples, on the same axes.
    """

    label: str
    curve: AnytimeCurve
    points: Sequence[StopPoint] = ()


def plot_density(runs: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Spike density of each population, several runs beside each other.

    Args:
        runs: at least one, by its label; each has the mean spikes of a neuron in a sample by the
            name of its population (``metrics.spike_density``). Names that a run lacks stay empty.
        title: of the picture.

    Raises:
        ValueError: there are no runs.
    """
    if not runs:
        raise ValueError("runs: none, expected at least one")
    names = list(dict.fromkeys(name for densities in runs.values() for name in densities))
    figure = new_figure(max(6.0, 1.6 + 0.5 * len(names) * len(runs)), 4.2)
    axis = figure.subplots()
    width = _BARS / len(runs)
    for k, (label, densities) in enumerate(runs.items()):
        places = np.arange(len(names)) + (k + 0.5) * width - _BARS / 2
        axis.bar(
            places, [densities.get(name, 0.0) for name in names], 0.92 * width, label=label,
            color=COLOURS[k % len(COLOURS)], hatch=HATCHES[k % len(HATCHES)], edgecolor="white",
        )  # fmt: skip
    axis.set_xticks(range(len(names)), names)
    axis.set_ylabel("spikes of a neuron in a sample, mean")
    _finish(axis, title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def plot_anytime(runs: Sequence[AnytimeRun], title: str) -> Figure:
    """Accuracy, had every sample to answer within a budget; numbered marks are stop rules.

    A mark stands at the mean of what its samples spent.

    Args:
        runs: at least one; all of one unit.
        title: of the picture.

    Raises:
        ValueError: there are no runs, or their units differ.
    """
    units = {run.curve.unit for run in runs}
    if len(units) != 1:
        raise ValueError(f"runs: of units {sorted(units)}, expected runs of one unit")
    (unit,) = units
    figure = new_figure(8, 4.8)
    axis = figure.subplots()
    rules = list(dict.fromkeys(point.rule for run in runs for point in run.points))
    for k, run in enumerate(runs):
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        axis.plot(
            run.curve.budget, 100 * run.curve.accuracy, color=colour, label=run.label,
            linestyle=LINES[k % len(LINES)], drawstyle="steps-post", linewidth=1.5, marker=marker,
            markevery=0.12, markersize=4,
        )  # fmt: skip
        for point in run.points:
            _mark(axis, point, unit, f"{1 + rules.index(point.rule)}", colour, marker)
    for number, rule in enumerate(rules, 1):
        axis.plot([], [], "ko", markersize=9, markerfacecolor="white", label=f"{number}: {rule}")
    axis.set_xlabel(_AXES[unit])
    axis.set_ylabel("right, % of all samples")
    count_axis(axis)
    axis.set_xlim(0, 1.1 * max(1, *(run.curve.budget[-1] for run in runs)))
    axis.set_ylim(0, 105)
    _finish(axis, title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def plot_group_sizes(
    runs: Mapping[str, Sequence[tuple[int, float, float | None]]], title: str
) -> Figure:
    """Accuracy over the group size F.

    Args:
        runs: at least one, by its label; each has F, accuracy from 0 to 1, and the accuracy's
            standard error or None, by ascending F.
        title: of the picture.

    Raises:
        ValueError: there are no runs.
    """
    if not runs:
        raise ValueError("runs: none, expected at least one")
    figure = new_figure(8, 4.5)
    axis = figure.subplots()
    for k, (label, points) in enumerate(runs.items()):
        sizes, accuracy, errors = zip(*points, strict=True)
        axis.errorbar(
            sizes, [100 * a for a in accuracy], [100 * (e or 0.0) for e in errors], label=label,
            color=COLOURS[k % len(COLOURS)], linestyle=LINES[k % len(LINES)], capsize=3,
            marker=MARKERS[k % len(MARKERS)], markersize=5,
        )  # fmt: skip
    ticks = sorted({size for points in runs.values() for size, *_ in points})
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(size) for size in ticks])
    axis.set_xlabel("group size F: spikes that one forward step delivers, at most")
    axis.set_ylabel("right, % of all samples")
    _finish(axis, title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _mark(axis: Axes, point: StopPoint, unit: Unit, number: str, colour: str, marker: str) -> None:
    """A stop rule's number in the marker of its run; nothing without samples."""
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
