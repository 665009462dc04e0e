"""The frames of the websocket protocol (RFC 6455), as far as the fast path needs them."""

import struct
from typing import Final

from websockets.frames import Opcode

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was built without its C extension
    from websockets.utils import apply_mask

__all__ = [
    "BINARY", "FIN", "MESSAGES", "PING", "PONG", "TEXT", "find_payload", "make_frame", "unmask",
]  # fmt: skip

FIN: Final = 0x80
TEXT: Final = FIN | Opcode.TEXT
BINARY: Final = FIN | Opcode.BINARY
MESSAGES: Final = frozenset({TEXT, BINARY})
PING: Final = FIN | Opcode.PING
PONG: Final = FIN | Opcode.PONG
_MASKED: Final = 0x80
_LENGTH_IN_2_BYTES: Final = _MASKED | 126
"""The second byte of a masked frame. A lower one holds the length, the next higher one stands for a
length in 8 bytes."""
_HEADER: Final = struct.Struct("!BBH")
"""The first two bytes of a frame, and its length if that is in two bytes. The mask has 4 bytes."""
_CONTROL: Final = frozenset(FIN | kind for kind in (Opcode.CLOSE, Opcode.PING, Opcode.PONG))
_KINDS: Final = _CONTROL | {
    fin | kind for fin in (0, FIN) for kind in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)
}
"""Valid first bytes of frames."""


def find_payload(data: bytes, at: int, max_bytes: int) -> tuple[int, int] | None:
    """Find the payload of the frame from a client at position ``at``.

    Returns:
        The positions where the payload begins and where it ends. If the header is incomplete,
        the end is where at least the next part of the header ends. None if the frame breaks the
        protocol or is larger than ``max_bytes``.
    """
    try:
        kind, size, length = _HEADER.unpack_from(data, at)
    except struct.error:
        if len(data) - at < 2:
            return at, at + 2
        kind, size, length = data[at], data[at + 1], 0  # the frame is incomplete in any case
    if kind not in _KINDS or size < _MASKED:
        return None
    if size >= _LENGTH_IN_2_BYTES and kind in _CONTROL:
        return None
    if size == _LENGTH_IN_2_BYTES:
        payload = at + 8
    elif size < _LENGTH_IN_2_BYTES:
        payload, length = at + 6, size - _MASKED
    else:
        payload = at + 14
        if len(data) < at + 10:
            return payload, payload
        length = int.from_bytes(data[at + 2 : at + 10], "big")
    return None if length > max_bytes else (payload, payload + length)


def unmask(data: bytes, payload: int, end: int) -> bytes:
    """Return the content of the payload at the positions that :func:`find_payload` returned."""
    return apply_mask(data[payload:end], data[payload - 4 : payload])


def make_frame(kind: int, payload: bytes) -> bytes:
    """Return a frame from the server, which is not masked."""
    n = len(payload)
    if n < 126:
        return bytes((kind, n)) + payload
    if n < 2**16:
        return bytes((kind, 126)) + n.to_bytes(2, "big") + payload
    return bytes((kind, 127)) + n.to_bytes(8, "big") + payload
