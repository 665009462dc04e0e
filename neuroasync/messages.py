"""Stream messages: events to a network and decisions from it, as JSON text or MessagePack.

A message is one map. In JSON it is text, in MessagePack it is binary; both use the same keys.

A message with events::

    {"t_us": [0, 140, 900], "index": [3, 17, 3], "end": true}

``t_us``         list of int: times in µs since the sample's time 0, ascending within the message
                 and from message to message
``index``        list of int: flattened input indices, as many as times. ``t_us`` and ``index``
                 must both be present, or both be left out
``value``        list of float or int, optional: what each event delivers, as a multiple of the
                 weight, as many as times; rounded to float32. Without it, all events are spikes
``end``          bool, default false: the sample is complete
``provisional``  bool, default false: also report provisional decisions of this sample

A message with a decision::

    {"sample": 0, "label": 4, "class_name": "4", "votes": [0, 0, 0, 0, 7, 0, 0, 0, 0, 1],
     "spikes": 181, "rounds": 37, "latency_ms": 1.52, "final": true}

``sample``       int: number of the sample in its stream, from 0
``label``        int or null: the class with the most votes; null if there were no votes
``class_name``   text or null: name of the label, if the bundle has class names
``votes``        list of int: votes for each class
``spikes``       int: spikes of all populations in this sample
``rounds``       int: rounds until the decision
``latency_ms``   float: time that the decision took, ms
``final``        bool: false for a provisional decision
``potentials``   list of float: potentials at the end of the sample; only if the output consists of
                 leaky integrators, whose label is the class with the highest one
"""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated, Any, Final, NamedTuple

import msgpack
import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.decision import Decision, outcome_of, reported_fields
from neuroasync.core.engine.decision_fields import Outcome
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.immutable import array_of_bytes, immutable_copy
from neuroasync.core.kernels.messages.binary_decisions import max_size, write_decision
from neuroasync.core.kernels.messages.binary_events import read_events
from neuroasync.core.model.checks import as_number, check_int, must_be, printable, shown
from neuroasync.errors import EventsError, MessageError

__all__ = [
    "EventMessage",
    "format_decision",
    "format_events",
    "parse_events",
    "parse_sample",
]


_INT64: Final = np.dtype(np.int64)  # NumPy takes longer to find it by the class
_FEW: Final = 2048
"""Maximum number of events that are converted by way of ``bytes``, which is faster for few."""


@dataclass(frozen=True, slots=True)
class EventMessage:
    """A message with events.

    Attributes:
        events: the events; there may be none.
        end: whether they are the last ones of the sample.
        provisional: whether provisional decisions are requested.
    """

    events: SpikeTrain
    end: bool = False
    provisional: bool = False


class _Decoders(NamedTuple):
    """The decoders of event messages, and the errors that they raise.

    Typed decoders reject a wrong type at its first byte. They build no nested lists, and allocate
    nothing for a length that is only declared.
    """

    from_json: Callable[[str], Any]
    from_msgpack: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]


@cache
def _decoders() -> _Decoders:
    """Create the decoders when the first message is read: msgspec is an optional dependency.

    Raises:
        ImportError: msgspec is not installed. The message says how to install it.
    """
    try:
        import msgspec
    except ImportError as error:
        raise ImportError(
            "reading messages requires msgspec, which is not installed; it comes with the extras "
            "serve and websocket: pip install 'neuroasync[websocket]'"
        ) from error
    time = Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_TIME_US)]
    index = Annotated[int, msgspec.Meta(ge=0, lt=limits.MAX_INPUTS)]
    value = Annotated[float, msgspec.Meta(ge=-limits.MAX_VALUE, le=limits.MAX_VALUE)]
    fields = [
        ("t_us", list[time] | None, None),
        ("index", list[index] | None, None),
        ("value", list[value] | None, None),
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
    """Parse a message with events. Its content is not trusted.

    Args:
        data: JSON if it is text, MessagePack if it is bytes.
        max_bytes: maximum length of the message (characters of text, or bytes).

    Raises:
        MessageError: the message is too large, damaged, or breaks the rules of the format.
        TypeError: ``data`` is neither text nor bytes.
        ImportError: msgspec is not installed; it comes with the extras ``serve`` and ``websocket``.
    """
    if type(data) is bytes and len(data) <= max_bytes and (usual := _usual_events(data)):
        return EventMessage(*usual)
    return _parse_any(data, max_bytes)


def _parse_any(data: str | bytes, max_bytes: int) -> EventMessage:
    """Do what :func:`parse_events` does, for messages of all forms."""
    if not isinstance(data, str | bytes | bytearray | memoryview):
        raise TypeError(must_be("data", "JSON text or MessagePack bytes", shown(data)))
    if len(data) > max_bytes:
        unit = "characters" if isinstance(data, str) else "bytes"
        raise MessageError(f"the message has {len(data)} {unit}, the limit is {max_bytes}")
    decoders = _decoders()
    try:
        fields = decoders.from_json(data) if isinstance(data, str) else decoders.from_msgpack(data)
    except RecursionError:
        raise MessageError("the message is nested too deeply") from None
    except decoders.errors as error:
        if not isinstance(data, str) and bytes(data[:1]) == b"{":  # the number 123 in MessagePack
            raise MessageError(
                "a message of bytes must be MessagePack, but this one looks like JSON; JSON must "
                "be text"
            ) from error
        raise MessageError(_reworded(error)) from error
    if (fields.t_us is None) != (fields.index is None):
        given, missing = ("t_us", "index") if fields.index is None else ("index", "t_us")
        raise MessageError(f"`{missing}` is missing, but `{given}` is present; send both or none")
    if fields.value is not None and fields.t_us is None:
        raise MessageError("`t_us` and `index` are missing, but `value` is present")
    try:
        events = _train(fields.t_us or [], fields.index or [], fields.value)
    except EventsError as error:
        raise MessageError(str(error)) from error
    return EventMessage(events, fields.end, fields.provisional)


def parse_sample(data: str | bytes, max_bytes: int = limits.MAX_MESSAGE_BYTES) -> SpikeTrain | None:
    """Return the events of a message that is a whole sample, without provisional decisions.

    It is faster than :func:`parse_events`.

    Args:
        data: the message.
        max_bytes: as for :func:`parse_events`.

    Returns:
        The events; None for a message that is only a part of a sample, or that requests provisional
        decisions.

    Raises:
        MessageError, TypeError, ImportError: as for :func:`parse_events`.
    """
    if type(data) is bytes and len(data) <= max_bytes and (usual := _usual_events(data)):
        events, is_end = usual
        return events if is_end else None
    message = _parse_any(data, max_bytes)
    return message.events if message.end and not message.provisional else None


def _usual_events(data: bytes) -> tuple[SpikeTrain, bool] | None:
    """Return the events of a message and whether they are the last ones.

    None if the message is not valid, or does not have the form that a kernel reads.
    """
    numbers = np.empty(len(data), _INT64)  # each number takes at least a byte
    n, max_index, is_end = read_events(np.frombuffer(data, np.uint8), numbers)
    if n < 0:
        return None
    numbers = numbers[: 2 * n]
    if n <= _FEW:  # `immutable_copy` does the same, but takes twice as long
        rows = array_of_bytes(numbers.tobytes(), _INT64, (2, n))
    else:
        rows = immutable_copy(numbers.reshape(2, n), np.int64)
    return SpikeTrain.of_checked_rows(rows, max_index), is_end


def _train(times: list[int], indices: list[int], values: list[float] | None) -> SpikeTrain:
    """Return events whose ranges the decoder has checked.

    Raises:
        EventsError: the lists have different lengths, or the times are out of order.
    """
    n = len(times)
    if not 0 < n == len(indices) <= _FEW or values is not None or sorted(times) != times:
        return SpikeTrain(np.array(times, np.int64), np.array(indices, np.int64), values)
    rows = array_of_bytes(struct.pack(f"{2 * n}q", *times, *indices), _INT64, (2, n))
    return SpikeTrain.of_checked_rows(rows, int(np.maximum.reduce(rows[1])))


def format_events(message: EventMessage, *, binary: bool = False) -> str | bytes:
    """Return a message with events, for :func:`parse_events`.

    Args:
        message: the events and flags to send.
        binary: whether to write MessagePack instead of JSON.
    """
    events = message.events
    fields: dict[str, object] = {"t_us": events.t_us.tolist(), "index": events.index.tolist()}
    if events.value is not None:
        fields["value"] = events.value.tolist()
    if message.end:
        fields["end"] = True
    if message.provisional:
        fields["provisional"] = True
    return _pack(fields, binary)


def format_decision(
    decision: Decision, sample: int, latency_ms: float, *, binary: bool = False
) -> str | bytes:
    """Return a message with a decision.

    Args:
        decision: a final or provisional decision.
        sample: number of the sample in its stream, from 0.
        latency_ms: time that the decision took, ms. The sender chooses what it measures.
        binary: whether to write MessagePack instead of JSON.

    Raises:
        ValueError: ``sample`` is no integer of at least 0, or ``latency_ms`` is no finite number.
    """
    sample = check_int("sample", sample, 0, 2**63 - 1, ValueError)
    latency_ms = _checked_latency(latency_ms)
    if binary:
        outcome = outcome_of(decision)
        if outcome is not None and not outcome.layout.has_readout:
            return _format_voted(outcome, sample, latency_ms)
    reported = reported_fields(decision)
    fields: dict[str, object] = {
        "sample": sample,
        "label": reported.label,
        "class_name": reported.class_name,
        "votes": reported.votes,
        "spikes": reported.spikes,
        "rounds": reported.rounds,
        "latency_ms": latency_ms,
        "final": reported.is_final,
    }
    if reported.potentials is not None:  # JSON has no infinity
        fields["potentials"] = [x if math.isfinite(x) else None for x in reported.potentials]
    return _pack(fields, binary)


def _checked_latency(latency_ms: float) -> float:
    """Return a latency, rounded to µs."""
    number = as_number(latency_ms)
    if number is None or not math.isfinite(number):
        raise ValueError(must_be("latency_ms", "a finite number", shown(latency_ms)))
    return round(float(number), 3)


def _format_voted(outcome: Outcome, sample: int, latency_ms: float) -> bytes:
    """Return a binary message with the final decision of an output that votes."""
    layout, head, _, class_names = outcome
    classes = layout.classes
    names, name_ends, room = _packed_names(class_names, classes)
    message = np.empty(room, np.uint8)
    size = write_decision(
        head, layout.votes_at, classes, names, name_ends, sample, latency_ms, message
    )
    return message[:size].tobytes()


@lru_cache(maxsize=64)
def _packed_names(
    class_names: tuple[str, ...] | None, classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], int]:
    """Return the arguments of :func:`write_decision` for the names, and the room for a message."""
    packed = [msgpack.packb(name) for name in class_names or ()]
    names = np.frombuffer(bytearray(b"".join(packed)), np.uint8)
    name_ends = np.cumsum([len(name) for name in packed], dtype=np.int64)
    return names, name_ends, max_size(classes, names.size)


def _pack(fields: dict[str, object], binary: bool) -> str | bytes:
    if binary:
        packed: bytes = msgpack.packb(fields)
        return packed
    return json.dumps(fields, separators=(",", ":"))


def _reworded(error: Exception) -> str:
    """Return an error of msgspec in the form of this package's errors, with the field first.

    msgspec writes "Expected `int`, got `str` - at `$.t_us[0]`".
    """
    problem, _, path = str(error).partition(" - at `$")
    path = path.strip("`").lstrip(".")
    subject = f"`{path}`" if path else "the message"
    if problem.startswith("Expected "):
        return f"{subject} must be {problem.removeprefix('Expected ')}"
    if problem.startswith("Input data was truncated"):
        return f"{subject} is empty or truncated"
    if "unknown field" in problem:
        key = printable(problem.partition("unknown field ")[2])
        return f"{key} is an unknown key; known keys are t_us, index, value, end and provisional"
    # Other problems, such as "JSON is malformed", are whole sentences already.
    return f"{subject} is invalid: {problem}"
