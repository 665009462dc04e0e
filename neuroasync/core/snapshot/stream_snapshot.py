"""What a stream holds between two decisions, as a part of a snapshot.

A map, its keys in this order::

    window      as it is written: "time(20000)"
    carries     whether the network runs on from window to window
    counters    {name: int}, see ``StreamState`` and ``CutterState``; decision_emitted is 0 or 1
    waiting     {"t_us": array, "index": array}, events that are of no sample yet
    ahead       [the same, ..], parts of the stream that wait for the clock, as they came
"""

from dataclasses import dataclass
from typing import Any, Final

from neuroasync import limits
from neuroasync.core.events.segmenter import CutterState
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.window import Window, parse_window
from neuroasync.core.formats.field_checks import array_map, as_array, as_list, as_map, as_text
from neuroasync.core.model.model import Model
from neuroasync.errors import SnapshotError

__all__ = ["MAX_AHEAD", "StreamState", "dump_stream", "dump_train", "read_stream", "read_train"]

MAX_AHEAD: Final = 64
"""Parts of a stream that wait for the clock; then its source waits."""

_CUTTER: Final = ("start_us", "last_us", "count", "latest_us", "reached_us")
_COUNTERS: Final = ("decision_emitted", "zero_us", "done_us", "shift_us", *_CUTTER)


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream holds; times are the stream's.

    Attributes:
        window: where its samples end.
        carries: whether the network runs on from window to window.
        decision_emitted: whether the sample that is under way was decided.
        zero_us: time 0 of the session's sample, µs; -1: the stream has not begun.
        cutter: of the events that were fed to it.
        done_us: passes before have begun by the clock, µs; -1: it goes by none, or has not begun.
        shift_us: by how much it was moved since events came late, µs.
        ahead: parts that wait for the clock, as they came; nobody has checked them.
    """

    window: str
    carries: bool
    decision_emitted: bool
    zero_us: int
    cutter: CutterState
    done_us: int
    shift_us: int
    ahead: tuple[SpikeTrain, ...]

    def check(self, window: Window | None, carries: bool, has_clock: bool) -> None:
        """Raise ValueError unless a stream of this kind goes on with it."""
        if self.done_us >= 0 and not has_clock:
            raise ValueError(
                "clock: the session was restored with a stream that goes by a clock; open the "
                "network with one, such as RealTimeClock()"
            )
        given = None if window is None else str(window)
        if (self.window, self.carries) != (given, carries):
            raise ValueError(
                f"window: {given!r}, carry={carries}, but the session was restored with a "
                f"stream of {self.window!r}, carry={self.carries}; reset() it to begin anew"
            )


def dump_stream(state: StreamState) -> dict[str, Any]:
    """The map that :func:`read_stream` reads."""
    own, cutter = (int(getattr(state, name)) for name in _COUNTERS[:4]), state.cutter
    counted = (*own, *(getattr(cutter, name) for name in _CUTTER))
    return {
        "window": state.window,
        "carries": state.carries,
        "counters": dict(zip(_COUNTERS, counted, strict=True)),
        "waiting": dump_train(cutter.waiting),
        "ahead": [dump_train(part) for part in state.ahead],
    }


def read_stream(value: object, model: Model) -> StreamState:
    """The state that :func:`dump_stream` described.

    Raises:
        SnapshotError, BundleError, SpikeFileError: it is damaged, or of another network.
    """
    fields = as_map("stream", value, ("window", "carries", "counters", "waiting", "ahead"))
    window, carries = as_text("stream.window", fields["window"]), fields["carries"]
    try:
        parse_window(window)
    except ValueError as error:
        raise SnapshotError(f"stream.{error}") from error
    if not isinstance(carries, bool):
        raise SnapshotError(f"stream.carries: {carries!r:.80}, expected true or false")
    counters = as_map("stream.counters", fields["counters"], _COUNTERS)
    for name, value in counters.items():
        if type(value) is not int or not -1 <= value <= limits.MAX_TIME_US:
            raise SnapshotError(f"stream.counters.{name}: {value!r:.80}, expected an integer")
    decision_emitted, zero_us, done_us, shift_us = (counters[name] for name in _COUNTERS[:4])
    waiting = read_train("stream.waiting", fields["waiting"])
    waiting.check_indices(model.input_size)
    last_us, start_us = counters["last_us"], max(counters["start_us"], 0)
    if len(waiting) and not start_us <= waiting.t_us[0] <= waiting.t_us[-1] <= last_us:
        raise SnapshotError("stream.waiting.t_us: expected times from the sample's start on")
    ahead = as_list("stream.ahead", fields["ahead"])
    if len(ahead) > MAX_AHEAD:
        raise SnapshotError(f"stream.ahead: {len(ahead)} parts, expected at most {MAX_AHEAD}")
    return StreamState(
        window=window,
        carries=carries,
        decision_emitted=decision_emitted == 1,
        zero_us=zero_us,
        cutter=CutterState(**{name: counters[name] for name in _CUTTER}, waiting=waiting),
        done_us=done_us,
        shift_us=max(shift_us, 0),
        ahead=tuple(read_train("stream.ahead", part) for part in ahead),
    )


def dump_train(train: SpikeTrain) -> dict[str, Any]:
    """The map that :func:`read_train` reads."""
    return {"t_us": array_map(train.t_us, "<i8"), "index": array_map(train.index, "<i8")}


def read_train(where: str, value: object) -> SpikeTrain:
    """The spike train that :func:`dump_train` described.

    Raises:
        BundleError, SpikeFileError: it is none.
    """
    fields = as_map(where, value, ("t_us", "index"))
    return SpikeTrain(
        as_array(f"{where}.t_us", fields["t_us"], "<i8"),
        as_array(f"{where}.index", fields["index"], "<i8"),
    )
