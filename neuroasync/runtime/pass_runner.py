"""Runs the passes of a session's samples, and drops the events that they have read."""

from typing import Final

from neuroasync.errors import LimitError
from neuroasync.runtime.input.many_events import is_many
from neuroasync.runtime.input.sample_input import SampleInput
from neuroasync.runtime.scheduler import Scheduler

__all__ = ["PassRunner"]

_SILENT_PASSES: Final = 10_000
"""Passes to run before checking again whether the network is quiescent."""

_DECAYS_PER_TURN: Final = 2_000_000
"""Neuron decays (neurons times passes) to compute before the event loop runs again: about 1 ms."""


class PassRunner:
    """The passes of one session's samples.

    Most passes need no wait, and a coroutine takes time. Callers therefore try the method whose
    name ends in ``_now`` first.

    Args:
        scheduler: runs the passes.
        sample_input: the events that they read.
    """

    __slots__ = ("_buffer", "_input", "_scheduler", "_simulator", "_timestep_us")

    def __init__(self, scheduler: Scheduler, sample_input: SampleInput) -> None:
        self._scheduler = scheduler
        self._simulator = scheduler.simulator
        self._input = sample_input
        self._buffer = sample_input.buffer
        self._timestep_us = scheduler.simulator.plan.packed.model.timestep_us

    def run_now(self, end_us: int) -> bool:
        """Run every pass up to ``end_us``, if that needs no wait.

        Returns:
            Whether all ran. If not, the caller must await :meth:`run_until` with the same
            argument, or call :meth:`SampleRunner.abandon`.
        """
        if end_us < 0 or self._simulator.is_stopped:
            return True
        buffer = self._buffer
        if is_many(buffer.waiting) or not self._scheduler.run_now(buffer.events, end_us):
            return False
        buffer.drop(self._unneeded())
        return True

    async def run_until(self, end_us: int) -> None:
        """Run every pass at a virtual time up to and including ``end_us``.

        Cancellation: the sample is incomplete; call :meth:`SampleRunner.abandon`.
        """
        if end_us >= 0 and not self._simulator.is_stopped:
            buffer = self._buffer
            if is_many(buffer.waiting) and is_many(buffer.unmerged):
                await self._input.merge_in_thread()
                self._scheduler.check_open()
            await self._scheduler.run(buffer.events, end_us)
            unneeded = self._unneeded()
            if not is_many(unneeded):
                buffer.drop(unneeded)
            else:  # freeing the memory of many events takes about as long as a time slice
                await self._scheduler.yield_if_due()
                buffer.drop(unneeded)
                await self._scheduler.yield_if_due()

    def _unneeded(self) -> int:
        """Return how many of the waiting events were read, or come too late to be."""
        simulator = self._simulator
        return self._buffer.waiting if simulator.is_stopped else simulator.events_consumed

    def run_ready_now(self) -> bool:
        """Run every pass that has all its events, if that needs no wait.

        Returns:
            Whether all ran. If not, the caller must await :meth:`run_ready`, or call
            :meth:`SampleRunner.abandon`.
        """
        end_us = self._ready_until_us()
        return self.run_now(end_us) if end_us >= 0 else not self._scheduler.must_wait()

    async def run_ready(self) -> None:
        """Run every pass that has all its events. Cancellation: as :meth:`run_until`."""
        if self._scheduler.is_midway:  # the passes count as begun
            await self.run_until(self._buffer.ready_until_us())
        elif (end_us := self._ready_until_us()) < 0:
            await self._scheduler.yield_if_due()  # no timestep is complete
        else:
            await self.run_until(end_us)

    def _ready_until_us(self) -> int:
        """Return the time up to which passes can run now, µs; -1 if there is none to run."""
        end_us = self._buffer.ready_until_us()
        # Without a timestep, the input alone says whether there is a pass.
        timestep_us = self._timestep_us
        return -1 if timestep_us and end_us < self._simulator.passes * timestep_us else end_us

    async def run_gap(self, until_us: int) -> None:
        """Run every pass before ``until_us``; compute idle passes, which only decay, at once.

        The sample must have no unread events. Cancellation: as :meth:`run_until`.

        Args:
            until_us: time of the sample, µs.

        Raises:
            LimitError: there are too many passes and the network never becomes quiescent.
        """
        simulator, timestep_us = self._simulator, self._timestep_us
        max_passes = simulator.plan.run.max_passes
        t_us, first_pass = simulator.watermark_us, simulator.passes
        while not simulator.is_quiescent:
            if t_us >= until_us:
                return
            if simulator.passes - first_pass > max_passes:
                raise LimitError(
                    f"the gap between two windows exceeds {max_passes} passes (`max_passes`) and "
                    "the network never becomes quiescent; use carry_state=False or a shorter gap"
                )
            t_us = min(t_us + _SILENT_PASSES * (timestep_us or 1000), until_us)
            await self.run_until(t_us - 1)
        if not timestep_us:
            return  # an event-driven network decays when its next event arrives
        remaining = until_us // timestep_us - simulator.passes
        batch = max(_DECAYS_PER_TURN // simulator.plan.packed.model.size, 1)
        while remaining > 0 and simulator.skip_idle_passes(min(batch, remaining)):
            remaining -= batch
            await self._scheduler.yield_if_due()
        simulator.release_scratch()
