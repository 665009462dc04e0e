"""Draws the spikes of one recorded sample as a raster, for notebooks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.inline_svg import label, picture

__all__ = ["raster_svg"]

_MAX_MARKS: Final = 4000
"""Maximum number of marks. Each takes about 10 bytes of text."""

_MAX_NAMES: Final = 16
_LEFT, _TOP, _WIDTH, _HEIGHT = 110, 24, 560, 240
_COLOURS: Final = ("#1b9e77", "#7570b3", "#e6ab02", "#66a61e", "#e7298a", "#a6761d")
_OUTPUT_COLOUR: Final = "#d95f02"


def raster_svg(
    step: NDArray[np.int64],
    steps: int,
    neuron: NDArray[np.int64],
    populations: tuple[tuple[str, int], ...],
    output: str,
    title: str,
) -> str:
    """Return an SVG element with a mark for each spike; nearby spikes share one if there are many.

    Args:
        step: i64[spikes], forward step of each spike, counted through the whole sample.
        steps: number of forward steps of the sample.
        neuron: i64[spikes], network-wide index of each spike's neuron.
        populations: (name, size) of each population, in the order of the neurons.
        output: name of the output population.
        title: the line above the raster.
    """
    ends = np.cumsum([size for _, size in populations])
    column, row = _cells(step, max(steps, 1), _WIDTH), _cells(neuron, int(ends[-1]), _HEIGHT)
    cell = 1
    marks = np.unique((column, row), axis=1)
    while marks.shape[1] > _MAX_MARKS:
        cell *= 2
        marks = np.unique((column // cell, row // cell), axis=1)
    # Where a step or a neuron has more room than a cell, its mark is larger.
    wide = max(cell, min(_WIDTH // max(steps, 1), 5), 2)
    high = max(cell, min(_HEIGHT // int(ends[-1]), 8), 2)
    parts = [label(0, 14, title)]
    owner = np.searchsorted(ends * _HEIGHT // ends[-1], marks[1] * cell, side="right")
    for p, (name, size) in enumerate(populations):
        colour = _OUTPUT_COLOUR if name == output else _COLOURS[p % len(_COLOURS)]
        begin, end = ((ends[p] - size) * _HEIGHT / ends[-1], ends[p] * _HEIGHT / ends[-1])
        if p < _MAX_NAMES and (end - begin >= 12 or len(populations) <= 4):
            y = _TOP + (begin + end) / 2 + 4
            parts.append(label(_LEFT - 6, y, f"{name:.16}", f'text-anchor="end" fill="{colour}"'))
        at = marks[:, owner == p] * cell
        path = "".join(f"M{_LEFT + x} {_TOP + y + high / 2:g}h{wide}" for x, y in at.T.tolist())
        parts.append(f'<path stroke="{colour}" stroke-width="{high}" fill="none" d="{path}"/>')
    bottom = _TOP + _HEIGHT
    parts.append(f'<path stroke="currentColor" d="M{_LEFT} {bottom + 2}h{_WIDTH}"/>')
    parts.append(label(_LEFT, bottom + 18, "0"))
    parts.append(label(_LEFT + _WIDTH, bottom + 18, f"{steps} forward steps", 'text-anchor="end"'))
    return picture(_LEFT + _WIDTH + 10, bottom + 26, title, parts)


def _cells(values: NDArray[np.int64], count: int, pixels: int) -> NDArray[np.int64]:
    """Return the pixel of each value from 0 to ``count`` - 1."""
    return np.clip(values * pixels // count, 0, pixels - 1)
