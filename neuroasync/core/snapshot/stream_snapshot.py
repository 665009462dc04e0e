"""The state of a stream between two decisions, as a part of a snapshot.

It is a map with these keys, in this order::

    window      text of the window, such as "time(20000)"
    carries     bool, whether windows carry state
    counters    {name: int}, with the names below
    waiting     {"t_us": array, "index": array}, events that are not in a sample yet
    ahead       [{"t_us": array, "index": array}, ..], chunks of the stream that wait for the
                clock, as they arrived

``counters`` has these keys, in this order. All times are times of the stream in µs::

    is_told           1 if the current sample has been decided, else 0
    zero_us           time 0 of the session's sample; -1: the stream has not started
    done_us           time before which a clock has run all passes; -1: there is no clock, or it
                      has not started
    shift_us          how far the clock was shifted because of late events
    start_us          time 0 of the segmenter's current sample; -1: there is none
    last_us           time of the last event of the stream; -1: there was none
    count             number of events of the current sample so far
    latest_us         time of the latest of these events
    reached_us        time that the current sample has advanced to
"""

from dataclasses import dataclass
from typing import Any, Final

from neuroasync import limits
from neuroasync.core.events.segmenter import SegmenterState
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.window import Window, parse_window
from neuroasync.core.formats.field_checks import array_map, as_array, as_list, as_map, as_text
from neuroasync.core.model.checks import at_path, must_be, shown
from neuroasync.core.model.model import Model
from neuroasync.core.snapshot.validation import read_integer
from neuroasync.errors import SnapshotError

__all__ = [
    "MAX_LOOKAHEAD_CHUNKS",
    "StreamState",
    "dump_stream",
    "dump_train",
    "read_stream",
    "read_train",
]

MAX_LOOKAHEAD_CHUNKS: Final = 64
"""Chunks of a stream that may wait for the clock. When there are as many, the source waits."""

_STREAM_COUNTERS: Final = {
    "is_told": "decision_emitted", "zero_us": "zero_us", "done_us": "done_us",
    "shift_us": "shift_us",
}  # fmt: skip
"""Keys of the file, and the fields of the state that they hold."""
_SEGMENTER_COUNTERS: Final = ("start_us", "last_us", "count", "latest_us", "reached_us")


@dataclass(frozen=True, slots=True)
class StreamState:
    """The state of a stream. All times are times of the stream.

    Attributes:
        window: text of the window.
        carry_state: whether windows carry state.
        decision_emitted: whether the current sample has been decided.
        zero_us: time 0 of the session's sample, µs; -1 if the stream has not started.
        segmenter: state of the segmenter.
        done_us: time before which a clock has run all passes, µs; -1 if there is no clock, or it
            has not started.
        shift_us: how far the clock was shifted because of late events, µs.
        ahead: chunks that wait for the clock, as they arrived; they have not been checked.
    """

    window: str
    carry_state: bool
    decision_emitted: bool
    zero_us: int
    segmenter: SegmenterState
    done_us: int
    shift_us: int
    ahead: tuple[SpikeTrain, ...]

    def check(self, window: Window | None, carry_state: bool, has_clock: bool) -> None:
        """Check that a stream with these options can continue from this state.

        Raises:
            ValueError: it cannot.
        """
        if self.done_us >= 0 and not has_clock:
            raise ValueError(
                "the session was restored with a stream that is driven by a clock; open the "
                "network with a clock, such as RealTimeClock()"
            )
        given = None if window is None else str(window)
        if (self.window, self.carry_state) != (given, carry_state):
            raise ValueError(
                f"the session was restored with a stream of window={self.window!r}, "
                f"carry_state={self.carry_state}, got window={given!r}, "
                f"carry_state={carry_state}; call reset() to start a new stream"
            )


def dump_stream(state: StreamState) -> dict[str, Any]:
    """Return the map that :func:`read_stream` reads."""
    counters = {key: int(getattr(state, field)) for key, field in _STREAM_COUNTERS.items()}
    counters |= {name: getattr(state.segmenter, name) for name in _SEGMENTER_COUNTERS}
    return {
        "window": state.window,
        "carries": state.carry_state,
        "counters": counters,
        "waiting": dump_train(state.segmenter.waiting),
        "ahead": [dump_train(chunk) for chunk in state.ahead],
    }


def read_stream(value: object, model: Model) -> StreamState:
    """Return the stream state in a map.

    Raises:
        SnapshotError, BundleError, EventsError: the map is damaged, or belongs to another
            network.
    """
    fields = as_map("stream", value, ("window", "carries", "counters", "waiting", "ahead"))
    window, carries = as_text("stream.window", fields["window"]), fields["carries"]
    try:
        parse_window(window)
    except ValueError as error:
        raise SnapshotError(at_path("stream.", str(error))) from error
    if not isinstance(carries, bool):
        raise SnapshotError(must_be("stream.carries", "true or false", shown(carries)))
    names = (*_STREAM_COUNTERS, *_SEGMENTER_COUNTERS)
    counters = as_map("stream.counters", fields["counters"], names)
    for name, count in counters.items():
        read_integer(f"stream.counters.{name}", count, -1, limits.MAX_TIME_US)
    ahead = as_list("stream.ahead", fields["ahead"])
    if len(ahead) > MAX_LOOKAHEAD_CHUNKS:
        requirement = f"a list of at most {MAX_LOOKAHEAD_CHUNKS} chunks"
        raise SnapshotError(must_be("stream.ahead", requirement, f"{len(ahead)}"))
    segmenter = _read_segmenter(counters, fields["waiting"], model)
    _check_times(counters, parse_window(window))
    return StreamState(
        window=window,
        carry_state=carries,
        decision_emitted=counters["is_told"] == 1,
        zero_us=counters["zero_us"],
        segmenter=segmenter,
        done_us=counters["done_us"],
        shift_us=max(counters["shift_us"], 0),
        ahead=tuple(read_train("stream.ahead", chunk) for chunk in ahead),
    )


def _check_times(counters: dict[str, int], window: Window) -> None:
    """Check that the current sample starts where the session is, and does not begin ahead."""
    zero_us, start_us = counters["zero_us"], counters["start_us"]
    length_us = window.argument if window.name == "time" else 0  # such windows follow at once
    if start_us >= 0 and not 0 <= zero_us <= start_us <= zero_us + length_us:
        requirement = f"the start of the session's sample ({zero_us}) or of the window after it"
        raise SnapshotError(must_be("stream.counters.start_us", requirement, str(start_us)))
    last_us = max(counters["last_us"], 0)
    for name in ("latest_us", "reached_us"):
        if counters[name] > last_us:
            requirement = f"at most {last_us}, the time of the stream's last event"
            raise SnapshotError(
                must_be(f"stream.counters.{name}", requirement, str(counters[name]))
            )


def _read_segmenter(counters: dict[str, int], value: object, model: Model) -> SegmenterState:
    waiting = read_train("stream.waiting", value)
    waiting.check_indices(model.input_size)
    last_us, start_us = counters["last_us"], max(counters["start_us"], 0)
    if len(waiting) and not start_us <= waiting.t_us[0] <= waiting.t_us[-1] <= last_us:
        raise SnapshotError(
            f"`stream.waiting.t_us` must be from the start of the sample ({start_us}) to the last "
            f"event ({last_us})"
        )
    return SegmenterState(**{name: counters[name] for name in _SEGMENTER_COUNTERS}, waiting=waiting)


def dump_train(train: SpikeTrain) -> dict[str, Any]:
    """Return the map that :func:`read_train` reads."""
    fields = {"t_us": array_map(train.t_us, "<i8"), "index": array_map(train.index, "<i8")}
    if train.value is not None:
        fields["value"] = array_map(train.value, "<f4")
    return fields


def read_train(path: str, value: object) -> SpikeTrain:
    """Return the spike train in a map.

    Raises:
        BundleError, EventsError: the map is not a valid spike train.
    """
    fields = as_map(path, value, ("t_us", "index"), ("value",))
    return SpikeTrain(
        as_array(f"{path}.t_us", fields["t_us"], "<i8"),
        as_array(f"{path}.index", fields["index"], "<i8"),
        as_array(f"{path}.value", fields["value"], "<f4") if "value" in fields else None,
    )
