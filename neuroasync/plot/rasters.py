"""Spike rasters: which neuron fires when, under each ordering policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from neuroasync.core.quantity import quantity
from neuroasync.core.recording.recording import Recording
from neuroasync.plot.canvas import (
    COLOURS,
    MARKERS,
    add_legend,
    check_one_sample,
    new_figure,
    show_literally,
)

__all__ = ["RasterPanel", "decided_at", "raster", "steps_of"]

_OUTPUT_COLOUR: Final = "#000000"
_DECIDED_COLOUR: Final = "#C00000"


@dataclass(frozen=True, slots=True, eq=False)
class RasterPanel:
    """Spikes of one sample under one ordering policy.

    Attributes:
        title: Title of the panel.
        step: i64[spikes], forward step of the sample in which the neuron fired.
        neuron: i64[spikes], network-wide index of the neuron.
        passes: i64[passes], forward step at which each pass begins.
        decided_at: Forward step of the decision, or None.
    """

    title: str
    step: NDArray[np.int64]
    neuron: NDArray[np.int64]
    passes: NDArray[np.int64]
    decided_at: int | None


def raster(
    panels: Sequence[RasterPanel],
    populations: Sequence[tuple[str, int]],
    output: str,
    title: str,
    decided: str,
) -> Figure:
    """Draw neurons over forward steps, one panel per ordering policy, on common axes.

    Args:
        panels: At least one panel.
        populations: Name and number of neurons of each population.
        output: Name of the output population.
        title: Title of the figure.
        decided: Legend of the line at the decision.

    Raises:
        ValueError: There are no panels.
    """
    if not panels:
        raise ValueError("`panels` must have at least one panel, got none")
    rows = (len(panels) + 1) // 2
    figure = new_figure(9, 1.5 + 2.3 * rows)
    axes = figure.subplots(rows, min(2, len(panels)), sharex=True, sharey=True, squeeze=False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(axis, panel, populations, output)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("forward step (the input of a pass counts as one)")
    figure.suptitle(title, fontsize=11)
    add_legend(figure, _raster_legend(populations, output, decided), 6)
    return show_literally(figure)


def steps_of(recording: Recording) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return numbers of the forward steps of a one-sample recording; an input group is a step.

    Returns:
        i64[passes], step at which each pass begins; i64[spikes], step in which each spike fired.

    Raises:
        RecordingError: The recording has not exactly one sample.
    """
    check_one_sample(recording)
    return recording.step_numbers(0)


def decided_at(recording: Recording) -> int | None:
    """Return the step, numbered as in ``steps_of``, at which the stop rule ended the sample.

    Returns:
        The step; None if the sample ended by itself.

    Raises:
        RecordingError: The recording has not exactly one sample.
    """
    check_one_sample(recording)
    if not recording.stopped[0]:
        return None
    return int(recording.steps[0] + recording.passes[0]) - 1


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
    colour = _OUTPUT_COLOUR if name == output else COLOURS[k % len(COLOURS)]
    return colour, MARKERS[k % len(MARKERS)]


def _raster_legend(
    populations: Sequence[tuple[str, int]], output: str, decided: str
) -> list[Line2D]:
    handles = []
    for k, (name, size) in enumerate(populations):
        colour, marker = _style(k, name, output)
        label = f"{name} ({quantity(size, 'neuron')})"
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=label))
    handles.append(Line2D([], [], color=_DECIDED_COLOUR, label=decided))
    return handles
