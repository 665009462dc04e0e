"""Snapshots: what a session holds between two passes, as MessagePack bytes.

A map, its keys in this order::

    format      "neuroasync-session"
    version     2
    bundle      bin32, digest of the network
    run         how it runs: policy, noise, group_size, input, until, max_forward_steps
    sample      number of the sample that is under way
    last_us     time of its last event that was sent, µs; -1: none
    waiting     {"t_us": array, "index": array}, events that no pass has read
    counters    {name: int}, see ``_COUNTERS``; pass: number of the latest, -1: none; times are
                below 0 where windows carry and it was of the window before
    votes       array i64[5, classes], columns as in ``kernels.layout``
    spikes      array i64[populations]
    potential   array f32[neurons], as the latest pass left them
    momentum    array f32[neurons]
    due         array i64[5, D], spikes in flight, columns as in ``kernels.layout``
    stream      nil, or what a stream with a window holds, see ``stream_state``

It says nothing of weights, and little of how this version keeps a session in memory. What was
changed on the way is refused; what fits, but was made up, gives a session that nobody's events
could have led to, and no worse.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgpack
import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync._fields import array_map, as_array, as_map
from neuroasync._packed import decode
from neuroasync.connections import INPUT
from neuroasync.errors import BundleError, SnapshotError, SpikeFileError
from neuroasync.forward import Forward
from neuroasync.kernels import layout as lay
from neuroasync.policies import Momentum, policy_name
from neuroasync.settings import RunSettings
from neuroasync.spikes import SpikeTrain
from neuroasync.state import State
from neuroasync.stream_state import (
    StreamState,
    dump_stream,
    dump_train,
    read_stream,
    read_train,
)

__all__ = ["Snapshot", "dump_snapshot", "read_snapshot", "restore_state"]

_FORMAT: Final = "neuroasync-session"
_VERSION: Final = 2
_KEYS: Final = (
    "format", "version", "bundle", "run", "sample", "last_us", "waiting", "counters", "votes",
    "spikes", "potential", "momentum", "due", "stream",
)  # fmt: skip
_COUNTERS: Final = {
    "pass": lay.PASS,
    "step": lay.STEP,
    "time_us": lay.TIME,
    "groups": lay.SERIAL,
    "rounds": lay.ROUNDS,
    "steps": lay.STEPS,
    "synops": lay.SYNOPS,
    "spikes": lay.SPIKES,
    "inputs": lay.INPUTS,
    "first_vote": lay.FIRST_VOTE,
    "first_vote_rounds": lay.FIRST_VOTE_ROUNDS,
    "first_vote_spikes": lay.FIRST_VOTE_SPIKES,
    "most_votes": lay.TOP,
    "last_owner": lay.LAST_OWNER,
    "seed": lay.SEED,
    "phase": lay.PHASE,
    "carries": lay.CARRIES,
    "told": lay.TOLD,
}
"""Counters of the sample, and where they stand in a session's memory."""
_MOST: Final = 2**62
_BOUNDS: Final = {
    "time_us": (-limits.MAX_TIME_US, limits.MAX_TIME_US),
    "carries": (0, 1),
    "told": (0, 1),
}
_PHASES: Final = (lay.BETWEEN_PASSES, lay.STOPPED)

_Run: TypeAlias = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a session held.

    Attributes:
        sample: number of the sample that was under way.
        last_us: time of its last event that was sent, µs; -1: none.
        waiting: its events that no pass had read.
        counters: of the sample, by name.
        votes: i64[5, classes].
        spikes: i64[populations].
        potential, momentum: f32[neurons].
        due: i64[5, D], spikes in flight.
        stream: what it holds, if the sample was that of a stream with a window.
    """

    sample: int
    last_us: int
    waiting: SpikeTrain
    counters: Mapping[str, int]
    votes: NDArray[np.int64]
    spikes: NDArray[np.int64]
    potential: NDArray[np.float32]
    momentum: NDArray[np.float32]
    due: NDArray[np.int64]
    stream: StreamState | None


def dump_snapshot(
    forward: Forward,
    digest: bytes,
    sample: int,
    last_us: int,
    waiting: SpikeTrain,
    stream: StreamState | None,
) -> bytes:
    """The bytes of a session that is between two passes, or whose sample was stopped.

    Args:
        forward: its passes.
        digest: of the bundle, 32 bytes.
        sample: number of the sample that is under way.
        last_us: time of its last event that was sent, µs; -1: none.
        waiting: its events that no pass has read.
        stream: what it holds, if the sample is that of a stream with a window.
    """
    state = forward.state
    state.settle()
    control = state.control
    fields: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "bundle": digest,
        "run": _run_of(forward.plan.run),
        "sample": sample,
        "last_us": last_us,
        "waiting": dump_train(waiting),
        "counters": {name: int(control[column]) for name, column in _COUNTERS.items()},
        "votes": array_map(state.votes, "<i8"),
        "spikes": array_map(state.spikes, "<i8"),
        "potential": array_map(state.potential, "<f4"),
        "momentum": array_map(state.momentum, "<f4"),
        "due": array_map(state.due[:, : int(control[lay.DUE])], "<i8"),
        "stream": None if stream is None else dump_stream(stream),
    }
    forward.leave()
    return bytes(msgpack.packb(fields))


def read_snapshot(data: bytes, forward: Forward, digest: bytes) -> Snapshot:
    """Read a snapshot, for a session of this network that runs in this way. Nothing is changed.

    Args:
        data: what :func:`dump_snapshot` returned.
        forward: the passes of the session that is to go on with it.
        digest: of the session's bundle, 32 bytes.

    Raises:
        SnapshotError: it is damaged, or of another network or way to run it.
    """
    if not isinstance(data, bytes):
        raise SnapshotError(f"snapshot: {type(data).__name__}, expected bytes")
    try:
        fields = decode(data)
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise SnapshotError(f"format: expected a map with format {_FORMAT!r}; no snapshot")
        if type(fields.get("version")) is not int or fields["version"] != _VERSION:
            found = fields.get("version")
            raise SnapshotError(f"version: {found!r:.80}, this reader knows version {_VERSION}")
        fields = as_map("", fields, _KEYS)
        if not isinstance(fields["bundle"], memoryview) or fields["bundle"] != digest:
            raise SnapshotError("bundle: the snapshot is of another network than the session")
        _check_run(fields["run"], _run_of(forward.plan.run))
        return _checked(fields, forward)
    except (BundleError, SpikeFileError) as error:
        raise SnapshotError(f"this is no snapshot, or it is damaged: {error}") from error


def restore_state(forward: Forward, snapshot: Snapshot) -> None:
    """Put a session's passes where the snapshot's were."""
    forward.begin(snapshot.counters["seed"] % 2**64)
    state = forward.state
    state.attach()
    for name, column in _COUNTERS.items():
        state.control[column] = snapshot.counters[name]
    state.votes[:], state.spikes[:] = snapshot.votes, snapshot.spikes
    state.fly(snapshot.due)
    if snapshot.counters["pass"] >= 0 or snapshot.counters["carries"]:
        _charge(state, snapshot)
    forward.leave()


def _charge(state: State, snapshot: Snapshot) -> None:
    """Let the neurons be where the latest pass left them; see ``kernels.fire`` and ``decay``."""
    wiring, control = state.plan.wiring, state.control
    state.potential[:], state.momentum[:] = snapshot.potential, snapshot.momentum
    # All have decayed until now, and none is at rest.
    control[lay.SAMPLE_CLOCK] = control[lay.CLOCK]
    state.part(lay.CLOCKS_AT, np.int64, wiring.blocks)[:] = control[lay.CLOCK]
    if state.waiting is not None:  # what a sample left here that was stopped in a pass
        state.waiting[:] = 0
    # Who is above threshold may fire with nothing to reach it.
    late = np.zeros(wiring.model.size, bool)
    for row in wiring.wires.populations[:-1]:
        late[row[lay.START] : row[lay.STOP]] = row[lay.LATE] != 0
    above = np.flatnonzero(late & (state.potential > wiring.wires.thresholds))
    if above.size:
        state.part(lay.LISTED_AT, np.int64, wiring.model.size)[: above.size] = above
        marks = state.part(lay.MARKS_AT, np.int32, wiring.model.size)
        marks[above] = control[lay.SAMPLE_MARK] | lay.LISTED_BIT
    control[lay.LISTED] = above.size


def _run_of(run: RunSettings) -> _Run:
    """How a session runs, as far as it says what its next pass does."""
    return {
        "policy": policy_name(run.policy),
        "noise": run.policy.noise if isinstance(run.policy, Momentum) else 0.0,
        "group_size": run.group_size,
        "input": run.input,
        "until": "own" if callable(run.until) else str(run.until),
        "max_forward_steps": run.max_forward_steps,
    }


def _check_run(found: object, expected: _Run) -> None:
    fields = as_map("run", found, tuple(expected))
    for name, value in expected.items():
        if fields[name] != value:
            raise SnapshotError(
                f"run.{name}: {fields[name]!r:.80}, but this session has {value!r}; open one "
                "that runs as the snapshot's did"
            )


def _checked(fields: Mapping[str, Any], forward: Forward) -> Snapshot:
    model = forward.plan.wiring.model
    counters = _counters(fields["counters"], forward)
    train = read_train("waiting", fields["waiting"])
    train.check_indices(model.input_size)
    if len(train) > limits.MAX_QUEUED_EVENTS:
        raise SnapshotError(
            f"waiting: {len(train)} events, expected at most {limits.MAX_QUEUED_EVENTS}"
        )
    last_us = _integer("last_us", fields["last_us"], -1, limits.MAX_TIME_US)
    if len(train) and not counters["time_us"] <= train.t_us[0] <= train.t_us[-1] <= last_us:
        raise SnapshotError("waiting.t_us: expected times from the latest pass to the last event")
    stream = None if fields["stream"] is None else read_stream(fields["stream"], model)
    if bool(counters["carries"]) != (stream is not None and stream.carries):
        raise SnapshotError("counters.carries: expected what stream.carries says")
    classes = model.populations[model.index(model.output)].size
    return Snapshot(
        sample=_integer("sample", fields["sample"], 0, _MOST),
        last_us=last_us,
        waiting=train,
        counters=counters,
        votes=_counts("votes", fields["votes"], (lay.VOTE_COLUMNS, classes)),
        spikes=_counts("spikes", fields["spikes"], (len(model.populations),)),
        potential=_floats("potential", fields["potential"], model.size),
        momentum=_floats("momentum", fields["momentum"], model.size),
        due=_due(fields["due"], forward, counters["time_us"]),
        stream=stream,
    )


def _counters(value: object, forward: Forward) -> dict[str, int]:
    found = as_map("counters", value, tuple(_COUNTERS))
    for name in _COUNTERS:
        least, most = (-(2**63), 2**63 - 1) if name == "seed" else _BOUNDS.get(name, (-1, _MOST))
        _integer(f"counters.{name}", found[name], least, most)
    if found["phase"] not in _PHASES:
        raise SnapshotError(f"counters.phase: {found['phase']}, expected one of {list(_PHASES)}")
    _integer("counters.pass", found["pass"], -1, limits.MAX_PASSES - 1)
    _integer("counters.last_owner", found["last_owner"], -1, len(forward.plan.names) - 1)
    timestep = forward.plan.wiring.model.timestep_us
    time_us, expected_us = found["time_us"], max(found["pass"], 0) * timestep
    is_carried = found["carries"] and found["pass"] < 0
    if time_us > 0 if is_carried else time_us < 0 or (timestep and time_us != expected_us):
        raise SnapshotError(f"counters.time_us: {time_us}, expected {expected_us}")
    return found


def _due(value: object, forward: Forward, time_us: int) -> NDArray[np.int64]:
    """Spikes in flight, if the network can have sent them."""
    model = forward.plan.wiring.model
    due = as_array("due", value, "<i8")
    if due.ndim != 2 or due.shape[0] != lay.DUE_COLUMNS:
        raise SnapshotError(f"due: shape {list(due.shape)}, expected [{lay.DUE_COLUMNS}, n]")
    if due.shape[1] > limits.MAX_QUEUED_EVENTS:
        raise SnapshotError(f"due: {due.shape[1]}, expected at most {limits.MAX_QUEUED_EVENTS}")
    for k, (due_us, fired_us, at, origin, count) in enumerate(due.T.tolist()):
        if not 0 <= at < len(model.connections) or not model.connections[at].delay_us:
            raise SnapshotError(f"due[{k}]: connection {at}, expected one with a delay")
        source = model.connections[at].source
        if source == INPUT:
            first, stop = model.size, model.size + model.input_size
        else:
            first, stop = model.starts[model.index(source) :][:2]
        if not (
            first <= origin < stop
            and 1 <= count <= 2**31
            and -limits.MAX_TIME_US
            <= fired_us
            <= time_us
            < due_us
            == fired_us + model.connections[at].delay_us
        ):
            raise SnapshotError(
                f"due[{k}]: {due[:, k].tolist()}, expected a spike of {source!r} that fired by "
                f"{time_us} µs and is due later, by the connection's delay"
            )
    return due


def _integer(where: str, value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise SnapshotError(f"{where}: {value!r:.80}, expected an integer from {least} to {most}")
    return value


def _counts(where: str, value: object, shape: tuple[int, ...]) -> NDArray[np.int64]:
    array = as_array(where, value, "<i8")
    if array.shape != shape or array.min(initial=0) < -1 or array.max(initial=0) > _MOST:
        raise SnapshotError(f"{where}: expected counts of shape {list(shape)}")
    return array


def _floats(where: str, value: object, size: int) -> NDArray[np.float32]:
    array = as_array(where, value, "<f4")
    if array.shape != (size,):
        raise SnapshotError(f"{where}: shape {list(array.shape)}, expected [{size}]")
    return array
