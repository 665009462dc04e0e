"""What all decoders of camera recordings have in common."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["READ_BYTES", "CameraEvents", "Decoder", "last_known"]

READ_BYTES: Final = 2**18
"""Bytes of a recording that are decoded together. In EVT 3, they become at most 1.5 million
events."""


@dataclass(frozen=True, slots=True)
class CameraEvents:
    """Events in the order of the file.

    Attributes:
        device_us: i64[events], times by the clock of the camera, µs, modulo its range.
        x, y: integer[events], pixels of the sensor.
        is_on: bool[events], whether the brightness increased.
        malformed: number of events or words that were skipped, because they violate the format.
    """

    device_us: NDArray[np.int64]
    x: NDArray[Any]
    y: NDArray[Any]
    is_on: NDArray[np.bool_]
    malformed: int = 0


class Decoder(Protocol):
    """A decoder of one recording."""

    @property
    def clock_bits(self) -> int:
        """Number of bits after which the clock of the camera wraps around, in µs."""
        ...

    @property
    def sensor(self) -> tuple[int, int] | None:
        """Width and height of the sensor; None if the file does not contain them."""
        ...

    def read(self) -> Generator[CameraEvents, None, None]:
        """Yield the events of the recording. Called once, in a thread.

        Raises:
            SourceError: the file is damaged.
        """
        ...


def last_known(is_known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the position of the latest True up to each element, i64[n]; -1 before the first."""
    position: NDArray[np.int64] = np.where(is_known, np.arange(is_known.size), -1)
    return np.maximum.accumulate(position)
