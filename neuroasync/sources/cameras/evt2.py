"""Decode Prophesee ``.raw`` files of EVT 2.0 and 2.1.

A word of 32 bits (EVT 2.0) has, from the highest bit on:

    ========  ====  ========================================
    bits      type  content
    ========  ====  ========================================
    31-28     0, 1  change of brightness: decrease, increase
    27-22           time, lowest 6 bits, µs
    21-11           x
    10-0            y
    31-28     8     time, bits 33 to 6, in bits 27 to 0
    ========  ====  ========================================

A word of EVT 2.1 has 32 bits more, a mask: bit k stands for an event at x + k. Words of other
types are passed over. Faery can also decode EVT 2.0, but takes a time that goes back for a wrap of
4.8 hours.

Source: https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html and ``evt21.html``.
"""

from collections.abc import Generator
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.sources.cameras.decoder import READ_BYTES, CameraEvents, last_known

__all__ = ["Evt2Decoder"]

_TIME_HIGH: Final = 8


class Evt2Decoder:
    """The events of an EVT 2 file.

    Args:
        file: the open file, after its text header.
        sensor: width and height of the sensor, if known.
        mask_at: None for EVT 2.0. For EVT 2.1, whether the mask is the "first" or the "last" half
            of a word of 64 bits; sensors differ.
    """

    clock_bits = 34

    def __init__(
        self, file: BinaryIO, sensor: tuple[int, int] | None, mask_at: str | None = None
    ) -> None:
        self._file = file
        self.sensor = sensor
        self._mask_at = mask_at
        self._time_high: int | None = None

    def read(self) -> Generator[CameraEvents, None, None]:
        """Yield the events. Those before the first time and an incomplete word are malformed."""
        word_bytes = 4 if self._mask_at is None else 8
        while data := self._file.read(READ_BYTES):
            whole = len(data) // word_bytes * word_bytes
            words = np.frombuffer(data[:whole], "<u4")
            masks = np.ones(words.size, np.uint32)
            if self._mask_at is not None:
                first, second = words[::2], words[1::2]
                words, masks = (second, first) if self._mask_at == "first" else (first, second)
            yield self._decoded(words, masks, int(whole < len(data)))

    def _decoded(
        self, words: NDArray[np.uint32], masks: NDArray[np.uint32], malformed: int
    ) -> CameraEvents:
        types = words >> 28
        is_high = types == _TIME_HIGH
        known_at = last_known(is_high)
        high = (words & 0x0FFF_FFFF).astype(np.int64)[known_at]
        is_timed = known_at >= 0
        if self._time_high is not None:
            high[~is_timed] = self._time_high
            is_timed[:] = True
        if is_high.any():
            self._time_high = int(high[-1])
        changes = np.flatnonzero((types <= 1) & is_timed)
        untimed = int(np.bitwise_count(masks[(types <= 1) & ~is_timed]).sum())
        if self._mask_at is None:
            row, bit = changes, np.zeros(changes.size, np.int64)
        else:
            bytes_of_masks = masks[changes].astype("<u4").view(np.uint8)
            is_set = np.unpackbits(bytes_of_masks, bitorder="little").reshape(-1, 32)
            at, bit = np.nonzero(is_set)
            row = changes[at]
        found = words[row]
        return CameraEvents(
            high[row] << 6 | (found >> 22 & 63).astype(np.int64),
            (found >> 11 & 2047).astype(np.int64) + bit,
            found & 2047,
            types[row] == 1,
            malformed + untimed,
        )
