"""Figures of decision latency."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from matplotlib.figure import Figure

from neuroasync.plot.canvas import COLOURS, HATCHES, new_figure, show_literally

__all__ = ["plot_latency"]

_UNITS: Final = {
    "rounds": "rounds (a round delivers up to F spikes)",
    "steps": "forward steps",
    "ms": "wall time in ms",
}


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
    return show_literally(figure)
