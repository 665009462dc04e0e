"""Draws the votes of a decision as bars, for notebooks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.inline_svg import label, picture

__all__ = ["votes_svg"]

_MAX_BARS: Final = 12
_ROW: Final = 18
_LEFT: Final = 110
_BAR: Final = 300
_WIDTH: Final = 680
"""Width of the picture in pixels; the title needs more room than the bars."""


def votes_svg(votes: NDArray[np.int64], decided: int | None, name: str | None, title: str) -> str:
    """Return an SVG element with a bar for each class; only those with most votes if many.

    Args:
        votes: i64[classes], votes of each class.
        decided: the decided class, whose bar is emphasized, or None.
        name: name of the decided class, or None.
        title: the line above the bars.
    """
    shown = np.sort(np.argsort(-votes, kind="stable")[:_MAX_BARS])
    most = max(int(votes.max(initial=0)), 1)
    parts = [label(0, 14, title)]
    for row, cls in enumerate(shown.tolist()):
        y, count = 24 + row * _ROW, int(votes[cls])
        is_decided = cls == decided
        text = f"{cls}: {name}" if is_decided and name not in (None, str(cls)) else str(cls)
        colour, weight = ("#d95f02", 'font-weight="bold"') if is_decided else ("#8da0cb", "")
        width = count / most * _BAR
        parts += [
            label(_LEFT - 6, y + 13, f"{text:.16}", f'text-anchor="end" {weight}'),
            f'<rect x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="14" fill="{colour}"/>',
            label(_LEFT + width + 5, y + 13, str(count), weight),
        ]
    height = 24 + shown.size * _ROW
    if (hidden := votes.size - shown.size) > 0:
        height += _ROW
        parts.append(label(_LEFT, height - 5, f"and {hidden} classes with as many votes or fewer"))
    return picture(_WIDTH, height, title, parts)
