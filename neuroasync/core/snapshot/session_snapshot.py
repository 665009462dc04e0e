"""Snapshots: what a session holds between two passes, as MessagePack bytes.

A map, its keys in this order::

    format      "neuroasync-session"
    version     2
    sha256      bin32, of what follows
    session     bin, the MessagePack of another map

and that one::

    bundle      bin32, digest of the network
    run         how it runs: policy, noise, group_size, input, until, max_forward_steps
    sample      number of the sample that is under way
    last_us     time of its last event that was sent, µs; -1: none
    waiting     {"t_us": array, "index": array}, events that no pass has read
    counters    {name: int}, see ``_snapshot_checks``; pass: number of the latest, -1: none; its
                time is below 0 where windows carry, and it was of the one before
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
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.policies import Momentum, policy_name
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.envelope import Envelope
from neuroasync.core.formats.field_checks import array_map, as_map
from neuroasync.core.formats.strict_msgpack import decode
from neuroasync.core.kernels.layout import SUPRATHRESHOLD_BIT, Context, Control, Populations, Votes
from neuroasync.core.snapshot.stream_snapshot import (
    StreamState,
    dump_stream,
    dump_train,
    read_stream,
    read_train,
)
from neuroasync.core.snapshot.validation import (
    COUNTERS,
    MOST,
    checked_counters,
    checked_due,
    counts,
    floats,
    integer,
)
from neuroasync.errors import BundleError, SnapshotError, SpikeFileError

__all__ = ["Snapshot", "dump_snapshot", "read_snapshot", "restore_state"]

_SEAL: Final = Envelope("snapshot", "neuroasync-session", 2, "session", SnapshotError)
_KEYS: Final = (
    "bundle", "run", "sample", "last_us", "waiting", "counters", "votes",
    "spikes", "potential", "momentum", "due", "stream",
)  # fmt: skip
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
    simulator: Simulator,
    digest: bytes,
    sample: int,
    last_us: int,
    waiting: SpikeTrain,
    stream: StreamState | None,
) -> bytes:
    """The bytes of a session that is between two passes, or whose sample was stopped.

    Args:
        simulator: its passes.
        digest: of the bundle, 32 bytes.
        sample: number of the sample that is under way.
        last_us: time of its last event that was sent, µs; -1: none.
        waiting: its events that no pass has read.
        stream: what it holds, if the sample is that of a stream with a window.
    """
    state = simulator.state
    state.apply_decay()
    control = state.control
    fields: dict[str, Any] = {
        "bundle": digest,
        "run": _run_of(simulator.plan.run),
        "sample": sample,
        "last_us": last_us,
        "waiting": dump_train(waiting),
        "counters": {name: int(control[column]) for name, column in COUNTERS.items()},
        "votes": array_map(state.votes, "<i8"),
        "spikes": array_map(state.spikes, "<i8"),
        "potential": array_map(state.potential, "<f4"),
        "momentum": array_map(state.momentum, "<f4"),
        "due": array_map(state.in_flight[:, : int(control[Control.IN_FLIGHT])], "<i8"),
        "stream": None if stream is None else dump_stream(stream),
    }
    simulator.release_scratch()
    return bytes(msgpack.packb(_SEAL.close(msgpack.packb(fields))))


def read_snapshot(data: bytes, simulator: Simulator, digest: bytes) -> Snapshot:
    """Read a snapshot, for a session of this network that runs in this way. Nothing is changed.

    Args:
        data: what :func:`dump_snapshot` returned.
        simulator: the passes of the session that is to go on with it.
        digest: of the session's bundle, 32 bytes.

    Raises:
        SnapshotError: it is damaged, or of another network or way to run it.
    """
    if not isinstance(data, bytes):
        raise SnapshotError(f"snapshot: {type(data).__name__}, expected bytes")
    try:
        fields = as_map("", decode(_SEAL.open(decode(data))), _KEYS)
        if not isinstance(fields["bundle"], memoryview) or fields["bundle"] != digest:
            raise SnapshotError("bundle: the snapshot is of another network than the session")
        _check_run(fields["run"], _run_of(simulator.plan.run))
        return _checked(fields, simulator)
    except (BundleError, SpikeFileError) as error:
        raise SnapshotError(f"this is no snapshot, or it is damaged: {error}") from error


def restore_state(simulator: Simulator, snapshot: Snapshot) -> None:
    """Put a session's passes where the snapshot's were."""
    simulator.begin(snapshot.counters["seed"] % 2**64)
    state = simulator.state
    state.acquire_scratch()
    for name, column in COUNTERS.items():
        state.control[column] = snapshot.counters[name]
    state.votes[:], state.spikes[:] = snapshot.votes, snapshot.spikes
    state.set_in_flight(snapshot.due)
    if snapshot.counters["pass"] >= 0 or snapshot.counters["carries"]:
        _charge(state, snapshot)
    simulator.release_scratch()


def _charge(state: NetworkState, snapshot: Snapshot) -> None:
    """Let the neurons be where the latest pass left them; see ``kernels.fire`` and ``decay``."""
    packed, control = state.plan.packed, state.control
    state.potential[:], state.momentum[:] = snapshot.potential, snapshot.momentum
    # All have decayed until now, and none is at rest.
    control[Control.SAMPLE_CLOCK] = control[Control.CLOCK]
    state.view_of(Context.CLOCKS_AT, np.int64, packed.blocks)[:] = control[Control.CLOCK]
    if state.multiplicity is not None:  # what a sample left here that was stopped in a pass
        state.multiplicity[:] = 0
    # Who is above threshold may fire with nothing to reach it.
    late = np.zeros(packed.model.size, bool)
    for row in packed.arrays.populations[:-1]:
        late[row[Populations.START] : row[Populations.STOP]] = (
            row[Populations.FIRES_SPONTANEOUSLY] != 0
        )
    above = np.flatnonzero(late & (state.potential > packed.arrays.thresholds))
    if above.size:
        state.view_of(Context.SUPRATHRESHOLD_AT, np.int64, packed.model.size)[: above.size] = above
        marks = state.view_of(Context.LAST_GROUP_AT, np.int32, packed.model.size)
        marks[above] = control[Control.SAMPLE_MARK] | SUPRATHRESHOLD_BIT
    control[Control.SUPRATHRESHOLD] = above.size


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


def _checked(fields: Mapping[str, Any], simulator: Simulator) -> Snapshot:
    model = simulator.plan.packed.model
    counters = checked_counters(fields["counters"], simulator.plan)
    train = read_train("waiting", fields["waiting"])
    train.check_indices(model.input_size)
    if len(train) > limits.MAX_QUEUED_EVENTS:
        raise SnapshotError(
            f"waiting: {len(train)} events, expected at most {limits.MAX_QUEUED_EVENTS}"
        )
    last_us = integer("last_us", fields["last_us"], -1, limits.MAX_TIME_US)
    if len(train) and not counters["time_us"] <= train.t_us[0] <= train.t_us[-1] <= last_us:
        raise SnapshotError("waiting.t_us: expected times from the latest pass to the last event")
    stream = None if fields["stream"] is None else read_stream(fields["stream"], model)
    if bool(counters["carries"]) != (stream is not None and stream.carries):
        raise SnapshotError("counters.carries: expected what stream.carries says")
    classes = model.populations[model.index(model.output)].size
    return Snapshot(
        sample=integer("sample", fields["sample"], 0, MOST),
        last_us=last_us,
        waiting=train,
        counters=counters,
        votes=counts("votes", fields["votes"], (len(Votes), classes)),
        spikes=counts("spikes", fields["spikes"], (len(model.populations),)),
        potential=floats("potential", fields["potential"], model.size),
        momentum=floats("momentum", fields["momentum"], model.size),
        due=checked_due(fields["due"], simulator.plan, counters["time_us"]),
        stream=stream,
    )
