"""What is answered where there is no decision; and what is understood of a malformed message."""

from typing import Final

import msgspec

from neuroasync.serve.sample import Notice

__all__ = ["ends_sample", "format_error", "format_notice"]


class _Notice(msgspec.Struct):
    sample: int | None
    error: str
    dropped: bool


class _Error(msgspec.Struct):
    error: str


class _End(msgspec.Struct):
    """All that is read of a message that breaks the rules; other fields are passed over."""

    end: bool = False


_END_OF_JSON: Final = msgspec.json.Decoder(_End)
_END_OF_MSGPACK: Final = msgspec.msgpack.Decoder(_End)


def format_notice(notice: Notice) -> str | bytes:
    """``{"sample": n, "error": "...", "dropped": true}``, in JSON or MessagePack."""
    return _written(_Notice(notice.sample, notice.error, notice.is_dropped), notice.is_binary)


def format_error(error: str, *, binary: bool = False) -> str | bytes:
    """``{"error": "..."}``, in JSON or MessagePack."""
    return _written(_Error(error), binary)


def ends_sample(data: str | bytes) -> bool:
    """Whether a malformed message is the last of its sample.

    It is if it says so; and if it cannot be read at all, so that the next message begins anew.
    """
    try:
        if isinstance(data, str):
            return _END_OF_JSON.decode(data).end
        return _END_OF_MSGPACK.decode(data).end
    except (msgspec.MsgspecError, UnicodeError):
        return True


def _written(message: msgspec.Struct, binary: bool) -> str | bytes:
    if binary:
        return msgspec.msgpack.encode(message)
    return msgspec.json.encode(message).decode()
