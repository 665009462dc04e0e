"""What all pictures share: colours with markers that say the same again, figures, files."""

import io
import os
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neuroasync.core.formats.atomic_write import atomic_file
from neuroasync.errors import NeuroasyncError

__all__ = ["COLOURS", "HATCHES", "LINES", "MARKERS", "count_axis", "new_figure", "save_png"]

# Okabe and Ito's colours, which the colour-blind can tell apart; the others say the same again.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
LINES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
HATCHES: Final = ("", "//", "xx", "..", "\\\\", "oo")
_COUNTS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
_DPI: Final = 100


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, off screen; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def count_axis(axis: Axes) -> None:
    """Make the x axis one of counts: logarithmic, with room for 0, and ticks in full."""
    axis.set_xscale("symlog", linthresh=2, linscale=0.3)
    axis.set_xticks(_COUNTS, [str(count) for count in _COUNTS])
    axis.set_xticks([], minor=True)


def save_png(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a picture, atomically.

    Raises:
        NeuroasyncError: the file system refuses.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with atomic_file(path, NeuroasyncError) as file:
        file.write(drawn.getvalue())
