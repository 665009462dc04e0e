"""The virtual-clock scheduler: drives the population coroutines through a pass."""

import asyncio
import time
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.compiled import advance_sample, can_compile
from neuroasync.errors import ClosedError, LimitError
from neuroasync.forward import Forward
from neuroasync.kernels import layout as lay
from neuroasync.kernels.advance import work_so_far
from neuroasync.population import PopulationCoroutine
from neuroasync.ports import DrivenPort, TaskPort
from neuroasync.tap import Tap, TappedSpikes
from neuroasync.turns import Turns

__all__ = ["Scheduler"]


class Scheduler:
    """Runs the passes of one session, one at a time.

    Populations of neurons are resumed directly while they await spike events; those of the user
    are tasks, which may await anything. After each forward step it lets the event loop run if
    this turn's time budget, shared with all other sessions of the loop, is spent.

    Args:
        forward: what a pass does.
        own: the user's populations, by name.
        taps: listeners, by position of the population.
        tasks: where the tasks of the user's populations live.
        session: number of the session, for taps.
    """

    def __init__(
        self,
        forward: Forward,
        own: Mapping[str, PopulationCoroutine],
        taps: Mapping[int, Collection[Tap]],
        tasks: asyncio.TaskGroup,
        session: int,
    ) -> None:
        self.forward = forward
        self.sample = 0
        self._own = own
        self._taps = taps
        self._tasks = tasks
        self._session = session
        self._turns = Turns.of_running_loop()
        self._is_closed = False
        self._driven: dict[int, DrivenPort] = {}
        self._external: dict[int, TaskPort] = {}

    async def run(self, t_us: NDArray[np.int64], index: NDArray[np.int64], end_us: int) -> int:
        """Run every pass at a virtual time up to ``end_us``, unless the stop rule ends the sample.

        Cancellation: the pass is left where it is, and the populations without a spike in
        hand; call :meth:`restart` and begin a new sample.

        Args:
            t_us: i64[events], ascending.
            index: i64[events], flattened input indices, ascending within a time.
            end_us: virtual time, µs.

        Returns:
            How many of the events were read.

        Raises:
            PopulationError: a population of the user's failed.
            ForwardStepLimitError, PolicyError: see :meth:`Forward.next_step`.
            LimitError: the sample took too many passes.
            ClosedError: the session was closed meanwhile.
            ValueError: the compiled engine was asked for and does not apply.
        """
        if self._turns.spent():
            await self._pause()
        if self._compiles():
            return await self._run_compiled(t_us, index, end_us)
        if not self._driven and not self._external:
            self._start_populations()
        forward, width, read = self.forward, max(self.forward.wiring.model.timestep_us, 1), 0
        while not forward.is_stopped:
            time_us = forward.next_pass_us(int(t_us[read]) if read < t_us.size else None)
            if time_us is None or time_us > end_us:
                break
            first, read = read, int(np.searchsorted(t_us, time_us + width))
            self._check_passes()
            await self._run_pass(time_us, index[first:read])
        return read

    async def _run_pass(self, t_us: int, index: NDArray[np.int64]) -> None:
        """Run the pass at ``t_us`` until nothing is pending or the stop rule says stop."""
        forward = self.forward
        forward.open_pass(t_us, index)
        while True:
            if self._external:
                await self._deliver_to_all()
            else:
                for p in forward.reached():
                    port = self._driven[p]
                    port.deliver()
                    self._admit(p, port.collect())
            if forward.stopped():
                return
            if self._turns.spent():
                await self._pause()
            if not forward.next_step():
                return

    async def _run_compiled(
        self, t_us: NDArray[np.int64], index: NDArray[np.int64], end_us: int
    ) -> int:
        forward, neurons = self.forward, self.forward.wiring.model.size
        control = forward.state.arrays.control
        control[lay.CURSOR] = 0
        while True:
            before, began = int(work_so_far(control, neurons)), time.perf_counter()
            if advance_sample(forward, t_us, index, end_us, self._turns.work()):
                return int(control[lay.CURSOR])
            seconds = time.perf_counter() - began
            self._turns.measured(int(work_so_far(control, neurons)) - before, seconds)
            self._check_passes()
            if self._turns.spent():
                await self._pause()

    def _check_passes(self) -> None:
        """Without a timestep, spikes on delayed connections may call for passes without end."""
        if self.forward.passes > limits.MAX_PASSES:
            raise LimitError(
                f"the sample took {self.forward.passes} passes by t = {self.forward.time_us} µs; "
                f"the limit is {limits.MAX_PASSES}"
            )

    def _compiles(self) -> bool:
        """Whether the compiled engine runs the next passes."""
        engine = self.forward.settings.engine
        if engine == "coroutines":
            return False
        tapped = any(not tap.is_closed for taps in self._taps.values() for tap in taps)
        if not tapped and can_compile(self.forward):
            return True
        if engine == "auto":
            return False
        why = "a tap" if tapped else "a policy, stop rule or population of your own"
        raise ValueError(f"engine: 'compiled' has no coroutines for {why}; use 'auto'")

    async def _pause(self) -> None:
        await self._turns.pause()
        self._check_open()

    def restart(self) -> None:
        """End the populations after a cancelled or failed pass; the next pass starts others."""
        self._end_populations()

    def close(self) -> None:
        """End all population coroutines; a pass that is suspended raises ClosedError."""
        self._is_closed = True
        self._end_populations()

    async def _deliver_to_all(self) -> None:
        reached = self.forward.reached()
        for p in reached:  # the user's populations work on it side by side
            if p in self._external:
                self._external[p].deliver(self.sample)
        reports = {}
        for p in reached:
            if p in self._driven:
                self._driven[p].deliver()
                reports[p] = self._driven[p].collect()
            else:
                reports[p] = await self._external[p].collect()
                self._check_open()
        for p in reached:
            self._admit(p, reports[p])

    def _admit(self, p: int, fired: NDArray[np.int64]) -> None:
        self.forward.admit(p, fired)
        if fired.size and (taps := self._taps.get(p)):
            f = self.forward
            neurons = fired - f.wiring.model.starts[p]
            item = TappedSpikes(
                self._session, self.sample, f.passes - 1, f.step, f.time_us, neurons
            )
            for tap in tuple(taps):
                tap.push(item)

    def _start_populations(self) -> None:
        for p, population in enumerate(self.forward.wiring.model.populations):
            if (own := self._own.get(population.name)) is None:
                self._driven[p] = DrivenPort(self.forward, p)
            else:
                self._external[p] = TaskPort(self.forward, p, own, self._tasks)

    def _end_populations(self) -> None:
        for driven in self._driven.values():
            driven.close()
        for external in self._external.values():
            external.close()
        self._driven.clear()
        self._external.clear()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the session was closed while it was deciding")
