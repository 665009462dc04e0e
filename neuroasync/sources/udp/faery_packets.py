"""Packets of address events as Faery sends them over UDP, in two formats.

``t64_x16_y16_on8`` takes 13 bytes for an event: its time in µs (8 bytes), x and y (2 bytes each)
and whether brightness increased (1 byte, 0 or 1). ``t32_x16_y15_on1`` takes 8 bytes: the low 32
bits of the time, x, and a word of 16 bits with y in the upper 15. All numbers are little-endian.

Source: ``udp_encoder.py`` of Faery 0.7, https://github.com/aestream/faery.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.errors import MessageError
from neuroasync.sources.udp.spif_packets import Packet

__all__ = ["parse_t32_packet", "parse_t64_packet"]

_T64: Final = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "u1")])

_T32: Final = np.dtype([("t", "<u4"), ("x", "<u2"), ("y_on", "<u2")])


def parse_t64_packet(data: bytes) -> Packet:
    """Parse an untrusted packet of the format ``t64_x16_y16_on8``.

    The low 32 bits of times are enough to place them.

    Raises:
        MessageError: the packet is empty or truncated, or a polarity is neither 0 nor 1.
    """
    events = _events(data, _T64)
    if events["on"].max() > 1:
        at = int(np.argmax(events["on"] > 1))
        raise MessageError(f"packet: event {at} must have polarity 0 or 1, got {events['on'][at]}")
    stamps = (events["t"] & np.uint64(2**32 - 1)).astype(np.uint32)
    return Packet(events["x"], events["y"], events["on"], stamps)


def parse_t32_packet(data: bytes) -> Packet:
    """Parse an untrusted packet of the format ``t32_x16_y15_on1``.

    Raises:
        MessageError: the packet is empty or truncated.
    """
    events = _events(data, _T32)
    return Packet(events["x"], events["y_on"] >> 1, events["y_on"] & 1, events["t"])


def _events(data: bytes, form: np.dtype[Any]) -> NDArray[Any]:
    if not data or len(data) % form.itemsize:
        raise MessageError(
            f"packet must have {form.itemsize} bytes per event, got {len(data)} bytes"
        )
    return np.frombuffer(data, form)
