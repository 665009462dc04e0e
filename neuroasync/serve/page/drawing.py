"""Settings that turn a drawing into an image like those that a network was trained with."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, cast

from neuroasync.core.formats.bundle import Bundle
from neuroasync.datasets.images import Coding

__all__ = ["Drawing", "drawing_for", "reads_digits", "test_samples_for"]

_CODINGS: Final = ("rate", "latency", "current")
_SIDES: Final = range(4, 65)
_DIGIT_NAMES: Final = tuple("0123456789")
_NMNIST_SHAPE: Final = (2, 34, 34)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How pen strokes become an image like those that the network was trained with.

    Attributes:
        height: Height of the image, in cells.
        width: Width of the image, in cells.
        coding: How cells are encoded.
        box: Length of the drawing's longer side, as a fraction of the image's height.
        widest: Maximum width of the drawing, as a fraction of the image's width. If it is set, a
            drawing that is not very wide fills the height ``box`` and is narrowed to this width if
            necessary. If it is None, the drawing keeps its proportions.
        upright: Fraction of the drawing's slant that is removed.
        centre: Point of the drawing that is placed at the centre of the image: ``"box"`` is the
            centre of its bounding box, and ``"mass"`` is its centre of mass.
        pen: Width of the pen, as a fraction of the image's height.
        ink: Mean value of a cell. The pen's width is chosen to reach it. None uses ``pen``.
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
        """Return the fields as JSON for the page."""
        return asdict(self)


def reads_digits(bundle: Bundle) -> bool:
    """Return whether the network reads the shipped 8 x 8 digits."""
    return bundle.model.input_shape == (8, 8) and bundle.classes == _DIGIT_NAMES


def test_samples_for(bundle: Bundle) -> str | None:
    """Return the name of the shipped samples that the network reads, or None."""
    if reads_digits(bundle):
        names = {"latency": "digits-latency", "current": None}
        return names.get(str(bundle.meta.get("coding")), "digits")
    is_nmnist = bundle.model.input_shape == _NMNIST_SHAPE and bundle.classes == _DIGIT_NAMES
    return "nmnist" if is_nmnist else None


def drawing_for(bundle: Bundle) -> Drawing | None:
    """Return how to draw for a network, or None if its input is no image of a known coding."""
    shape, coding = bundle.model.input_shape, bundle.meta.get("coding")
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2 or not all(side in _SIDES for side in shape) or coding not in _CODINGS:
        return None
    height, width, known_coding = *shape, cast("Coding", coding)
    if reads_digits(bundle):
        # The digits of the data set fill all 8 rows and 5.6 columns, and a 1 has as much ink as an
        # 8. They are more upright than handwriting usually is: removing 40 % of the slant raised
        # the accuracy on digits of MNIST.
        return Drawing(height, width, known_coding, 1.0, 0.7, 0.4, "box", pen=0.2, ink=20 / 64)
    # Like MNIST: scaled to 20 of 28 rows, and centred by the centre of mass.
    return Drawing(height, width, known_coding, 20 / 28, None, 0.0, "mass", pen=0.085, ink=None)
