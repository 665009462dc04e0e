"""Colours, markers, axes, checks and file output that all figures share."""

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import NeuroasyncError, RecordingError

__all__ = [
    "COLOURS",
    "HATCHES",
    "LINES",
    "MARKERS",
    "add_legend",
    "check_one_sample",
    "check_points",
    "count_axis",
    "new_figure",
    "save_png",
    "show_literally",
]

# The palette of Okabe and Ito is safe for colour-blind readers. Markers, line styles and hatches
# repeat the distinction, so that a figure can also be read in black and white.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
LINES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
HATCHES: Final = ("", "//", "xx", "..", "\\\\", "oo")
_COUNTS: Final = (
    0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10**4, 10**5, 10**6, 10**7, 10**8,
)  # fmt: skip
_DPI: Final = 100


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure off screen; width and height are in inches."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def count_axis(axis: Axes) -> None:
    """Scale the x axis for counts: logarithmic, but including 0, with plain numbers as ticks."""
    # A symmetric logarithm is linear below `linthresh`, which makes room for 0.
    axis.set_xscale("symlog", linthresh=2, linscale=0.3)
    axis.set_xticks(_COUNTS, [str(count) for count in _COUNTS])
    axis.set_xticks([], minor=True)


def add_legend(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    """Add a legend below the axes, with the label of each artist in ``handles``."""
    # Without explicit handles, matplotlib leaves out labels that begin with an underscore.
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )


def show_literally(figure: Figure) -> Figure:
    """Make a finished figure show all of its texts as they are, and return it."""
    # Labels and paths may contain dollar signs, between which matplotlib reads a formula.
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure


def check_one_sample(recording: Recording) -> None:
    """Raise RecordingError unless a recording has exactly one sample."""
    if len(recording) != 1:
        raise RecordingError(f"the recording must have one sample, got {len(recording)}")


def check_points(runs: Mapping[Any, Sequence[object]]) -> None:
    """Raise ValueError unless there is at least one run, and each run has at least one point."""
    if not runs:
        raise ValueError("`runs` must have at least one run, got none")
    for name, points in runs.items():
        if not len(points):
            raise ValueError(f"`runs[{name!r:.80}]` must have at least one point, got none")


def save_png(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as a PNG file, atomically.

    Raises:
        NeuroasyncError: The file cannot be written.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with atomic_file(path, NeuroasyncError) as file:
        file.write(drawn.getvalue())
