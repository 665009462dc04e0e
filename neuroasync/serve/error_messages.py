"""Messages that the server sends in place of a decision."""

from typing import NamedTuple

import msgspec

__all__ = ["RefusalNotice", "format_error", "format_notice"]


class RefusalNotice(NamedTuple):
    """A notice that a sample gets no decision.

    Attributes:
        sample: Number of the sample. None if the notice is about a malformed message whose sample
            was already decided.
        error: Explanation for the client.
        is_dropped: Whether the sample was dropped because a queue was full, and not refused.
        is_binary: Whether to send the notice as MessagePack.
    """

    sample: int | None
    error: str
    is_dropped: bool
    is_binary: bool


class _NoticeMessage(msgspec.Struct):
    sample: int | None
    error: str
    dropped: bool


class _ErrorMessage(msgspec.Struct):
    error: str


def format_notice(notice: RefusalNotice) -> str | bytes:
    """Return ``{"sample": n, "error": "...", "dropped": true}`` in JSON or MessagePack."""
    message = _NoticeMessage(notice.sample, notice.error, notice.is_dropped)
    return _encode(message, notice.is_binary)


def format_error(error: str, *, binary: bool = False) -> str | bytes:
    """Return ``{"error": "..."}`` in JSON or MessagePack."""
    return _encode(_ErrorMessage(error), binary)


def _encode(message: msgspec.Struct, binary: bool) -> str | bytes:
    if binary:
        return msgspec.msgpack.encode(message)
    return msgspec.json.encode(message).decode()
