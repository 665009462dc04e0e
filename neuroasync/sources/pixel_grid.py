"""Map the pixels of a sensor to input indices of a network."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PixelGrid"]


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
        is_shape = isinstance(shape, tuple) and all(type(n) is int and n > 0 for n in shape)
        if is_shape and 1 <= len(shape) <= 3:
            channels, height, width = (1,) * (3 - len(shape)) + shape
            if channels <= 2:
                return cls(channels, height, width)
        raise ValueError(
            "`shape` must be an input shape (2, H, W), (1, H, W), (H, W) or (N,), "
            f"got {shape!r:.80}"
        )

    @property
    def size(self) -> int:
        """Number of inputs."""
        return self.channels * self.height * self.width

    def sees(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each pixel whether it lies inside the grid, bool[events]."""
        return (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)

    def index(
        self, x: NDArray[np.int64], y: NDArray[np.int64], polarity: ArrayLike
    ) -> NDArray[np.int64]:
        """Return the input indices of pixels inside the grid, i64[events]; polarity is 0 or 1."""
        pixel = y * self.width + x
        if self.channels == 1:
            return pixel
        return np.asarray(polarity, np.int64) * (self.height * self.width) + pixel

    def pixels(
        self, index: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return (x, y, polarity) of input indices, i64[events] each."""
        polarity, pixel = np.divmod(index, self.height * self.width)
        y, x = np.divmod(pixel, self.width)
        return x, y, polarity
