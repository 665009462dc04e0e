"""Read only what admission control needs from a message, without parsing the rest.

An overloaded server drops most messages, so a dropped message must cost little. The messages of a
sample that runs are parsed in full by :func:`neuroasync.messages.parse_events`.
"""

from typing import Final, NamedTuple

import msgspec

from neuroasync.errors import MessageError
from neuroasync.messages import parse_events

__all__ = ["MessagePeek", "peek_message"]


class MessagePeek(NamedTuple):
    """What a message appears to contain. Its events are not validated.

    Attributes:
        events: Number of timestamps.
        end: Whether the message is the last one of its sample.
        provisional: Whether the client asks for provisional decisions.
    """

    events: int
    end: bool
    provisional: bool


class _PeekedFields(msgspec.Struct):
    """The fields that are decoded. The decoder skips all others."""

    t_us: msgspec.Raw = msgspec.Raw(b"")
    end: bool = False
    provisional: bool = False


_JSON: Final = msgspec.json.Decoder(_PeekedFields)
_MSGPACK: Final = msgspec.msgpack.Decoder(_PeekedFields)


def peek_message(data: str | bytes, max_bytes: int) -> MessagePeek:
    """Return the event count and the flags of a message.

    Args:
        data: JSON if text, MessagePack if binary.
        max_bytes: Maximum size of a message.

    Raises:
        MessageError: The message is too large, or so malformed that its flags cannot be read.
    """
    try:
        if len(data) > max_bytes:
            raise ValueError
        if isinstance(data, str):
            fields = _JSON.decode(data)
            events = _count_json_items(bytes(fields.t_us))
        else:
            fields = _MSGPACK.decode(data)
            events = _count_msgpack_items(bytes(fields.t_us))
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        # The full parser usually refuses the message, too, and with a more precise error.
        parse_events(data, max_bytes)
        raise MessageError(f"the message is invalid: {error}") from error
    return MessagePeek(events, fields.end, fields.provisional)


def _count_json_items(array: bytes) -> int:
    """Return the length of a JSON list without nested lists, or 0 if it is no list."""
    is_non_empty = array.startswith(b"[") and array.strip(b"[] \t\r\n")
    return array.count(b",") + 1 if is_non_empty else 0


def _count_msgpack_items(array: bytes) -> int:
    """Return the length in the header of a MessagePack array, or 0 if it is no array."""
    kind = array[0] if array else 0
    if kind & 0xF0 == 0x90:  # fixarray
        return kind & 0x0F
    if kind in (0xDC, 0xDD):  # array 16, array 32
        return int.from_bytes(array[1 : 3 if kind == 0xDC else 5], "big")
    return 0
