"""Run one sample without an event loop, for replays, golden samples and tests."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.input_buffer import check_duration
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.values import Values
from neuroasync.errors import PassLimitError

__all__ = [
    "WORK_PER_CHECK",
    "check_passes",
    "check_sample",
    "feed_sample",
    "in_queue_order",
    "last_pass_us",
    "run_passes",
    "run_sample",
]


WORK_PER_CHECK: Final = 30_000_000
"""Number of synaptic operations between two calls of ``check``. They take about 10 ms."""


def run_sample(
    simulator: Simulator,
    events: SpikeTrain,
    seed: int = 0,
    duration_us: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> Decision:
    """Run one sample to its end. The wall time of the decision is 0.

    Args:
        simulator: the simulator; its current sample is discarded.
        events: the whole input.
        seed: seed of the sample's order keys.
        duration_us: length of the sample, µs. Defaults to ending with the last event.
        check: called about every 10 ms; an exception that it raises abandons the sample.

    Raises:
        EventsError: an event is not one of the network's inputs.
        PassLimitError: the sample has too many passes.
        ForwardStepLimitError: a pass did not end.
        PolicyError, StopRuleError: a custom policy or stop rule failed.
    """
    end_us = last_pass_us(events, duration_us)
    check_passes(simulator.plan, end_us)
    feed_sample(simulator, events, seed)
    run_passes(simulator, end_us, check)
    decision = simulator.decision(0.0)
    simulator.release_scratch()
    return decision


def run_passes(simulator: Simulator, end_us: int, check: Callable[[], None]) -> None:
    """Run the passes up to a virtual time.

    Args:
        simulator: the simulator, whose sample has its input up to ``end_us``.
        end_us: latest time of a pass, µs.
        check: as for :func:`run_sample`.

    Raises:
        ForwardStepLimitError, PolicyError, StopRuleError: as for :func:`run_sample`.
    """
    if simulator.plan.is_built_in:
        while not simulator.run_compiled(end_us, WORK_PER_CHECK):
            check()
    else:
        while (reached := simulator.run_to_delivery(end_us)) is not None:
            for p in reached:
                simulator.integrate(p)
            check()


def feed_sample(simulator: Simulator, events: SpikeTrain, seed: int) -> None:
    """Begin a sample and feed its events.

    In input mode ``"queued"``, events of the same time are first sorted by index.

    Raises:
        EventsError: an event is not one of the network's inputs.
    """
    events.check_indices(simulator.plan.packed.model.input_size)
    simulator.begin(seed)
    index, value = events.index, events.value
    if simulator.plan.run.input == "queued":
        index, value = in_queue_order(events)
    simulator.feed(events.t_us, index, value)


def in_queue_order(events: SpikeTrain) -> tuple[NDArray[np.int64], Values]:
    """Return the indices and values of events in ascending (time, index) order.

    Events of one time and index stay in their order.
    """
    order = np.lexsort((events.index, events.t_us))
    return events.index[order], None if events.value is None else events.value[order]


def last_pass_us(events: SpikeTrain, duration_us: int | None) -> int:
    """Return the latest virtual time at which the sample can have a pass, µs."""
    if duration_us is not None:
        return duration_us - 1
    return int(events.t_us[-1]) if len(events) else -1


def check_sample(plan: ExecutionPlan, events: SpikeTrain, duration_us: int | None) -> None:
    """Check a whole sample before it runs.

    Raises:
        EventsError: an event is not one of the network's inputs, or comes at or after
            ``duration_us``.
        ValueError: no sample can have this length.
        PassLimitError: the sample has too many passes.
    """
    events.check_indices(plan.packed.model.input_size)
    if duration_us is not None:
        check_duration(duration_us, int(events.t_us[-1]) if len(events) else -1)
    check_passes(plan, last_pass_us(events, duration_us))


def check_passes(plan: ExecutionPlan, end_us: int) -> None:
    """Raise PassLimitError if a network with a timestep would need too many passes."""
    timestep = plan.packed.model.timestep_us
    if timestep and end_us // timestep >= plan.run.max_passes:
        raise PassLimitError(
            f"a sample of {end_us} µs has {end_us // timestep + 1} timesteps of {timestep} µs, "
            f"the limit is {plan.run.max_passes}; times are in µs and count from the start of the "
            "sample"
        )
