"""Snapshots: the state of a session between two forward passes, as MessagePack bytes.

A snapshot is a map with these keys, in this order::

    format      "neuroasync-session"
    version     2
    sha256      bin32, SHA-256 digest of the next value
    session     bin, MessagePack of another map

The inner map has these keys, in this order::

    bundle      bin32, digest of the network
    run         the settings: policy, noise, group_size, input, until, max_forward_steps
    sample      number of the current sample
    last_us     time of the sample's last event so far, µs; -1: there was none
    waiting     {"t_us": array, "index": array}, events that no pass has read; events with values
                also have "value": array f32[events]
    counters    {name: int}, with the names below
    votes       array i64[5, classes], columns as in ``kernels.layout.Votes``
    spikes      array i64[populations], spikes of each population
    potential   array f32[neurons], membrane potentials after the latest pass
    momentum    array f32[neurons]
    due         array i64[5, n], spikes in flight, columns as in ``kernels.layout.InFlight``; the
                last one is the number of spikes or input events
    stream      nil, or the state of a stream with a window, see ``stream_snapshot``
    extra       array f32[3, neurons], columns as in ``kernels.layout.ExtraState``; only of networks
                in which neurons have such variables
    due_value   array f32[n], what the weights of each spike in flight are multiplied by; only if
                input events with values are in flight

``counters`` has these keys, in this order::

    pass               number of the latest forward pass; -1: there was none
    step               latest forward step of that pass; 0 is the input
    time_us            time of that pass, µs; below 0 if windows carry state and the latest pass
                       belongs to the window before
    groups             number that identifies the latest group: it ascends with pass and step
    rounds             rounds so far
    steps              forward steps so far
    synops             synaptic operations so far
    spikes             spikes of all populations so far
    inputs             input events delivered so far
    first_vote         value of ``steps`` when the output first fired; -1: it has not
    first_vote_rounds  value of ``rounds`` at that time
    first_vote_spikes  value of ``spikes`` at that time
    most_votes         highest number of votes of a class
    last_owner         number of the population that fired last in the pass; -1: none
    seed               seed of the sample's order keys, as a signed 64-bit integer
    phase              0 between two passes, 4 if the stop rule has ended the sample
    carries            1 if windows carry state, else 0
    is_decided         1 if the stop rule has fired and the sample continues, else 0

Arrays are stored as in bundles. A snapshot contains no weights, and does not depend on the memory
layout of this version.

The digest detects damage. It does not detect forgery: a forged snapshot with valid values gives a
session in a state that no input could have led to, but has no other effect.
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
from neuroasync.core.formats.file_kind import FileKind, wrong_kind
from neuroasync.core.formats.strict_msgpack import decode
from neuroasync.core.kernels.delivery.event_values import pack, unpack
from neuroasync.core.kernels.layout import (
    SUPRATHRESHOLD_BIT,
    Context,
    Control,
    ExtraState,
    InFlight,
    Phase,
    Populations,
    Votes,
)
from neuroasync.core.model.checks import must_be, shown
from neuroasync.core.snapshot.stream_snapshot import (
    StreamState,
    dump_stream,
    dump_train,
    read_stream,
    read_train,
)
from neuroasync.core.snapshot.validation import (
    COUNTERS,
    MAX_COUNT,
    check_end,
    last_time_us,
    read_counters,
    read_counts,
    read_in_flight,
    read_integer,
    read_state,
)
from neuroasync.errors import BundleError, EventsError, SnapshotError

__all__ = ["Snapshot", "dump_snapshot", "read_snapshot", "restore_state"]

_ENVELOPE: Final = Envelope("snapshot", "neuroasync-session", 2, "session", SnapshotError)
_KEYS: Final = (
    "bundle", "run", "sample", "last_us", "waiting", "counters", "votes",
    "spikes", "potential", "momentum", "due", "stream",
)  # fmt: skip
_Run: TypeAlias = dict[str, str | int | float]
"""The settings in a snapshot, by name."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of a snapshot.

    Attributes:
        sample: number of the current sample.
        last_us: time of the sample's last event so far, µs; -1 if there was none.
        waiting: events that no pass has read.
        counters: counters of the sample, by name.
        votes: i64[5, classes].
        spikes: i64[populations], spikes of each population.
        potential, momentum: f32[neurons].
        due: i64[5, n], spikes in flight.
        stream: state of the stream, if the sample belongs to a stream with a window.
        due_value: f32[n], what their weights are multiplied by; None if it is their multiplicity.
        extra: f32[3, neurons], variables that few neurons have; None if the network has none.
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
    due_value: NDArray[np.float32] | None
    stream: StreamState | None
    extra: NDArray[np.float32] | None


def dump_snapshot(
    simulator: Simulator,
    digest: bytes,
    sample: int,
    last_us: int,
    waiting: SpikeTrain,
    stream: StreamState | None,
) -> bytes:
    """Return the snapshot of a session that is between two passes, or whose sample was stopped.

    Args:
        simulator: simulator of the session.
        digest: digest of the bundle, 32 bytes.
        sample: number of the current sample.
        last_us: time of the sample's last event so far, µs; -1 if there was none.
        waiting: events that no pass has read.
        stream: state of the stream, if the sample belongs to a stream with a window.
    """
    state = simulator.state
    state.apply_decay()
    control = state.control
    due = state.in_flight[:, : int(control[Control.IN_FLIGHT])].copy()
    due[InFlight.MULTIPLICITY], due_value = unpack(due[InFlight.MULTIPLICITY])
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
        "due": array_map(due, "<i8"),
        "stream": None if stream is None else dump_stream(stream),
    }
    if state.extra_state is not None:
        fields["extra"] = array_map(state.extra_state, "<f4")
    if due_value is not None:
        fields["due_value"] = array_map(due_value, "<f4")
    simulator.release_scratch()
    return bytes(msgpack.packb(_ENVELOPE.close(msgpack.packb(fields))))


def read_snapshot(data: bytes, simulator: Simulator, digest: bytes) -> Snapshot:
    """Read a snapshot for a session. The session is not changed.

    Args:
        data: result of :func:`dump_snapshot`.
        simulator: simulator of the session that will continue from the snapshot.
        digest: digest of the session's bundle, 32 bytes.

    Raises:
        SnapshotError: the snapshot is damaged, or was taken with another network or other
            settings.
    """
    if not isinstance(data, bytes):
        raise SnapshotError(must_be("snapshot", "bytes", type(data).__name__))
    if (message := wrong_kind(data, FileKind.SNAPSHOT)) is not None:
        raise SnapshotError(message)
    try:
        keys = (*_KEYS, "extra") if simulator.plan.has_extra_state else _KEYS
        fields = as_map("", decode(_ENVELOPE.open(decode(data))), keys, ("due_value",))
        if not isinstance(fields["bundle"], memoryview) or fields["bundle"] != digest:
            raise SnapshotError("`bundle` is the digest of another network than the session's")
        _check_run(fields["run"], _run_of(simulator.plan.run))
        return _read_fields(fields, simulator)
    except (BundleError, EventsError) as error:
        raise SnapshotError(f"this is not a snapshot, or it is damaged: {error}") from error


def restore_state(simulator: Simulator, snapshot: Snapshot) -> None:
    """Set a simulator to the state in a snapshot."""
    simulator.begin(snapshot.counters["seed"] % 2**64)
    state = simulator.state
    state.acquire_scratch()
    for name, column in COUNTERS.items():
        state.control[column] = snapshot.counters[name]
    state.votes[:], state.spikes[:] = snapshot.votes, snapshot.spikes
    due = snapshot.due.copy()
    due[InFlight.MULTIPLICITY] = pack(due[InFlight.MULTIPLICITY], snapshot.due_value)
    state.set_in_flight(due)
    if snapshot.counters["pass"] >= 0 or snapshot.counters["carries"]:
        _restore_neurons(state, snapshot)
    simulator.release_scratch()


def _restore_neurons(state: NetworkState, snapshot: Snapshot) -> None:
    """Set the neurons to their state after the latest pass of the snapshot."""
    packed, control = state.plan.packed, state.control
    state.potential[:], state.momentum[:] = snapshot.potential, snapshot.momentum
    thresholds = packed.arrays.thresholds
    if state.extra_state is not None and snapshot.extra is not None:
        state.extra_state[:] = snapshot.extra
        thresholds = thresholds + snapshot.extra[ExtraState.ADAPTATION]
    readout = state.plan.layout.readout(state.head)
    if readout is not None:
        output = packed.model.index(packed.model.output)
        readout[:] = snapshot.potential[packed.model.starts[output] :][: readout.size]
    # The potentials in a snapshot have decayed up to its latest pass, so no decay is outstanding.
    control[Control.SAMPLE_CLOCK] = control[Control.CLOCK]
    state.view_of(Context.CLOCKS_AT, np.int64, packed.blocks)[:] = control[Control.CLOCK]
    if (
        state.multiplicity is not None
    ):  # a sample that was stopped within a pass leaves entries here
        state.multiplicity[:] = 0
    # A neuron above its threshold may fire late, without an input that reaches it. The kernels find
    # such neurons in a list.
    can_fire_late = np.zeros(packed.model.size, bool)
    for row in packed.arrays.populations[:-1]:
        can_fire_late[row[Populations.START] : row[Populations.STOP]] = (
            row[Populations.FIRES_SPONTANEOUSLY] != 0
        )
    above = np.flatnonzero(can_fire_late & (state.potential > thresholds))
    if above.size:
        state.view_of(Context.SUPRATHRESHOLD_AT, np.int64, packed.model.size)[: above.size] = above
        marks = state.view_of(Context.LAST_GROUP_AT, np.int32, packed.model.size)
        marks[above] = control[Control.SAMPLE_MARK] | SUPRATHRESHOLD_BIT
    control[Control.SUPRATHRESHOLD] = above.size


def _run_of(run: RunSettings) -> _Run:
    """Return the settings that affect the passes of a session."""
    return {
        "policy": policy_name(run.policy),
        "noise": run.policy.noise if isinstance(run.policy, Momentum) else 0.0,
        "group_size": run.group_size,
        "input": run.input,
        # A function cannot be stored; the file has "own" for it.
        "until": "own" if callable(run.until) else str(run.until),
        "max_forward_steps": run.max_forward_steps,
    }


def _check_run(value: object, expected: _Run) -> None:
    fields = as_map("run", value, tuple(expected))
    for name, setting in expected.items():
        if fields[name] != setting:
            raise SnapshotError(
                f"`run.{name}` must be {setting!r} as in this session, got {shown(fields[name])}; "
                "open a session with the settings of the snapshot"
            )


def _read_fields(fields: Mapping[str, Any], simulator: Simulator) -> Snapshot:
    model = simulator.plan.packed.model
    counters = read_counters(fields["counters"], simulator.plan)
    train = read_train("waiting", fields["waiting"])
    train.check_indices(model.input_size)
    if len(train) > limits.MAX_QUEUED_EVENTS:
        requirement = f"a list of at most {limits.MAX_QUEUED_EVENTS} events"
        raise SnapshotError(must_be("waiting", requirement, f"{len(train)}"))
    latest_us = last_time_us(model.timestep_us, simulator.plan.run.max_passes)
    last_us = read_integer("last_us", fields["last_us"], -1, latest_us)
    if len(train) and not counters["time_us"] <= train.t_us[0] <= train.t_us[-1] <= last_us:
        raise SnapshotError("`waiting.t_us` must be from the latest pass to the last event")
    due = read_in_flight(fields["due"], simulator.plan, counters["time_us"])
    if counters["phase"] == Phase.BETWEEN_PASSES:
        check_end(last_us, train, counters["pass"], due, model.timestep_us)
    stream = None if fields["stream"] is None else read_stream(fields["stream"], model)
    if bool(counters["carries"]) != (stream is not None and stream.carry_state):
        raise SnapshotError("`counters.carries` must be equal to `stream.carries`")
    classes = model.populations[model.index(model.output)].size
    votes = read_counts("votes", fields["votes"], (len(Votes), classes))
    if votes[Votes.COUNT].min() < 0:
        raise SnapshotError("`votes` must have no negative number of votes")
    return Snapshot(
        sample=read_integer("sample", fields["sample"], 0, MAX_COUNT),
        last_us=last_us,
        waiting=train,
        counters=counters,
        votes=votes,
        spikes=read_counts("spikes", fields["spikes"], (len(model.populations),)),
        potential=read_state("potential", fields["potential"], (model.size,)),
        momentum=read_state("momentum", fields["momentum"], (model.size,)),
        due=due,
        due_value=_read_due_value(fields, due.shape[1]),
        stream=stream,
        extra=_read_extra(fields, model.size),
    )


def _read_due_value(fields: Mapping[str, Any], spikes: int) -> NDArray[np.float32] | None:
    if "due_value" not in fields:
        return None
    values = read_state("due_value", fields["due_value"], (spikes,))
    if not np.isfinite(values).all():
        raise SnapshotError("`due_value` must be finite numbers")
    return values


def _read_extra(fields: Mapping[str, Any], neurons: int) -> NDArray[np.float32] | None:
    if "extra" not in fields:
        return None
    shape = (len(ExtraState), neurons)
    return read_state("extra", fields["extra"], shape)
