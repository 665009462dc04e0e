"""Figures of decision latency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from neuroasync.plot.canvas import COLOURS, HATCHES, MARKERS, count_axis, new_figure

__all__ = ["LatencyCurve", "decision_latency", "plot_latency"]

_UNITS: Final = {
    "rounds": "rounds (a round delivers up to F spikes)",
    "steps": "forward steps",
    "ms": "wall time in ms",
}


@dataclass(frozen=True, slots=True)
class LatencyCurve:
    """Decision times of a network on its samples.

    Attributes:
        label: Name of the network and its ordering policy.
        first_output: Rounds until the first output spike, for each sample that had one.
        stopped: Rounds until the stop rule stopped the sample, for each sample that it stopped.
        rule: The stop rule.
        samples: Number of samples.
    """

    label: str
    first_output: Sequence[int]
    stopped: Sequence[int]
    rule: str
    samples: int


def decision_latency(curves: Sequence[LatencyCurve], title: str) -> Figure:
    """Draw the share of decided samples over rounds.

    Dashed lines count a sample as decided at its first output spike, solid lines at its stop.

    Args:
        curves: Decision times of each network.
        title: Title of the figure.
    """
    figure = new_figure(8, 4.5)
    axis = figure.subplots()
    for k, curve in enumerate(curves):
        colour = COLOURS[k % len(COLOURS)]
        for rounds, style in ((curve.first_output, "--"), (curve.stopped, "-")):
            x, y = _cumulative(rounds, curve.samples)
            axis.plot(
                x, y, style, color=colour, drawstyle="steps-post", linewidth=1.6,
                marker=MARKERS[k % len(MARKERS)], markevery=0.12, markersize=4.5,
            )  # fmt: skip
    axis.set_xlabel("rounds (a round delivers up to F spikes) since the first event of the sample")
    axis.set_ylabel("samples decided, %")
    count_axis(axis)
    axis.set_ylim(0, 103)
    known = [r for c in curves for r in (*c.first_output, *c.stopped)] or [0, 1]
    axis.set_xlim(0.8 * min(known), 1.1 * max(known))
    axis.grid(alpha=0.3)
    axis.set_title(title, fontsize=11)
    figure.legend(
        handles=_latency_legend(curves), loc="outside lower center", ncols=2, frameon=False,
        fontsize=8,
    )  # fmt: skip
    return figure


def plot_latency(
    runs: Mapping[str, Sequence[float]], unit: Literal["rounds", "steps", "ms"], title: str
) -> Figure:
    """Draw the distribution of decision latency, one box per run.

    A box spans the middle half of the samples and marks the median. The whiskers end at the 5th and
    95th percentile, and a diamond marks the mean.

    Args:
        runs: Latencies by label, at least one run. Each lists what every sample spent until its
            decision.
        unit: Unit of these values.
        title: Title of the figure.

    Raises:
        ValueError: There are no runs, or the unit is unknown.
    """
    if not runs:
        raise ValueError("`runs` must have at least one run, got none")
    if unit not in _UNITS:
        raise ValueError(f"`unit` must be one of {', '.join(_UNITS)}, got {unit!r:.80}")
    figure = new_figure(8, 1.4 + 0.5 * len(runs))
    axis = figure.subplots()
    drawn = axis.boxplot(
        [list(spent) for spent in runs.values()], orientation="horizontal", whis=(5, 95),
        widths=0.55, showfliers=False, showmeans=True, patch_artist=True, tick_labels=list(runs),
        medianprops={"color": "black", "linewidth": 1.5},
        meanprops={"marker": "D", "markerfacecolor": "white", "markeredgecolor": "black"},
    )  # fmt: skip
    for k, box in enumerate(drawn["boxes"]):
        box.set(facecolor=COLOURS[k % len(COLOURS)], hatch=HATCHES[k % len(HATCHES)])
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set_xlabel(f"{_UNITS[unit]} until the decision")
    axis.grid(alpha=0.3, axis="x")
    axis.set_axisbelow(True)
    axis.set_title(title, fontsize=11)
    return figure


def _latency_legend(curves: Sequence[LatencyCurve]) -> list[Line2D]:
    handles = []
    for k, curve in enumerate(curves):
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        label = f"{curve.label}, stop rule {curve.rule}"
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4.5, label=label))
    handles.append(Line2D([], [], linestyle="--", color="0.35", label="at the first output spike"))
    handles.append(
        Line2D([], [], color="0.35", label="at the stop rule (only samples that it stops)")
    )
    return handles


def _cumulative(
    rounds: Sequence[int], samples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points of a step function that rises to 100 % over ``samples`` at ``rounds``."""
    x = np.sort(np.asarray(rounds, np.float64))
    y = 100 * np.arange(1, x.size + 1) / max(samples, 1)
    return np.concatenate((x[:1], x)), np.concatenate(([0.0][: x.size], y))
