"""Runs the network between two windows of a stream, without input."""

from collections.abc import Awaitable, Callable
from typing import Final

from neuroasync.core.engine.simulator import Simulator
from neuroasync.errors import LimitError
from neuroasync.runtime.scheduler import Scheduler

__all__ = ["run_window_gap"]

_SILENT_PASSES: Final = 10_000
"""Passes to run before checking again whether the network is quiescent."""

_DECAYS_PER_TURN: Final = 2_000_000
"""Neuron decays (neurons times passes) to compute before the event loop runs again: about 1 ms."""


async def run_window_gap(
    simulator: Simulator,
    scheduler: Scheduler,
    run_until: Callable[[int], Awaitable[None]],
    until_us: int,
) -> None:
    """Run every pass before ``until_us``. Compute idle passes, which only decay, in one operation.

    Cancellation: the sample is incomplete and must be abandoned.

    Args:
        simulator: the passes of a sample, which has no unread events.
        scheduler: the scheduler of its session.
        run_until: runs every pass up to and including a virtual time, µs.
        until_us: time of the sample, µs.

    Raises:
        LimitError: there are too many passes and the network never becomes quiescent.
    """
    timestep_us = simulator.plan.packed.model.timestep_us
    max_passes = simulator.plan.run.max_passes
    t_us, first_pass = simulator.watermark_us, simulator.passes
    while not simulator.is_quiescent:
        if t_us >= until_us:
            return
        if simulator.passes - first_pass > max_passes:
            raise LimitError(
                f"the gap between two windows exceeds {max_passes} passes (`max_passes`) and the "
                "network never becomes quiescent; use carry_state=False or a shorter gap"
            )
        t_us = min(t_us + _SILENT_PASSES * (timestep_us or 1000), until_us)
        await run_until(t_us - 1)
    if not timestep_us:
        return  # an event-driven network decays when its next event arrives
    remaining = until_us // timestep_us - simulator.passes
    batch = max(_DECAYS_PER_TURN // simulator.plan.packed.model.size, 1)
    while remaining > 0 and simulator.skip_idle_passes(min(batch, remaining)):
        remaining -= batch
        await scheduler.yield_if_due()
    simulator.release_scratch()
