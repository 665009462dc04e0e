"""Run a sample with each engine, and return a result of the reference simulator's type."""

from collections.abc import Callable, Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.network_state import NetworkState
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import Policy
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import Progress, parse_stop_rule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.values import Values
from neuroasync.core.kernels.delivery.event_values import unpack
from neuroasync.core.kernels.layout import Context, Control, Votes
from neuroasync.core.kernels.voting import leader
from neuroasync.core.model.model import Model
from tests.helpers.reference.result import Result, Slot

__all__ = ["advanced", "compiled", "events_of", "stepwise", "take_steps"]


def stepwise(
    model: Model,
    train: SpikeTrain,
    policy: Policy,
    group_size: int = 1,
    input_mode: str = "prioritised",
    seed: int = 0,
    until: str | Callable[[Progress], bool] = "quiet",
    duration_us: int | None = None,
    max_forward_steps: int = 1_000_000,
) -> Result:
    """Run one sample with :class:`Simulator`, one forward step at a time."""
    settings = RunSettings(
        policy, group_size, input_mode, parse_stop_rule(until), max_forward_steps
    )
    simulator = Simulator(ExecutionPlan(PackedNetwork(model), settings))
    return take_steps(simulator, train, seed, duration_us)


def take_steps(
    simulator: Simulator, train: SpikeTrain, seed: int = 0, duration_us: int | None = None
) -> Result:
    """Start a sample and run all its forward steps."""
    model = simulator.plan.packed.model
    simulator.state.keep = True
    simulator.begin(seed)
    t_us, index, value = events_of(train)
    simulator.feed(t_us, index, value)
    while (reached := simulator.run_to_delivery(_last_pass(model, t_us, duration_us))) is not None:
        for p in reached:
            simulator.integrate(p)
    decision = simulator.decision(0.0)
    result = _result(simulator.state, decision.stopped)
    _check_decision(result, decision, model)
    return result


def compiled(
    model: Model,
    train: SpikeTrain,
    policy: Policy,
    group_size: int = 1,
    input_mode: str = "prioritised",
    seed: int = 0,
    until: str = "quiet",
    duration_us: int | None = None,
    max_forward_steps: int = 1_000_000,
    work: int = 2**60,
    log: int | None = None,
) -> Result:
    """Run one sample with the compiled loop.

    Args:
        model, train, policy, group_size, input_mode, seed, until, duration_us,
        max_forward_steps: As in :func:`stepwise`.
        work: Number of synaptic operations after which the compiled loop returns to Python.
        log: Capacity of the logs beyond the need of one step. None keeps the default capacity.
    """
    settings = RunSettings(
        policy, group_size, input_mode, parse_stop_rule(until), max_forward_steps
    )
    simulator = Simulator(ExecutionPlan(PackedNetwork(model), settings))
    simulator.state.keep = True
    simulator.begin(seed)
    if log is not None:
        _shrink(simulator.state, log)
    return advanced(simulator, train, duration_us, work)


def advanced(
    simulator: Simulator, train: SpikeTrain, duration_us: int | None = None, work: int = 2**60
) -> Result:
    """Run the compiled loop until a sample that ``simulator`` has begun is complete."""
    t_us, index, value = events_of(train)
    simulator.feed(t_us, index, value)
    end_us = _last_pass(simulator.plan.packed.model, t_us, duration_us)
    while not simulator.run_compiled(end_us, work):
        pass
    return _result(simulator.state, simulator.is_stopped)


def events_of(train: SpikeTrain) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """Return the times, indices and values in (time, index) order."""
    order = np.lexsort((train.index, train.t_us))
    value = None if train.value is None else train.value[order]
    return train.t_us[order], train.index[order], value


def _last_pass(model: Model, t_us: NDArray[np.int64], duration_us: int | None) -> int:
    """Return the latest time at which a pass may start, µs; -1 if there is no pass."""
    if duration_us is not None:
        return duration_us - 1
    return int(t_us[-1]) if t_us.size else -1


def _shrink(state: NetworkState, log: int) -> None:
    """Reduce the arrays of the state to their minimum capacity."""
    scratch, n = state.acquire_scratch(), state.plan.packed.model.size
    for column, capacity_column, capacity in (
        (Context.PENDING, Context.PENDING_CAPACITY, n + log),
        (Context.GROUP, Context.GROUP_CAPACITY, log),
        (Context.SPIKE_LOG, Context.SPIKE_LOG_CAPACITY, n + log),
        (Context.DELIVERY_LOG, Context.DELIVERY_LOG_CAPACITY, log + 1),
    ):
        scratch._hold(column, scratch._arrays[column][:, :capacity].copy())
        scratch.context[capacity_column] = capacity


def _result(state: NetworkState, stopped: bool) -> Result:
    """Return the result of a sample from the logs and counters of the state."""
    state.flush()
    state.apply_decay()
    votes, control = state.votes, state.control.tolist()
    rows, slots = _columns(state.spike_log_blocks), _columns(state.delivery_log_blocks)
    label = int(leader(votes))
    readout = state.plan.layout.readout(state.head)
    if readout is not None:
        label = int(np.argmax(readout)) if control[Control.PASS] >= 0 else -1
    led = votes[[Votes.LED_SPIKES, Votes.LED_STEPS, Votes.LED_ROUNDS]].T.tolist()
    first = tuple(
        control[c]
        for c in (Control.FIRST_VOTE_SPIKES, Control.FIRST_VOTE_STEPS, Control.FIRST_VOTE_ROUNDS)
    )
    return Result(
        rows=[row[:4] for row in rows],
        groups=[
            (*at, tuple(_with_value(slot[2:]) for slot in group))
            for at, group in groupby(slots, key=lambda slot: slot[:2])
        ],
        v=tuple(state.potential),
        extras=_extras(state),
        m=tuple(state.momentum),
        votes=votes[Votes.COUNT].tolist(),
        label=None if label < 0 else label,
        stopped=stopped,
        t_us=control[Control.TIME] if control[Control.PASS] >= 0 else -1,
        passes=control[Control.PASS] + 1,
        steps=control[Control.STEPS],
        rounds=control[Control.ROUNDS],
        synops=control[Control.SYNOPS],
        input_events=control[Control.INPUT_EVENTS],
        first_spike=first if first[1] >= 0 else None,
        first_led={c: tuple(at) for c, at in enumerate(led) if at[0]},
        undelivered=control[Control.IN_FLIGHT],
    )


def _with_value(slot: tuple[int, ...]) -> Slot:
    """Return the slot of a group; its count is (number of events, factor) if it has values."""
    key, origin, count, via = slot
    events, factors = unpack(np.array([count]))
    if count >> 32:
        factor = float(events[0]) if factors is None else float(factors[0])
        return key, origin, (int(events[0]), factor), via
    return key, origin, count, via


def _extras(state: NetworkState) -> tuple[tuple[float, ...], ...]:
    """Return the variables that few neurons have, as a tuple for each neuron."""
    extras = state.extra_state
    if extras is None:
        return ((0.0, 0.0, 0.0),) * state.plan.packed.model.size
    return tuple(map(tuple, extras.T))


def _columns(blocks: list[NDArray[np.int64]] | None) -> Iterator[tuple[int, ...]]:
    """Yield the columns of the logged blocks as tuples."""
    for block in blocks or []:
        yield from map(tuple, block.T.tolist())


def _check_decision(result: Result, decision: Decision, model: Model) -> None:
    """Check that the decision has the values of the state."""
    names = ("label", "stopped", "t_us", "passes", "steps", "rounds", "synops", "input_events")
    for name in (*names, "first_spike", "first_led", "undelivered"):
        assert getattr(decision, name) == getattr(result, name), name
    assert decision.votes.tolist() == result.votes
    fired = np.bincount([row[3] for row in result.rows], minlength=model.size)
    by_population = np.split(fired, model.starts[1:-1])
    assert list(decision.spikes.values()) == [int(part.sum()) for part in by_population]
