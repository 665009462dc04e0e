"""Figure of one network under several ordering policies."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from neuroasync.plot.canvas import (
    COLOURS,
    MARKERS,
    add_legend,
    check_points,
    new_figure,
    show_literally,
)

__all__ = ["plot_comparison"]


def plot_comparison(
    runs: Mapping[tuple[str, str], Sequence[tuple[int, float, float, float]]],
    measure: str,
    title: str,
) -> Figure:
    """Draw what each order costs and how often it is right: rounds and spikes against a share.

    Args:
        runs: Points by ordering policy and input mode, at least one run. Each point has F, the
            rounds and the spikes per sample, and a share of the samples from 0 to 1.
        measure: What the share is, for the axis.
        title: Title of the figure.

    Raises:
        ValueError: There are no runs, or one has no points.
    """
    check_points(runs)
    figure = new_figure(10, 4.8)
    left, right = figure.subplots(1, 2, sharey=True)
    policies = list(dict.fromkeys(policy for policy, _ in runs))
    modes = list(dict.fromkeys(mode for _, mode in runs))
    handles = []
    for (policy, mode), points in runs.items():
        k, filled = policies.index(policy), mode == modes[0]
        colour = COLOURS[k % len(COLOURS)]
        size, rounds, spikes, share = zip(*points, strict=True)
        for axis, costs in ((left, rounds), (right, spikes)):
            (line,) = axis.plot(
                costs, [100 * s for s in share], color=colour, label=f"{policy}, {mode}",
                linestyle="-" if filled else ":", marker=MARKERS[k % len(MARKERS)], linewidth=1,
                markersize=7, markerfacecolor=colour if filled else "white",
            )  # fmt: skip
            for f, cost, s in zip(size, costs, share, strict=True):
                axis.annotate(
                    f"{f}", (cost, 100 * s), xytext=(5, 4), textcoords="offset points", fontsize=7
                )
        handles.append(line)
    left.set_xscale("log")
    left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_major_formatter(ScalarFormatter())
    left.xaxis.set_minor_formatter(NullFormatter())
    left.set_xlabel("rounds per sample (the number at a mark is F)")
    right.set_xlabel("spikes per sample")
    left.set_ylabel(f"{measure}, % of all samples")
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.set_axisbelow(True)
    figure.suptitle(title, fontsize=11)
    add_legend(figure, handles, 4)
    return show_literally(figure)
