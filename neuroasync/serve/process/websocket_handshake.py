"""Check the request that begins a websocket, before a protocol for it is created."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

__all__ = ["handshake_error"]

_WEBSOCKET_VERSION: Final = b"13"
_KEY_BYTES: Final = 16


def handshake_error(
    method: bytes, http_version: str, headers: Sequence[tuple[bytes, bytes]]
) -> tuple[int, str] | None:
    """Return a status and an error, or None if the request is a websocket handshake."""
    values = dict(headers)
    if method != b"GET" or http_version != "1.1":
        return 400, "a websocket begins with a GET request of HTTP/1.1"
    if b"transfer-encoding" in values or int(values.get(b"content-length", b"0")):
        return 400, "a websocket begins with a request without a body"
    if values.get(b"sec-websocket-version") != _WEBSOCKET_VERSION:
        return 426, "the server supports version 13 of the websocket protocol"
    try:
        key = base64.b64decode(values.get(b"sec-websocket-key", b""), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        return 400, "the header Sec-WebSocket-Key must be 16 bytes in Base64"
    return None
