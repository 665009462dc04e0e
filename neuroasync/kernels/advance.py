"""The whole loop of a sample, made of the same kernels that the coroutine engine calls."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroasync.kernels import layout as lay
from neuroasync.kernels.arrivals import note_delayed, open_group, reached_populations
from neuroasync.kernels.decide import should_stop
from neuroasync.kernels.fire import (
    evaluate,
    gather_current,
    late_population,
    list_late,
    start_pass,
)
from neuroasync.kernels.jit import kernel
from neuroasync.kernels.pending import admit, choose, take

__all__ = ["Arrays", "Wires", "advance", "next_pass_time", "start_late_step", "work_so_far"]

_NEURONS_A_SYNOP: Final = 4
"""How many neurons decay in the time of a synaptic operation, or so."""
_STEP_COST: Final = 64
"""What a forward step costs besides its synaptic operations, in synaptic operations."""


class Wires(NamedTuple):
    """What sessions share: the packed network. Columns: see ``layout``."""

    populations: NDArray[np.int64]
    connections: NDArray[np.int64]
    links: NDArray[np.int64]
    weights: NDArray[np.float32]
    thresholds: NDArray[np.float32]


class Arrays(NamedTuple):
    """State and scratch of one session. Columns: see ``layout``."""

    decay: NDArray[np.float32]
    potential: NDArray[np.float32]
    marks: NDArray[np.int32]
    pending: NDArray[np.int64]
    keys: NDArray[np.uint64]
    chosen: NDArray[np.int64]
    group: NDArray[np.int64]
    due: NDArray[np.int64]
    rows: NDArray[np.int64]
    row_potential: NDArray[np.float32]
    slots: NDArray[np.int64]
    votes: NDArray[np.int64]
    spikes: NDArray[np.int64]
    touched: NDArray[np.int64]
    fired: NDArray[np.int64]
    reached: NDArray[np.int64]
    control: NDArray[np.int64]
    settings: NDArray[np.int64]
    peaks: NDArray[np.float32]
    peak_steps: NDArray[np.int32]


@kernel
def advance(wires, arrays, t_us, index, end_us, noise, dropout, work):
    """Run passes until the sample ends, its stop rule says stop, or something is needed.

    Calling it again goes on where it returned.

    Args:
        wires: the network.
        arrays: the session's state.
        t_us: i64[events], ascending.
        index: i64[events], flattened input indices, ascending within a time.
        end_us: passes at virtual times up to this one take place.
        noise: λ of the momentum order.
        dropout: probability that a spike leaves its neuron non-refractory (training only).
        work: about how many synaptic operations may be spent before returning.

    Returns:
        Why: ``DONE``, ``BUDGET_SPENT``, ``NEEDS_DECAY`` (for the interval now in
        ``control[INTERVAL]``), ``NEEDS_ROOM`` (an array or log is full), ``STEP_LIMIT``.
    """
    # Every array is a local of this one loop: numba counts references whenever a tuple is
    # passed on, which would cost more than the arithmetic.
    populations, connections, links, weights, thresholds = wires
    (
        decay, potential, marks, pending, keys, chosen, group, due, rows, row_potential, slots,
        votes, spikes, touched, fired, reached, control, settings, peaks, peak_steps,
    ) = arrays  # fmt: skip
    neurons, timestep = potential.shape[1], settings[lay.TIMESTEP]
    spent = work_so_far(control, neurons)
    while control[lay.PHASE] != lay.STOPPED:
        opens = control[lay.PHASE] == lay.BETWEEN_PASSES
        late, n, first, last = -1, 0, control[lay.CURSOR], control[lay.CURSOR]
        if opens:
            time = next_pass_time(t_us, due, control, timestep)
            if time < 0 or time > end_us:
                return lay.DONE
            while last < t_us.size and t_us[last] < time + max(timestep, 1):
                last += 1
            n = last - first + control[lay.DUE]
        else:
            n = control[lay.PENDING]
        if not (
            rows.shape[1] - control[lay.ROWS] >= neurons
            and slots.shape[1] - control[lay.SLOTS] >= n
            and due.shape[1] - control[lay.DUE] >= n * settings[lay.FAN_DELAYED]
            and group.shape[1] >= n
            and pending.shape[1] >= neurons + n
        ):
            return lay.NEEDS_ROOM
        if opens:
            decays = control[lay.PASS] >= 0
            if decays and control[lay.INTERVAL] != time - control[lay.TIME]:
                control[lay.INTERVAL] = time - control[lay.TIME]
                return lay.NEEDS_DECAY
            control[lay.PASS] += 1
            control[lay.TIME] = time
            control[lay.CURSOR] = last
            control[lay.PHASE] = lay.IN_PASS
            start_pass(
                decays, populations, connections, weights, decay, potential, marks, peaks,
                peak_steps, control[lay.PASS],
            )  # fmt: skip
            open_group(
                index[first:last], populations, due, group, pending, slots, control, settings
            )
        elif n > 0:
            if control[lay.STEP] >= settings[lay.MAX_STEPS]:
                return lay.STEP_LIMIT
            n = choose(populations, potential, pending, keys, chosen, control, settings, noise)
            take(chosen, n, populations, marks, pending, group, slots, control, settings)
        else:
            late = late_population(populations, thresholds, potential, marks, control)
            if late < 0:
                control[lay.PHASE] = lay.BETWEEN_PASSES
                continue
            if control[lay.STEP] >= settings[lay.MAX_STEPS]:
                return lay.STEP_LIMIT
            start_late_step(control)
        if settings[lay.FAN_DELAYED]:
            note_delayed(populations, connections, links, due, group, control)
        reached_populations(populations, connections, links, group, control, reached)
        for p in range(reached.size):
            if p == late:
                n = list_late(p, populations, thresholds, potential, marks, control, touched)
            elif reached[p]:
                n = gather_current(
                    p, populations, connections, links, weights, potential, marks, group, control,
                    touched,
                )  # fmt: skip
            else:
                continue
            n = evaluate(
                p, n, populations, thresholds, potential, marks, touched, control, peaks,
                peak_steps, settings, dropout, fired, 0,
            )  # fmt: skip
            admit(
                p, fired, n, populations, potential, marks, pending, rows, row_potential, votes,
                spikes, control, settings,
            )  # fmt: skip
        if should_stop(votes, control, settings):
            control[lay.PHASE] = lay.STOPPED
        if work_so_far(control, neurons) - spent > work:
            return lay.BUDGET_SPENT
    return lay.DONE


@kernel
def work_so_far(control, neurons):
    """What the sample has cost so far: its steps and passes, too, in synaptic operations."""
    passes = (control[lay.PASS] + 1) * (neurons // _NEURONS_A_SYNOP)
    return control[lay.SYNOPS] + _STEP_COST * control[lay.SERIAL] + passes


@kernel
def next_pass_time(t_us, due, control, timestep):
    """Virtual time of the next pass, or -1 if nothing calls for one."""
    if timestep > 0:
        return (control[lay.PASS] + 1) * timestep
    time = np.int64(-1)
    if control[lay.CURSOR] < t_us.size:
        time = t_us[control[lay.CURSOR]]
    for k in range(control[lay.DUE]):
        if time < 0 or due[lay.DUE_AT, k] < time:
            time = due[lay.DUE_AT, k]
    return time


@kernel
def start_late_step(control):
    """Open a forward step that delivers nothing, for neurons that fire late."""
    control[lay.STEP] += 1
    control[lay.STEPS] += 1
    control[lay.SERIAL] += 1
    control[lay.GROUP] = 0
