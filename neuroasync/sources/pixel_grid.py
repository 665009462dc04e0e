"""Pixels of a sensor as input indices of a network."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PixelGrid"]


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """What the input of a network is to a sensor with pixels and polarities.

    The input index of an event is ``(polarity * height + y) * width + x``, the C order of the
    shape (channels, height, width): channel 0 has the events where it got darker. With one
    channel, polarity makes no difference.

    Attributes:
        channels: 1 or 2.
        height, width: in pixels of the network.
    """

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Self:
        """The plane of an input shape: (2, H, W), (1, H, W), (H, W), or (N,) for one row.

        Raises:
            ValueError: the shape is none of these.
        """
        is_shape = isinstance(shape, tuple) and all(type(n) is int and n > 0 for n in shape)
        if is_shape and 1 <= len(shape) <= 3:
            channels, height, width = (1,) * (3 - len(shape)) + shape
            if channels <= 2:
                return cls(channels, height, width)
        raise ValueError(
            f"shape: {shape!r:.80}, expected that of the network's input: (2, H, W), (1, H, W), "
            "(H, W) or (N,)"
        )

    @property
    def size(self) -> int:
        """Number of inputs."""
        return self.channels * self.height * self.width

    def sees(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which pixels are inside."""
        return (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)

    def index(
        self, x: NDArray[np.int64], y: NDArray[np.int64], polarity: ArrayLike
    ) -> NDArray[np.int64]:
        """i64[events], the input indices of pixels that are inside; polarity is 0 or 1."""
        pixel = y * self.width + x
        if self.channels == 1:
            return pixel
        return np.asarray(polarity, np.int64) * (self.height * self.width) + pixel

    def pixels(
        self, index: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(x, y, polarity) of input indices, i64[events] each."""
        polarity, pixel = np.divmod(index, self.height * self.width)
        y, x = np.divmod(pixel, self.width)
        return x, y, polarity
