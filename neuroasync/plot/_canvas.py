"""What all pictures share: colours with markers that say the same again, figures, files."""

import io
import os
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neuroasync._atomic import atomic_file
from neuroasync.errors import NeuroasyncError

__all__ = ["COLOURS", "HATCHES", "LINES", "MARKERS", "new_figure", "save_png"]

# Okabe and Ito's colours, which the colour-blind can tell apart; the others say the same again.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
LINES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
HATCHES: Final = ("", "//", "xx", "..", "\\\\", "oo")
_DPI: Final = 100


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, off screen; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
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
