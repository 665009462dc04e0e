"""Figures of one sample that several networks or policies decide on, over rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neuroasync.core.quantity import quantity
from neuroasync.core.recording.recording import Recording
from neuroasync.metrics.trajectory import trajectories
from neuroasync.plot.canvas import check_one_sample, new_figure, show_literally

__all__ = ["DecisionPanel", "plot_decisions", "rounds_of"]

_HIDDEN_HEIGHT: Final = 0.75
"""Height of the hidden neurons, relative to that of the classes."""
_TEXT_HEIGHT: Final = 0.4
"""Height of the space for text between them, also relative to that of the classes."""


@dataclass(frozen=True, slots=True)
class _Theme:
    """Colours of a figure on a light or a dark page."""

    page: str
    text: str
    muted: str
    spike: str
    right: str
    wrong: str
    band: str


# The green and the red differ in lightness, too, and marker shapes repeat the distinction.
_LIGHT: Final = _Theme("#ffffff", "#1f2328", "#59636e", "#8c959f", "#0a6b4f", "#c62f21", "#e3f1ec")
_DARK: Final = _Theme("#0d1117", "#f0f6fc", "#9198a1", "#6e7681", "#4cc38a", "#ff7b72", "#12261e")


@dataclass(frozen=True, slots=True, eq=False)
class DecisionPanel:
    """A run of the sample, and the moment at which its stop rule decides.

    Attributes:
        title: What runs.
        note: Lines to the right of the panel, such as the means over all samples.
        recording: Recording of the whole sample (``until="quiet"``) with its correct class.
        rounds: Rounds until the decision.
        label: The class decided for, or None.
    """

    title: str
    note: str
    recording: Recording
    rounds: int
    label: int | None


def rounds_of(recording: Recording) -> NDArray[np.int64]:
    """Return the round in which each spike of a one-sample recording fired, i64[spikes].

    Raises:
        RecordingError: The recording has not exactly one sample, the sample is not whole, or its
            correct class is not known.
    """
    check_one_sample(recording)
    (trajectory,) = trajectories(recording)
    # Spike number n fired at the first moment at which at least n spikes had been fired.
    numbers = np.arange(1, recording.neuron.size + 1)
    moment = np.searchsorted(trajectory.spikes, numbers, side="left")
    rounds: NDArray[np.int64] = trajectory.rounds[moment]
    return rounds


def plot_decisions(
    panels: Sequence[DecisionPanel],
    image: NDArray[np.int64],
    title: str,
    footnote: str,
    *,
    notes: str = "",
    dark: bool = False,
) -> Figure:
    """Draw the spikes of each run on a common axis in rounds, with a line at its decision.

    Votes for the correct class are green circles, other votes red crosses. Spikes after the
    decision are pale, because a network that has decided does not compute them.

    Args:
        panels: At least one run of the same sample.
        image: i64[rows, columns], input spikes of each pixel.
        title: Title of the figure.
        footnote: How the sample was chosen.
        notes: Heading of the panels' notes.
        dark: Whether the page around the figure is dark.

    Raises:
        ValueError: There are no panels.
        RecordingError: As for :func:`rounds_of`.
    """
    if not panels:
        raise ValueError("`panels` must have at least one panel, got none")
    theme = _DARK if dark else _LIGHT
    figure = new_figure(10, 1.2 + 1.55 * len(panels))
    figure.set_facecolor(theme.page)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
    last = max(int(rounds_of(panel.recording).max(initial=1)) for panel in panels)
    grid = figure.add_gridspec(len(panels), 3, width_ratios=(1, 5.2, 1.15))
    _draw_image(figure.add_subplot(grid[0, 0]), image, theme)
    shared: Axes | None = None
    for k, panel in enumerate(panels):
        shared = axes = figure.add_subplot(grid[k, 1], sharex=shared)
        axes.set_xlim(-0.015 * last, 1.02 * last)
        _draw_panel(axes, panel, theme)
        _draw_note(figure.add_subplot(grid[k, 2]), panel.note, "" if k else notes, theme)
        axes.tick_params(axis="x", labelbottom=k == len(panels) - 1, colors=theme.muted)
    size = panels[0].recording.info.group_size
    axes.set_xlabel(
        f"rounds (each delivers up to {quantity(size, 'spike')})", color=theme.text, fontsize=10.5
    )
    figure.suptitle(title, fontsize=14, fontweight="bold", color=theme.text)
    figure.supxlabel(footnote, fontsize=9.5, color=theme.muted)
    return show_literally(figure)


def _draw_image(axes: Axes, image: NDArray[np.int64], theme: _Theme) -> None:
    dark = theme is _DARK
    axes.imshow(image, cmap="gray" if dark else "Greys")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("input", fontsize=11, loc="left", color=theme.text)
    for spine in axes.spines.values():
        spine.set_color(theme.spike)


def _draw_panel(axes: Axes, panel: DecisionPanel, theme: _Theme) -> None:
    recording, rounds = panel.recording, rounds_of(panel.recording)
    y, classes, height = _heights(recording)
    target = int(recording.target[0])
    axes.set_facecolor(theme.page)
    axes.axhspan(target - 0.5, target + 0.5, color=theme.band, linewidth=0, zorder=0)
    kinds = (
        (classes < 0, ".", 14, theme.spike),
        (classes == target, "o", 24, theme.right),
        ((classes >= 0) & (classes != target), "x", 20, theme.wrong),
    )
    for chosen, marker, size, colour in kinds:
        for late in (False, True):
            shown = chosen & ((rounds > panel.rounds) == late)
            axes.scatter(
                rounds[shown], y[shown], s=size, marker=marker, color=colour,
                linewidths=1.2 if marker == "x" else 0, alpha=0.25 if late else 1,
            )  # fmt: skip
    _draw_decision(axes, panel, target, theme)
    axes.set_ylim(height, -0.9)
    axes.set_yticks([target, height - _HIDDEN_HEIGHT * recording.votes.shape[1] / 2])
    axes.set_yticklabels([f"votes for {target}", "hidden"], color=theme.muted, fontsize=9.5)
    axes.tick_params(axis="y", length=0)
    axes.set_title(panel.title, loc="left", fontsize=11.5, fontweight="bold", color=theme.text)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.spike)


def _draw_note(axes: Axes, note: str, heading: str, theme: _Theme) -> None:
    axes.axis("off")
    axes.set_title(heading, loc="left", fontsize=10.5, color=theme.muted)
    axes.text(
        0, 0.5, note, transform=axes.transAxes, va="center", fontsize=11, linespacing=1.5,
        color=theme.text,
    )  # fmt: skip


def _heights(recording: Recording) -> tuple[NDArray[np.float64], NDArray[np.int64], float]:
    """Return the y of each spike, its class (-1: hidden), and the y of the lower edge.

    Classes are rows 0, 1, 2, ... from the top; the hidden neurons share the space below the text.
    """
    info, classes = recording.info, recording.votes.shape[1]
    names = [name for name, _ in info.populations]
    first = sum(size for _, size in info.populations[: names.index(info.output)])
    of_class = recording.neuron - first
    of_class = np.where((of_class >= 0) & (of_class < classes), of_class, -1)
    top, span = (1 + _TEXT_HEIGHT) * classes - 0.5, _HIDDEN_HEIGHT * classes
    hidden = top + span * recording.neuron / info.neurons
    return np.where(of_class >= 0, of_class, hidden), of_class, top + span


def _draw_decision(axes: Axes, panel: DecisionPanel, target: int, theme: _Theme) -> None:
    is_right = panel.label == target
    colour = theme.right if is_right else theme.wrong
    axes.axvline(panel.rounds, color=colour, linewidth=2.2)
    answer = "no answer" if panel.label is None else f"answers {panel.label}"
    verdict = "right" if is_right else "wrong"
    # The text stands between votes and hidden neurons, where the axis has more room.
    is_late = panel.rounds > sum(axes.get_xlim()) / 2
    axes.annotate(
        f"{answer}: {verdict}, after {quantity(panel.rounds, 'round')}",
        (panel.rounds, (1 + _TEXT_HEIGHT / 2) * panel.recording.votes.shape[1] - 0.5),
        xytext=(-8 if is_late else 8, 0),
        textcoords="offset points", color=colour, fontsize=12.5, fontweight="bold",
        ha="right" if is_late else "left", va="center",
    )  # fmt: skip
