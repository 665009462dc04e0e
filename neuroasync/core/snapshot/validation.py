"""Validation of snapshots: read each counter and array, and reject impossible values."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.field_checks import as_array, as_map
from neuroasync.core.kernels.layout import Control, InFlight, Phase
from neuroasync.core.model.checks import check_int, must_be
from neuroasync.core.model.connections import INPUT
from neuroasync.core.model.model import Model
from neuroasync.errors import SnapshotError

__all__ = [
    "COUNTERS",
    "MAX_COUNT",
    "check_end",
    "last_time_us",
    "read_counters",
    "read_counts",
    "read_in_flight",
    "read_integer",
    "read_state",
]

COUNTERS: Final = {
    "pass": Control.PASS,
    "step": Control.STEP,
    "time_us": Control.TIME,
    "groups": Control.GROUP_NUMBER,
    "rounds": Control.ROUNDS,
    "steps": Control.STEPS,
    "synops": Control.SYNOPS,
    "spikes": Control.SPIKES,
    "inputs": Control.INPUT_EVENTS,
    "first_vote": Control.FIRST_VOTE_STEPS,
    "first_vote_rounds": Control.FIRST_VOTE_ROUNDS,
    "first_vote_spikes": Control.FIRST_VOTE_SPIKES,
    "most_votes": Control.TOP_VOTES,
    "last_owner": Control.LAST_OWNER,
    "seed": Control.SEED,
    "phase": Control.PHASE,
    "carries": Control.CARRIES,
    "is_decided": Control.IS_DECIDED,
}
"""For each counter of the sample, by its key in a snapshot: its place in a session's memory."""

MAX_COUNT: Final = 2**62
"""Maximum of a count. Adding to it cannot overflow 64 bits within a session's lifetime."""

_BOUNDS: Final = {
    "time_us": (-limits.MAX_TIME_US, limits.MAX_TIME_US),
    "seed": (-(2**63), 2**63 - 1),  # an unsigned seed, stored as a signed integer
    "carries": (0, 1),
    "is_decided": (0, 1),
}
"""Bounds of the counters that are not counts."""

_PHASES: Final = (Phase.BETWEEN_PASSES, Phase.STOPPED)
"""Phases of a session in which a snapshot can be taken."""


def read_counters(value: object, plan: ExecutionPlan) -> dict[str, int]:
    """Return the counters of a sample, by name.

    Raises:
        SnapshotError: no sample can have these counters.
        BundleError: a counter is missing or unknown.
    """
    counters = as_map("counters", value, tuple(COUNTERS))
    for name in COUNTERS:
        low, high = _BOUNDS.get(name, (-1, MAX_COUNT))
        read_integer(f"counters.{name}", counters[name], low, high)
    if counters["phase"] not in _PHASES:
        requirement = f"one of {[int(phase) for phase in _PHASES]}"
        raise SnapshotError(must_be("counters.phase", requirement, str(counters["phase"])))
    if not counters["is_decided"]:
        read_integer("counters.pass", counters["pass"], -1, limits.MAX_PASSES - 1)
    read_integer("counters.last_owner", counters["last_owner"], -1, len(plan.layout.names) - 1)
    _check_time(counters, plan.packed.model.timestep_us)
    return counters


def _check_time(counters: dict[str, int], timestep_us: int) -> None:
    time_us, number = counters["time_us"], counters["pass"]
    if number >= 0:
        fits = time_us == number * timestep_us if timestep_us else time_us >= 0
    else:  # without a pass in this sample, the latest pass may be one of the window before
        fits = time_us <= 0 if counters["carries"] else time_us == 0
    if not fits:
        raise SnapshotError(must_be("counters.time_us", f"the time of pass {number}", str(time_us)))


def read_in_flight(value: object, plan: ExecutionPlan, time_us: int) -> NDArray[np.int64]:
    """Return the spikes in flight.

    Args:
        value: map of an array i64[5, n] with the columns of ``InFlight``.
        plan: execution plan of the session.
        time_us: time of the latest pass, µs.

    Raises:
        SnapshotError: the network cannot have sent these spikes.
        BundleError: ``value`` is not an array.
    """
    due = as_array("due", value, "<i8")
    if due.ndim != 2 or due.shape[0] != len(InFlight):
        requirement = f"of shape [{len(InFlight)}, n]"
        raise SnapshotError(must_be("due", requirement, f"shape {list(due.shape)}"))
    if due.shape[1] > limits.MAX_QUEUED_EVENTS:
        requirement = f"a list of at most {limits.MAX_QUEUED_EVENTS} spikes"
        raise SnapshotError(must_be("due", requirement, f"{due.shape[1]}"))
    for k, spike in enumerate(due.T.tolist()):
        _check_in_flight(f"due[{k}]", spike, plan.packed.model, time_us)
    return due


def _check_in_flight(path: str, spike: list[int], model: Model, time_us: int) -> None:
    due_us, fired_us, number, origin, count = spike
    if not 0 <= number < len(model.connections) or not model.connections[number].delay_us:
        raise SnapshotError(must_be(path, "on a connection with a delay", f"connection {number}"))
    connection = model.connections[number]
    if connection.source == INPUT:
        start, stop = model.size, model.size + model.input_size
    else:
        start, stop = model.starts[model.index(connection.source) :][:2]
    if not (
        start <= origin < stop
        and 1 <= count <= 2**31
        and -limits.MAX_TIME_US <= fired_us <= time_us < due_us
        and due_us == fired_us + connection.delay_us
    ):
        requirement = (
            f"a spike of {connection.source!r} that fired up to {time_us} µs and is due after it, "
            "by the delay of its connection"
        )
        raise SnapshotError(must_be(path, requirement, f"{spike}"))


def last_time_us(timestep_us: int, max_passes: int) -> int:
    """Return the latest time of an event of a sample: its pass must be within the limit."""
    if not timestep_us:
        return limits.MAX_TIME_US
    return min(limits.MAX_TIME_US, max_passes * timestep_us - 1)


def check_end(
    last_us: int, waiting: SpikeTrain, number: int, due: NDArray[np.int64], timestep_us: int
) -> None:
    """Check that a sample has run up to its last event, or that events wait for the passes left.

    A made-up time would otherwise let the network run on by itself for years.

    Args:
        last_us: time of the sample's last event, µs; -1 if there was none.
        waiting: events that no pass has read.
        number: number of the latest pass; -1 if there was none.
        due: spikes in flight.
        timestep_us: timestep of the network, µs.

    Raises:
        SnapshotError: no event waits for the passes that are left.
    """
    waiting_us = int(waiting.t_us[-1]) if len(waiting) else -1
    if timestep_us:
        # `Session.advance` may have ended within the next pass, which further events can reach.
        latest_us = (max(number + 1, waiting_us // timestep_us) + 1) * timestep_us - 1
    elif len(waiting):
        latest_us = waiting_us
    else:
        latest_us = int(due[InFlight.DUE_US].min(initial=limits.MAX_TIME_US + 1)) - 1
    if last_us > latest_us:
        requirement = f"at most {latest_us}, because no later event waits for a pass"
        raise SnapshotError(must_be("last_us", requirement, str(last_us)))


def read_integer(path: str, value: object, low: int, high: int) -> int:
    """Return ``value`` if it is an integer from ``low`` to ``high``.

    Raises:
        SnapshotError: ``value`` is not an integer or out of range.
    """
    return check_int(path, value, low, high, SnapshotError)


def read_counts(path: str, value: object, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return an array of counts of this shape; -1 stands for "never".

    Raises:
        SnapshotError: the array has another shape, or a value is not a count.
        BundleError: ``value`` is not an array.
    """
    array = as_array(path, value, "<i8")
    if array.shape != shape or array.min(initial=0) < -1 or array.max(initial=0) > MAX_COUNT:
        raise SnapshotError(f"`{path}` must be counts of shape {list(shape)}")
    return array


def read_state(path: str, value: object, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an array of state variables, f32 of this shape.

    Raises:
        SnapshotError: the array has another shape.
        BundleError: ``value`` is not an array.
    """
    array = as_array(path, value, "<f4")
    if array.shape != shape:
        raise SnapshotError(must_be(path, f"of shape {list(shape)}", f"shape {list(array.shape)}"))
    return array
