"""How soon samples are decided."""

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
    "rounds": "rounds (deliveries of up to F spikes)",
    "steps": "forward steps",
    "ms": "wall time, ms,",
}


@dataclass(frozen=True, slots=True)
class LatencyCurve:
    """When a network decided on its samples.

    Attributes:
        label: the network, and the order it ran in.
        first_output: rounds to the first output spike of each sample that had one.
        stopped: rounds to the stop rule's word for each sample that it stopped.
        rule: that stop rule.
        samples: how many there were.
    """

    label: str
    first_output: Sequence[int]
    stopped: Sequence[int]
    rule: str
    samples: int


def decision_latency(curves: Sequence[LatencyCurve], title: str) -> Figure:
    """Share of the samples that are decided, over rounds: dashed by first output, solid by rule."""
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
    axis.set_xlabel("rounds (deliveries of up to F spikes) since the sample's first event")
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
    """Distribution of decision latency, several runs below each other.

    A box spans the middle half of the samples, with the median; the whiskers end at the 5th and
    95th percentile, a diamond is the mean.

    Args:
        runs: at least one, by its label; each has what every sample spent until its decision.
        unit: of that.
        title: of the picture.

    Raises:
        ValueError: there are no runs, or the unit is another.
    """
    if not runs:
        raise ValueError("runs: none, expected at least one")
    if unit not in _UNITS:
        raise ValueError(f"unit: {unit!r:.80}, expected one of {', '.join(_UNITS)}")
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
        label = f"{curve.label}, stops at {curve.rule}"
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4.5, label=label))
    handles.append(Line2D([], [], linestyle="--", color="0.35", label="first output spike"))
    handles.append(
        Line2D([], [], color="0.35", label="stop rule (samples it never stops are missing)")
    )
    return handles


def _cumulative(
    rounds: Sequence[int], samples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The steps of a share that rises at each of ``rounds``, in percent."""
    x = np.sort(np.asarray(rounds, np.float64))
    y = 100 * np.arange(1, x.size + 1) / max(samples, 1)
    return np.concatenate((x[:1], x)), np.concatenate(([0.0][: x.size], y))
