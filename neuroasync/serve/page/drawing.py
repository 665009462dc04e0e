"""Whether a network's input can be drawn with a pen, and how its data set's images were made."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, cast

from neuroasync.core.formats.bundle import Bundle
from neuroasync.datasets.images import Coding

__all__ = ["Drawing", "drawing_of", "is_digits"]

_CODINGS: Final = ("rate", "latency")
_SIDES: Final = range(4, 65)
_DIGIT_NAMES: Final = tuple("0123456789")


@dataclass(frozen=True, slots=True)
class Drawing:
    """How pen strokes become an image of the kind that the network learned from.

    Attributes:
        height, width: of the image, in cells.
        coding: how its cells become spikes.
        box: share of the image's height that a drawing's longer side is scaled to.
        widest: share of the image's width that a wider drawing is squeezed to, which then fills the
            height of its box whatever its proportions; None: proportions are kept.
        upright: share of a drawing's slant that is taken away.
        centre: what is put into the image's middle: the drawing's ``"box"``, or its ``"mass"``.
        pen: width of the pen, as a share of the image's height.
        ink: mean value of a cell that the pen is made wide enough for; None: ``pen`` is its width.
    """

    height: int
    width: int
    coding: Coding
    box: float
    widest: float | None
    upright: float
    centre: Literal["box", "mass"]
    pen: float
    ink: float | None

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return asdict(self)


def is_digits(bundle: Bundle) -> bool:
    """Whether the network reads the 8 x 8 digits that ship."""
    return bundle.model.input_shape == (8, 8) and bundle.classes == _DIGIT_NAMES


def drawing_of(bundle: Bundle) -> Drawing | None:
    """How to draw for this network; None if its input is no image, or nobody knows its coding."""
    shape, coding = bundle.model.input_shape, bundle.meta.get("coding")
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2 or not all(side in _SIDES for side in shape) or coding not in _CODINGS:
        return None
    height, width, known = *shape, cast("Coding", coding)
    if is_digits(bundle):
        # The set's digits fill all 8 rows and 5.6 columns, and a 1 has as much ink as an 8. They
        # stand more upright than those of MNIST, more of which the networks so read.
        return Drawing(height, width, known, 1.0, 0.7, 0.4, "box", pen=0.2, ink=20 / 64)
    # MNIST: within 20 of 28 rows, by the centre of mass.
    return Drawing(height, width, known, 20 / 28, None, 0.0, "mass", pen=0.085, ink=None)
