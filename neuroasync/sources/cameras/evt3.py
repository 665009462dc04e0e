"""Decode Prophesee ``.raw`` files of EVT 3.0.

A word has 16 bits: the type in the highest four, and its content in the others.

    ====  ====================================================================
    type  content
    ====  ====================================================================
    0     y (11 bits), for the events that follow
    2     an event: polarity (bit 11) and x
    3     polarity (bit 11) and x of the first pixel of the vectors that follow
    4, 5  a vector: mask of 12 or 8 neighbouring pixels
    6     time, bits 11 to 0, µs
    8     time, bits 23 to 12; clears the lower bits when it changes
    ====  ====================================================================

Words of other types are passed over. Faery can also decode EVT 3.0, but places events before the
first time at 0, and rejects a file with a pixel outside the sensor.

Source: https://docs.prophesee.ai/stable/data/encoding_formats/evt3.html.
"""

from collections.abc import Generator
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.sources.cameras.decoder import READ_BYTES, CameraEvents, last_known

__all__ = ["Evt3Decoder"]

_Y, _EVENT, _BASE, _VECTOR_12, _VECTOR_8, _LOW, _HIGH = 0, 2, 3, 4, 5, 6, 8

_WORD_BYTES: Final = 2


class Evt3Decoder:
    """The events of an EVT 3 file.

    Args:
        file: the open file, after its text header.
        sensor: width and height of the sensor, if known.
    """

    clock_bits = 24

    def __init__(self, file: BinaryIO, sensor: tuple[int, int] | None) -> None:
        self._file = file
        self.sensor = sensor
        # The latest words of types 0, 3, 8 and 6, which hold for the words that follow, and the
        # number of pixels in the vectors that have followed the one of type 3.
        self._state = np.empty(0, np.uint16)
        self._passed = 0

    def read(self) -> Generator[CameraEvents, None, None]:
        """Yield the events. Those that lack time, y or x and an incomplete word are malformed."""
        while data := self._file.read(READ_BYTES):
            whole = len(data) // _WORD_BYTES * _WORD_BYTES
            words = np.concatenate([self._state, np.frombuffer(data[:whole], "<u2")])
            yield self._decoded(words, int(whole < len(data)))

    def _decoded(self, words: NDArray[np.uint16], malformed: int) -> CameraEvents:
        types = words >> 12
        is_event, is_vector = types == _EVENT, (types == _VECTOR_12) | (types == _VECTOR_8)
        width = np.where(is_vector, np.where(types == _VECTOR_12, 12, 8), 0)
        y_at, base_at = last_known(types == _Y), last_known(types == _BASE)
        width[: self._state.size][types[: self._state.size] == _BASE] = self._passed
        # A vector begins after the vectors that follow the same word of type 3.
        before = np.cumsum(width) - width
        first_x = (words[base_at] & 2047).astype(np.int64) + before - before[base_at]
        device_us, is_timed = _times(words, types)

        masks = np.where(is_vector, words & (1 << width) - 1, is_event).astype("<u2")
        is_complete = is_timed & (y_at >= 0) & (is_event | (base_at >= 0))
        malformed += int(np.bitwise_count(masks[~is_complete]).sum())
        held = np.flatnonzero(is_complete & (masks > 0))
        bits = np.unpackbits(masks[held].view(np.uint8), bitorder="little").reshape(-1, 16)
        at, bit = np.nonzero(bits)
        row = held[at]
        polarity_at = np.where(is_event, np.arange(words.size), base_at)[row]
        events = CameraEvents(
            device_us[row],
            np.where(is_event[row], words[row] & 2047, first_x[row] + bit),
            words[y_at[row]] & 2047,
            (words[polarity_at] >> 11 & 1).astype(np.bool_),
            malformed,
        )
        if words.size:
            state = [int(words[at[-1]]) for at in (y_at, base_at) if at[-1] >= 0]
            if base_at[-1] >= 0:
                self._passed = int(before[-1] + width[-1] - before[base_at[-1]])
            if is_timed[-1]:
                time = int(device_us[-1])
                state += [_HIGH << 12 | time >> 12, _LOW << 12 | time & 4095]
            self._state = np.array(state, np.uint16)
        return events


def _times(
    words: NDArray[np.uint16], types: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the time at each word modulo 2**24, i64[words], and whether it is known."""
    high_at = last_known(types == _HIGH)
    high = (words[high_at] & 4095).astype(np.int64)
    # Cameras repeat these words often; only a change clears the lower bits.
    previous = np.concatenate([[-1], np.where(high_at >= 0, high, -1)[:-1]])
    changed_at = last_known((types == _HIGH) & (high != previous))
    low_at = last_known(types == _LOW)
    low = np.where(low_at > changed_at, words[low_at] & 4095, 0).astype(np.int64)
    return high << 12 | low, high_at >= 0
