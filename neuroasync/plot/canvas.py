"""Colours, markers, axes and file output that all figures share."""

import io
import os
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.errors import NeuroasyncError

__all__ = ["COLOURS", "HATCHES", "LINES", "MARKERS", "count_axis", "new_figure", "save_png"]

# The palette of Okabe and Ito is safe for colour-blind readers. Markers, line styles and hatches
# repeat the distinction, so that a figure can also be read in black and white.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
LINES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
HATCHES: Final = ("", "//", "xx", "..", "\\\\", "oo")
_COUNTS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
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


def save_png(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as a PNG file, atomically.

    Raises:
        NeuroasyncError: The file cannot be written.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with atomic_file(path, NeuroasyncError) as file:
        file.write(drawn.getvalue())
