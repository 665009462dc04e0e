"""Figure of one network under stress."""

from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.figure import Figure

from neuroasync.plot.canvas import COLOURS, new_figure, show_literally

__all__ = ["plot_stress"]

_COLUMNS: Final = 4
_MIN_HEIGHT: Final = 2.6
"""Least height of a panel, inches."""
_ROW: Final = 0.2
"""Height of a strength in a panel, inches."""


def plot_stress(
    points: Mapping[str, Sequence[tuple[str, float, float | None]]],
    untouched: float,
    measure: str,
    title: str,
) -> Figure:
    """Draw how often a network is right under stress, one panel for each kind.

    Args:
        points: By kind of stress, at least one: the strength as text, a share of the samples from 0
            to 1, and its standard error or None.
        untouched: The share without stress, a dashed line in each panel.
        measure: What the share is, for the axis.
        title: Title of the figure.

    Raises:
        ValueError: There are no points.
    """
    if not points:
        raise ValueError("`points` must have at least one kind of stress, got none")
    columns = min(_COLUMNS, len(points))
    rows = -(-len(points) // columns)
    longest = max(map(len, points.values()))
    figure = new_figure(3.4 * columns, rows * max(_MIN_HEIGHT, 1.2 + _ROW * longest))
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for k, (axis, (kind, values)) in enumerate(zip(axes, points.items(), strict=False)):
        places = range(len(values))
        axis.axvline(100 * untouched, color="black", linestyle="--", linewidth=1)
        axis.errorbar(
            [100 * share for _, share, _ in values], places,
            xerr=[100 * (error or 0) for _, _, error in values], color=COLOURS[k % len(COLOURS)],
            marker="o", markersize=5, linestyle="none", capsize=3,
        )  # fmt: skip
        axis.set_yticks(places, [strength for strength, _, _ in values], fontsize=8)
        axis.invert_yaxis()
        axis.set_title(kind, fontsize=10)
        axis.grid(alpha=0.3)
        axis.tick_params(labelbottom=True)
    for axis in axes[len(points) :]:
        axis.set_axis_off()
    figure.supxlabel(
        f"{measure}, % of all samples (dashed: without stress; bars: one standard error)",
        fontsize=9,
    )
    figure.suptitle(title, fontsize=11)
    return show_literally(figure)
