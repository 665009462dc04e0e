"""Decode Prophesee ``.dat`` files.

A text header is followed by one byte each for the type and the size of events. An event takes 8
bytes, two little-endian words: the time in µs, which wraps around, and x, y and polarity from the
lowest bit on, with widths that depend on the version.

Faery can also decode these files, but rejects events of type 0 and flattens the times after a
damaged timestamp, which cannot be undone afterwards.

Source: https://docs.prophesee.ai/stable/data/file_formats/dat.html; type 0 and version 1 as
https://github.com/prophesee-ai/prophesee-automotive-dataset-toolbox reads them.
"""

from collections.abc import Generator
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.model.checks import printable
from neuroasync.errors import SourceError
from neuroasync.sources.cameras.decoder import READ_BYTES, CameraEvents
from neuroasync.sources.cameras.prophesee_header import PropheseeHeader

__all__ = ["DatDecoder"]

_CHANGE_TYPES: Final = (0x00, 0x0C)
"""Types of brightness changes: "2D" events of older files, and "CD" events."""

_EVENT_BYTES: Final = 8

_WIDTHS: Final = {"1": (9, 8), "2": (14, 14)}
"""Number of bits of x and y in each version."""


class DatDecoder:
    """The events of a ``.dat`` file.

    Args:
        file: the open file, after its text header.
        header: the text header.

    Raises:
        SourceError: the file holds no brightness changes, or its version is unknown.
    """

    clock_bits = 32

    def __init__(self, file: BinaryIO, header: PropheseeHeader) -> None:
        self._file = file
        self.sensor = header.sensor
        version = header.entries.get("version", "2").removesuffix(".0")
        if version not in _WIDTHS:
            raise SourceError(
                f"version {printable(version, 40)} of .dat files is not supported; must be 1, 2"
            )
        self._x_bits, self._y_bits = _WIDTHS[version]
        kind = file.read(2)
        if len(kind) < 2:
            raise SourceError("the file ends before the type of its events")
        if kind[0] not in _CHANGE_TYPES or kind[1] != _EVENT_BYTES:
            raise SourceError(
                f"events must have type 0 or 12 and 8 bytes, got type {kind[0]} and {kind[1]} bytes"
            )

    def read(self) -> Generator[CameraEvents, None, None]:
        """Yield the events; an incomplete one at the end is malformed."""
        while data := self._file.read(READ_BYTES):
            whole = len(data) // _EVENT_BYTES * _EVENT_BYTES
            words = np.frombuffer(data[:whole], "<u4").reshape(-1, 2)
            is_cut = whole < len(data)
            yield self._decoded(words[:, 0], words[:, 1], int(is_cut))

    def _decoded(
        self, stamps: NDArray[np.uint32], words: NDArray[np.uint32], malformed: int
    ) -> CameraEvents:
        x = words & (1 << self._x_bits) - 1
        y = words >> self._x_bits & (1 << self._y_bits) - 1
        is_on = (words >> self._x_bits + self._y_bits & 1).astype(np.bool_)
        return CameraEvents(stamps.astype(np.int64), x, y, is_on, malformed)
