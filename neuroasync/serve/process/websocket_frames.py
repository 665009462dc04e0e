"""The frames of the websocket protocol (RFC 6455), as far as the fast path needs them."""

from typing import Final

from websockets.frames import Opcode

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was built without its C extension
    from websockets.utils import apply_mask

__all__ = ["BINARY", "FIN", "PING", "PONG", "TEXT", "find_payload", "make_frame", "unmask"]

FIN: Final = 0x80
TEXT: Final = FIN | Opcode.TEXT
BINARY: Final = FIN | Opcode.BINARY
PING: Final = FIN | Opcode.PING
PONG: Final = FIN | Opcode.PONG
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
    available = len(data) - at
    if available < 2:
        return at, at + 2
    # The header of a short masked frame has two bytes and a mask of four.
    length, payload = data[at + 1] & 0x7F, at + 6
    kind, is_masked = data[at], data[at + 1] & 0x80
    if not is_masked or kind not in _KINDS or (length > 125 and kind in _CONTROL):
        return None
    if length >= 126:
        size = 2 if length == 126 else 8
        payload += size
        if available < 2 + size:
            return payload, payload
        length = int.from_bytes(data[at + 2 : at + 2 + size], "big")
    if length > max_bytes:
        return None
    return payload, payload + length


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
