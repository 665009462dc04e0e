"""Map the pixels of a sensor to input indices of a network."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.model.checks import as_integer, must_be, shown

__all__ = ["PixelGrid", "View"]

_Int64s: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """The input of a network seen as a grid of pixels with one or two polarities.

    The input index of an event is ``(polarity * height + y) * width + x``, the C order of the shape
    (channels, height, width). Channel 0 holds events of decreasing brightness. With a single
    channel, the polarity is ignored.

    Attributes:
        channels: 1 or 2.
        height, width: size in pixels of the network.
    """

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Self:
        """Return the grid of an input shape: (2, H, W), (1, H, W), (H, W), or (N,) for one row.

        Raises:
            ValueError: the shape has another form.
        """
        extents = [as_integer(n) for n in shape] if isinstance(shape, tuple) else []
        sizes = [n for n in extents if n is not None and n > 0]
        if 1 <= len(sizes) == len(extents) <= 3:
            channels, height, width = [1] * (3 - len(sizes)) + sizes
            if channels <= 2:
                return cls(channels, height, width)
        forms = "an input shape (2, H, W), (1, H, W), (H, W) or (N,)"
        raise ValueError(must_be("shape", forms, shown(shape)))

    @property
    def size(self) -> int:
        """Number of inputs."""
        return self.channels * self.height * self.width

    def sees(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
        """Return for each pixel whether it lies inside the grid, bool[events].

        Raises:
            TypeError: a coordinate is not an integer.
        """
        column, row = _integers("x", x), _integers("y", y)
        return (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)

    def index(self, x: ArrayLike, y: ArrayLike, polarity: ArrayLike) -> _Int64s:
        """Return the input indices of pixels inside the grid, i64[events].

        Args:
            x: [events], columns, integers of any type.
            y: [events], rows, integers of any type.
            polarity: [events], 0 or 1, or bool.

        Raises:
            TypeError: a coordinate or polarity is not an integer.
        """
        pixel = _integers("y", y) * self.width + _integers("x", x)
        if self.channels == 1:
            return pixel
        return _integers("polarity", polarity, "biu") * (self.height * self.width) + pixel

    def pixels(self, index: ArrayLike) -> tuple[_Int64s, _Int64s, _Int64s]:
        """Return (x, y, polarity) of input indices, i64[events] each.

        Raises:
            TypeError: an index is not an integer.
        """
        polarity, pixel = np.divmod(_integers("index", index), self.height * self.width)
        y, x = np.divmod(pixel, self.width)
        return x, y, polarity


@dataclass(frozen=True, slots=True)
class View:
    """The pixels of a sensor that the network sees.

    Attributes:
        x, y: pixel of the sensor that is the first pixel of the network.
        binning: this many pixels of the sensor, in each direction, form one pixel of the network.

    Raises:
        ValueError: a value is out of range.
    """

    x: int = 0
    y: int = 0
    binning: int = 1

    def __post_init__(self) -> None:
        """Check the ranges, and replace integers of numpy by ints."""
        for name, minimum in (("x", 0), ("y", 0), ("binning", 1)):
            value = as_integer(getattr(self, name))
            if value is None or not minimum <= value < 2**16:
                requirement = f"an integer from {minimum} to {2**16 - 1}"
                raise ValueError(must_be(name, requirement, shown(getattr(self, name))))
            object.__setattr__(self, name, value)

    @classmethod
    def centred(cls, sensor: tuple[int, int], grid: PixelGrid) -> Self:
        """Return the centre of a sensor (width, height) with the largest binning that fits.

        Raises:
            ValueError: the network has more pixels than the sensor.
        """
        width, height = sensor
        binning = min(width // grid.width, height // grid.height)
        if not binning:
            raise ValueError(
                f"the network sees {grid.width} x {grid.height} pixels, but the sensor has only "
                f"{width} x {height}"
            )
        return cls(
            (width - binning * grid.width) // 2, (height - binning * grid.height) // 2, binning
        )

    def to_network(self, x: ArrayLike, y: ArrayLike) -> tuple[_Int64s, _Int64s]:
        """Return the network's pixels (x, y) for pixels of the sensor, i64[events] each.

        Pixels of the sensor outside the view are mapped to pixels outside the network.

        Raises:
            TypeError: a coordinate is not an integer.
        """
        return (
            (_integers("x", x) - self.x) // self.binning,
            (_integers("y", y) - self.y) // self.binning,
        )


def _integers(name: str, values: ArrayLike, kinds: str = "iu") -> _Int64s:
    """Return ``values`` as int64, because products of coordinates overflow in smaller types."""
    array = np.asarray(values)
    if array.dtype.kind not in kinds and array.size:
        raise TypeError(must_be(name, "integers", f"an array of type {array.dtype}"))
    return array.astype(np.int64)
