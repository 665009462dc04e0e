"""Pictures: who fires when under which order, and how soon samples are decided.

Needs matplotlib, the extra ``viz``. Figures are drawn off screen; no window is
opened and no global state of matplotlib is touched.
"""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from neuroasync._atomic import atomic_file
from neuroasync.errors import NeuroasyncError

__all__ = ["LatencyCurve", "RasterPanel", "decision_latency", "raster", "save_png"]

# Okabe and Ito's colours, which the colour-blind can tell apart; markers say the same again.
_COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")
_OUTPUT_COLOUR: Final = "#000000"
_DECIDED_COLOUR: Final = "#C00000"
_ROUNDS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
_DPI: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class RasterPanel:
    """One sample's spikes under one order.

    Attributes:
        title: of the panel.
        step: i64[spikes], forward step of the sample in which a neuron fired.
        neuron: i64[spikes], network-wide index of the neuron.
        passes: i64[passes], forward step with which each pass begins.
        decided_at: forward step of the decision, or None.
    """

    title: str
    step: NDArray[np.int64]
    neuron: NDArray[np.int64]
    passes: NDArray[np.int64]
    decided_at: int | None


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


def raster(
    panels: Sequence[RasterPanel],
    populations: Sequence[tuple[str, int]],
    output: str,
    title: str,
    decided: str,
) -> Figure:
    """Neurons over forward steps, one panel for each order, on one scale.

    Args:
        panels: at least one.
        populations: name and number of neurons of each.
        output: name of the output population.
        title: of the picture.
        decided: what the line at the decision means.
    """
    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(9, 1.5 + 2.3 * rows), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, min(2, len(panels)), sharex=True, sharey=True, squeeze=False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(axis, panel, populations, output)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("forward step (a pass's input counts as one)")
    figure.suptitle(title, fontsize=11)
    figure.legend(
        handles=_raster_legend(populations, output, decided), loc="outside lower center", ncols=6,
        frameon=False, fontsize=8,
    )  # fmt: skip
    return figure


def decision_latency(curves: Sequence[LatencyCurve], title: str) -> Figure:
    """Share of the samples that are decided, over rounds: dashed by first output, solid by rule."""
    figure = Figure(figsize=(8, 4.5), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for k, curve in enumerate(curves):
        colour = _COLOURS[k % len(_COLOURS)]
        for rounds, style in ((curve.first_output, "--"), (curve.stopped, "-")):
            x, y = _cumulative(rounds, curve.samples)
            axis.plot(
                x, y, style, color=colour, drawstyle="steps-post", linewidth=1.6,
                marker=_MARKERS[k % len(_MARKERS)], markevery=0.12, markersize=4.5,
            )  # fmt: skip
    axis.set_xlabel("rounds (deliveries of up to F spikes) since the sample's first event")
    axis.set_ylabel("samples decided, %")
    axis.set_xscale("symlog", linthresh=2, linscale=0.3)
    axis.set_xticks(_ROUNDS, [str(rounds) for rounds in _ROUNDS])
    axis.set_xticks([], minor=True)
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


def save_png(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a picture, atomically.

    Raises:
        NeuroasyncError: the file system refuses.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with atomic_file(path, NeuroasyncError) as file:
        file.write(drawn.getvalue())


def _draw_panel(
    axis: Axes, panel: RasterPanel, populations: Sequence[tuple[str, int]], output: str
) -> None:
    for start in panel.passes.tolist():
        axis.axvline(start - 0.5, color="0.85", linewidth=0.6, zorder=0)
    at, ticks = 0, []
    for k, (name, size) in enumerate(populations):
        inside = (panel.neuron >= at) & (panel.neuron < at + size)
        colour, marker = _style(k, name, output)
        axis.plot(
            panel.step[inside], panel.neuron[inside], marker, color=colour, markersize=2.6,
            markeredgewidth=0,
        )  # fmt: skip
        axis.axhline(at - 0.5, color="0.6", linewidth=0.5)
        ticks.append(at + (size - 1) / 2)
        at += size
    if panel.decided_at is not None:
        axis.axvline(panel.decided_at, color=_DECIDED_COLOUR, linewidth=1.3)
    axis.set_ylim(at - 0.5, -0.5)
    axis.set_yticks(ticks, [name for name, _ in populations], fontsize=8)
    axis.tick_params(axis="y", length=0)
    axis.set_title(panel.title, fontsize=9)


def _style(k: int, name: str, output: str) -> tuple[str, str]:
    colour = _OUTPUT_COLOUR if name == output else _COLOURS[k % len(_COLOURS)]
    return colour, _MARKERS[k % len(_MARKERS)]


def _raster_legend(
    populations: Sequence[tuple[str, int]], output: str, decided: str
) -> list[Line2D]:
    handles = []
    for k, (name, size) in enumerate(populations):
        colour, marker = _style(k, name, output)
        label = f"{name} ({size} neurons)"
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=label))
    handles.append(Line2D([], [], color=_DECIDED_COLOUR, label=decided))
    return handles


def _latency_legend(curves: Sequence[LatencyCurve]) -> list[Line2D]:
    handles = []
    for k, curve in enumerate(curves):
        colour, marker = _COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)]
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
