"""Messages of a stream: events one way, decisions the other, as JSON text or MessagePack.

Events, in a message from whoever has them::

    {"t_us": [0, 140, 900], "index": [3, 17, 3], "end": true}

``t_us`` are times in µs since the sample's time 0, ascending, also from message to message;
``index`` flattened input indices, as many. Both may be left out, but not one of them. ``end``
closes the sample (default: false). ``provisional`` asks for provisional decisions of the sample,
too (default: false).

Decisions, in a message to them::

    {"sample": 0, "label": 4, "class_name": "4", "votes": [0, 0, 0, 0, 7, 0, 0, 0, 0, 1],
     "spikes": 181, "rounds": 37, "latency_ms": 1.52, "final": true}

``label`` and ``class_name`` are null where there is none. The same maps are written in JSON or in
MessagePack; text is JSON, binary is MessagePack.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NamedTuple

import msgpack

from neuroasync import limits
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import MessageError, SpikeFileError

__all__ = ["EventMessage", "format_decision", "format_events", "parse_events"]


@dataclass(frozen=True, slots=True)
class EventMessage:
    """What a message says.

    Attributes:
        events: maybe none.
        end: whether they are the sample's last.
        provisional: whether provisional decisions are asked for.
    """

    events: SpikeTrain
    end: bool = False
    provisional: bool = False


class _Decoders(NamedTuple):
    """What reads messages, and what it raises.

    Typed decoders refuse whatever does not belong at the first byte of it: they build no nested
    lists, and allocate nothing for a length that is only declared.
    """

    from_json: Callable[[str], Any]
    from_msgpack: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]


@cache
def _decoders() -> _Decoders:
    """Made when the first message is read: msgspec is no part of a base install.

    Raises:
        ImportError: msgspec is not installed; the message says how to get it.
    """
    try:
        import msgspec
    except ImportError as error:
        raise ImportError(
            "messages are read by msgspec, which is not installed; it comes with the extras "
            "serve and websocket: pip install 'neuroasync[websocket]'"
        ) from error
    time = Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_TIME_US)]
    index = Annotated[int, msgspec.Meta(ge=0, lt=limits.MAX_INPUTS)]
    fields = [
        ("t_us", list[time] | None, None),
        ("index", list[index] | None, None),
        ("end", bool, False),
        ("provisional", bool, False),
    ]
    message = msgspec.defstruct("Events", fields, forbid_unknown_fields=True)
    return _Decoders(
        msgspec.json.Decoder(message).decode,
        msgspec.msgpack.Decoder(message).decode,
        (msgspec.MsgspecError, UnicodeError),
    )


def parse_events(data: str | bytes, max_bytes: int = limits.MAX_MESSAGE_BYTES) -> EventMessage:
    """Read a message with events; nothing in it is trusted.

    Args:
        data: JSON if text, MessagePack if binary.
        max_bytes: largest message that is read.

    Raises:
        MessageError: it is too large, damaged, or breaks the rules of the format.
        ImportError: msgspec is not installed; it comes with the extras ``serve`` and ``websocket``.
    """
    if len(data) > max_bytes:
        raise MessageError(f"message: {len(data)} bytes, the limit is {max_bytes}")
    decoders = _decoders()
    try:
        found = decoders.from_json(data) if isinstance(data, str) else decoders.from_msgpack(data)
    except decoders.errors as error:
        raise MessageError(_told(error)) from error
    if (found.t_us is None) != (found.index is None):
        there, missing = ("t_us", "index") if found.index is None else ("index", "t_us")
        raise MessageError(f"{missing}: missing, expected as many as in {there}")
    try:
        events = SpikeTrain(found.t_us or [], found.index or [])  # type: ignore[arg-type]
    except SpikeFileError as error:
        raise MessageError(str(error)) from error
    return EventMessage(events, found.end, found.provisional)


def format_events(message: EventMessage, *, binary: bool = False) -> str | bytes:
    """Write a message with events, for :func:`parse_events`: MessagePack if ``binary``, or JSON."""
    events = message.events
    fields: dict[str, object] = {"t_us": events.t_us.tolist(), "index": events.index.tolist()}
    if message.end:
        fields["end"] = True
    if message.provisional:
        fields["provisional"] = True
    return _written(fields, binary)


def format_decision(
    decision: Decision, sample: int, latency_ms: float, *, binary: bool = False
) -> str | bytes:
    """Write a message with a decision: MessagePack if ``binary``, or JSON.

    Args:
        decision: final, or provisional.
        sample: number of the sample in its stream, from 0.
        latency_ms: how long it took, ms; by whose clock is the sender's to say.
        binary: write MessagePack.
    """
    return _written(
        {
            "sample": sample,
            "label": decision.label,
            "class_name": decision.class_name,
            "votes": decision.votes.tolist(),
            "spikes": decision.total_spikes,
            "rounds": decision.rounds,
            "latency_ms": round(latency_ms, 3),
            "final": decision.is_final,
        },
        binary,
    )


def _written(fields: dict[str, object], binary: bool) -> str | bytes:
    if binary:
        return bytes(msgpack.packb(fields))
    return json.dumps(fields, separators=(",", ":"))


def _told(error: Exception) -> str:
    """An error of the decoder in our words: the field first, then what was wrong with it."""
    what, _, field = str(error).partition(" - at `$")
    field = field.strip("`").lstrip(".") or "message"
    if what.startswith("Input data was truncated"):
        what = "empty, or cut short"
    elif "unknown field" in what:
        what = f"o{what[1:]}, expected t_us, index, end or provisional"
    elif what[1:2].islower():
        what = what[:1].lower() + what[1:]
    return f"{field}: {what}"
