"""What is answered where there is no decision."""

import msgspec

from neuroasync.serve.connection.incoming_sample import RefusalNotice

__all__ = ["format_error", "format_notice"]


class _Notice(msgspec.Struct):
    sample: int | None
    error: str
    dropped: bool


class _Error(msgspec.Struct):
    error: str


def format_notice(notice: RefusalNotice) -> str | bytes:
    """``{"sample": n, "error": "...", "dropped": true}``, in JSON or MessagePack."""
    return _written(_Notice(notice.sample, notice.error, notice.is_dropped), notice.is_binary)


def format_error(error: str, *, binary: bool = False) -> str | bytes:
    """``{"error": "..."}``, in JSON or MessagePack."""
    return _written(_Error(error), binary)


def _written(message: msgspec.Struct, binary: bool) -> str | bytes:
    if binary:
        return msgspec.msgpack.encode(message)
    return msgspec.json.encode(message).decode()
