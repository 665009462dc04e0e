"""What a snapshot must be: its counters and arrays, one by one."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.formats.field_checks import as_array, as_map
from neuroasync.core.kernels.layout import Control, InFlight, Phase
from neuroasync.core.model.connections import INPUT
from neuroasync.errors import SnapshotError

__all__ = ["COUNTERS", "MOST", "checked_counters", "checked_due", "counts", "floats", "integer"]

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
"""Counters of the sample, and where they stand in a session's memory."""
MOST: Final = 2**62
_BOUNDS: Final = {
    "time_us": (-limits.MAX_TIME_US, limits.MAX_TIME_US),
    "carries": (0, 1),
    "is_decided": (0, 1),
}
_PHASES: Final = (Phase.BETWEEN_PASSES, Phase.STOPPED)


def checked_counters(value: object, plan: ExecutionPlan) -> dict[str, int]:
    """The counters by name, if a sample can have them. Raises SnapshotError."""
    found = as_map("counters", value, tuple(COUNTERS))
    for name in COUNTERS:
        least, most = (-(2**63), 2**63 - 1) if name == "seed" else _BOUNDS.get(name, (-1, MOST))
        integer(f"counters.{name}", found[name], least, most)
    if found["phase"] not in _PHASES:
        raise SnapshotError(f"counters.phase: {found['phase']}, expected one of {list(_PHASES)}")
    if not found["is_decided"]:
        integer("counters.pass", found["pass"], -1, limits.MAX_PASSES - 1)
    integer("counters.last_owner", found["last_owner"], -1, len(plan.names) - 1)
    timestep = plan.packed.model.timestep_us
    time_us, passes = found["time_us"], found["pass"] + 1
    if passes:
        fits = time_us == found["pass"] * timestep if timestep else time_us >= 0
    else:  # that of the latest pass is of the window before
        fits = time_us <= 0 if found["carries"] else time_us == 0
    if not fits:
        raise SnapshotError(f"counters.time_us: {time_us}, which is not that of pass {passes - 1}")
    return found


def checked_due(value: object, plan: ExecutionPlan, time_us: int) -> NDArray[np.int64]:
    """Spikes in flight i64[5, D], if the network can have sent them. Raises SnapshotError."""
    model = plan.packed.model
    due = as_array("due", value, "<i8")
    if due.ndim != 2 or due.shape[0] != len(InFlight):
        raise SnapshotError(f"due: shape {list(due.shape)}, expected [{len(InFlight)}, n]")
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
            and -limits.MAX_TIME_US <= fired_us <= time_us < due_us
            and due_us == fired_us + model.connections[at].delay_us
        ):
            raise SnapshotError(
                f"due[{k}]: {due[:, k].tolist()}, expected a spike of {source!r} that fired by "
                f"{time_us} µs and is due later, by the connection's delay"
            )
    return due


def integer(where: str, value: object, least: int, most: int) -> int:
    """An integer within bounds. Raises SnapshotError."""
    if type(value) is not int or not least <= value <= most:
        raise SnapshotError(f"{where}: {value!r:.80}, expected an integer from {least} to {most}")
    return value


def counts(where: str, value: object, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Counts of this shape. Raises SnapshotError."""
    array = as_array(where, value, "<i8")
    if array.shape != shape or array.min(initial=0) < -1 or array.max(initial=0) > MOST:
        raise SnapshotError(f"{where}: expected counts of shape {list(shape)}")
    return array


def floats(where: str, value: object, size: int) -> NDArray[np.float32]:
    """Floats of this shape. Raises SnapshotError."""
    array = as_array(where, value, "<f4")
    if array.shape != (size,):
        raise SnapshotError(f"{where}: shape {list(array.shape)}, expected [{size}]")
    return array
