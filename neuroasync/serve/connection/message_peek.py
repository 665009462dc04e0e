"""What has to be known of a message before there is room for it: little, and for little.

Under too much load most of what comes is dropped, so what is dropped is not taken apart. Who
decides on a sample reads its messages in full, by :func:`neuroasync.messages.parse_events`.
"""

from typing import Final, NamedTuple

import msgspec

from neuroasync.errors import MessageError
from neuroasync.messages import parse_events

__all__ = ["MessagePeek", "peek_message"]


class MessagePeek(NamedTuple):
    """What a message seems to say.

    Attributes:
        events: how many times it has.
        end: whether it is its sample's last.
        provisional: whether provisional decisions are asked for.
    """

    events: int
    end: bool
    provisional: bool


class _Seen(msgspec.Struct):
    """All that is looked at; other fields are passed over."""

    t_us: msgspec.Raw = msgspec.Raw(b"")
    end: bool = False
    provisional: bool = False


_JSON: Final = msgspec.json.Decoder(_Seen)
_MSGPACK: Final = msgspec.msgpack.Decoder(_Seen)


def peek_message(data: str | bytes, max_bytes: int) -> MessagePeek:
    """Look at a message.

    Raises:
        MessageError: it is too large, or so damaged that its end cannot be known.
    """
    try:
        if len(data) > max_bytes:
            raise ValueError
        if isinstance(data, str):
            seen = _JSON.decode(data)
            events = _json_items(bytes(seen.t_us))
        else:
            seen = _MSGPACK.decode(data)
            events = _msgpack_items(bytes(seen.t_us))
    except (msgspec.MsgspecError, ValueError) as error:
        parse_events(data, max_bytes)  # says it better
        raise MessageError(f"message: {error}") from error
    return MessagePeek(events, seen.end, seen.provisional)


def _json_items(array: bytes) -> int:
    is_array = array.startswith(b"[") and array.strip(b"[] \t\r\n")
    return array.count(b",") + 1 if is_array else 0


def _msgpack_items(array: bytes) -> int:
    kind = array[0] if array else 0
    if kind & 0xF0 == 0x90:
        return kind & 0x0F
    if kind in (0xDC, 0xDD):
        return int.from_bytes(array[1 : 3 if kind == 0xDC else 5], "big")
    return 0
