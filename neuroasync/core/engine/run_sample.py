"""One sample without an event loop: what replays, golden samples and tests run."""

from collections.abc import Callable
from typing import Final

import numpy as np

from neuroasync import limits
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import LimitError

__all__ = ["BREATH", "check_duration", "check_passes", "end_of", "feed_sample", "run_sample"]


BREATH: Final = 10_000_000
"""Synaptic operations between two questions whether to go on: some 10 ms."""


def run_sample(
    forward: Simulator,
    events: SpikeTrain,
    seed: int = 0,
    duration_us: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> Decision:
    """Run one sample to its end; its wall time is reported as 0.

    Args:
        forward: of the network; whatever it held is lost.
        events: the whole input.
        seed: of the sample's order keys.
        duration_us: length of the sample; without, it ends with its last event.
        check: called now and then; what it raises abandons the sample.

    Raises:
        SpikeFileError: an event is not one of the network's inputs.
        LimitError: the sample has too many passes.
        ForwardStepLimitError: a pass did not end.
        PolicyError, StopRuleError: a policy or rule of the user's failed.
    """
    end_us = end_of(events, duration_us)
    check_passes(forward.plan, end_us)
    feed_sample(forward, events, seed)
    if forward.plan.is_built_in:
        while not forward.advance(end_us, BREATH):
            check()
    else:
        while (reached := forward.run_to_delivery(end_us)) is not None:
            for p in reached:
                forward.integrate(p)
            check()
    decision = forward.decision(0.0)
    forward.leave()
    return decision


def feed_sample(forward: Simulator, events: SpikeTrain, seed: int) -> None:
    """Begin a sample, and give it its events; queued ones in (time, index) order.

    Raises:
        SpikeFileError: an event is not one of the network's inputs.
    """
    events.check_indices(forward.plan.wiring.model.input_size)
    forward.begin(seed)
    index = events.index
    if forward.plan.run.input == "queued":
        index = index[np.lexsort((index, events.t_us))]
    forward.feed(events.t_us, index)


def end_of(events: SpikeTrain, duration_us: int | None) -> int:
    """Passes of a sample take place at virtual times up to this one, µs."""
    if duration_us is not None:
        return duration_us - 1
    return int(events.t_us[-1]) if len(events) else -1


def check_passes(plan: ExecutionPlan, end_us: int) -> None:
    """Raise LimitError for a sample of too many passes, where that can be told beforehand."""
    timestep = plan.wiring.model.timestep_us
    if timestep and end_us // timestep >= limits.MAX_PASSES:
        raise LimitError(
            f"a sample of {end_us} µs has {end_us // timestep + 1} timesteps of {timestep} µs; "
            f"the limit is {limits.MAX_PASSES} passes"
        )


def check_duration(duration_us: int, last_us: int) -> None:
    """Raise ValueError unless a sample can last so long.

    Args:
        duration_us: its length, µs.
        last_us: time of its last event; -1 if it has none.
    """
    if type(duration_us) is not int or not last_us < duration_us <= limits.MAX_TIME_US:
        above = f"the time of the last event, {last_us} µs" if last_us >= 0 else "-1"
        raise ValueError(
            f"duration_us: {duration_us!r:.80}, expected an integer above {above}, "
            f"and at most {limits.MAX_TIME_US}"
        )
