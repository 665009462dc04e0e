"""The virtual-clock scheduler: drives the population coroutines through a pass."""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.simulator import Simulator, positions
from neuroasync.core.kernels.entry_points import run_to_delivery
from neuroasync.core.kernels.layout import Interrupt
from neuroasync.errors import ClosedError, PopulationError
from neuroasync.runtime.clock import Clock
from neuroasync.runtime.populations.coroutine import PopulationCoroutine
from neuroasync.runtime.populations.drivers import DirectPopulation, TaskPopulation
from neuroasync.runtime.populations.report_timeout import ReportTimeout
from neuroasync.runtime.tap import Tap, TappedSpikes
from neuroasync.runtime.time_slice import TimeSlice

__all__ = ["Scheduler"]

_MAX_SETS: Final = 1024
"""Of populations that are reached together: for so many, what resumes them is remembered."""
_NO_DRIVEN: Final[dict[int, DirectPopulation]] = {}
_NO_EXTERNAL: Final[dict[int, TaskPopulation]] = {}


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
        clock: what ``report_timeout_s`` goes by.
        report_timeout_s: how long a population of the user's may take to report, s; None: for ever.

    Attributes:
        session: number of the session.
    """

    __slots__ = (
        "_driven",
        "_external",
        "_is_closed",
        "_own",
        "_patience",
        "_resumes",
        "_started",
        "_taps",
        "_tasks",
        "_turns",
        "sample",
        "session",
        "simulator",
    )

    def __init__(
        self,
        simulator: Simulator,
        own: Mapping[str, PopulationCoroutine],
        taps: Mapping[int, Collection[Tap]],
        tasks: asyncio.TaskGroup,
        session: int,
        clock: Clock,
        report_timeout_s: float | None,
    ) -> None:
        self.simulator = simulator
        self.sample = 0
        self._own = own
        self._taps = taps
        self._tasks = tasks
        self._started: tuple[asyncio.Task[None], ...] = ()
        self.session = session
        self._patience = (
            ReportTimeout(clock, report_timeout_s, self.start)
            if own and report_timeout_s is not None
            else None
        )
        self._turns = TimeSlice.of_running_loop()
        self._is_closed = False
        self._driven = _NO_DRIVEN
        self._external = _NO_EXTERNAL
        self._resumes: dict[int, tuple[Callable[[None], object], ...]] = {}

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
            ForwardStepLimitError, LimitError, PolicyError: see :meth:`Simulator.run_to_delivery`.
            ClosedError: the session was closed meanwhile.
            ValueError: the compiled engine was asked for and does not apply.
        """
        await self.yield_if_due()
        compiles = self._compiles()
        self.simulator.feed(t_us, index)
        if compiles:
            await self._run_compiled(end_us)
        else:
            if not self._driven and not self._external:
                self._start_populations()
            if self._external:
                await self._run_side_by_side(end_us)
            else:
                await self._run_driven(end_us)
        read = self.simulator.events_consumed
        self.simulator.release_scratch()
        return read

    async def _run_compiled(self, end_us: int) -> None:
        simulator, turns = self.simulator, self._turns
        while True:
            before, began = simulator.work, time.perf_counter()
            is_done = simulator.run_compiled(end_us, turns.work())
            turns.measured(simulator.work - before, time.perf_counter() - began)
            if is_done:
                return
            if turns.is_exhausted():
                await self._pause()

    async def _run_driven(self, end_us: int) -> None:
        """Resume the populations as groups reach them."""
        simulator, turns, clock = self.simulator, self._turns, time.perf_counter
        context, resumes = simulator.state.context, self._resumes
        work = turns.work()
        while True:
            why = run_to_delivery(context, end_us, work)
            if why >= 0:
                if why not in resumes:
                    if len(resumes) >= _MAX_SETS:
                        resumes.clear()
                    resumes[why] = self._resumes_of(positions(why))
                for resume in resumes[why]:
                    resume(None)
                if self._taps:
                    self._show(positions(why))
            elif why == Interrupt.MANY_POPULATIONS:
                reached = simulator.reached()
                for resume in self._resumes_of(reached):
                    resume(None)
                self._show(reached)
            elif not simulator.handle_interrupt(why):
                if why != Interrupt.BUDGET_SPENT:
                    return
            else:
                self._check_open()  # what was served may have been a function of the user's
            if clock() > turns.deadline:
                await self._pause()
                work = turns.work()

    async def _run_side_by_side(self, end_us: int) -> None:
        """Deliver to populations of the user's, which work at the same time, and to the others."""
        simulator, turns = self.simulator, self._turns
        while True:
            why = run_to_delivery(simulator.state.context, end_us, turns.work())
            if why >= 0 or why == Interrupt.MANY_POPULATIONS:
                reached = simulator.reached()
                await self._deliver(reached)
                self._show(reached)
            elif not simulator.handle_interrupt(why):
                if why != Interrupt.BUDGET_SPENT:
                    return
            else:
                self._check_open()
            if turns.is_exhausted():
                await self._pause()

    async def _deliver(self, reached: tuple[int, ...]) -> None:
        for p in reached:
            if p in self._external:
                self._external[p].deliver(self.sample)
        for p in reached:
            if p in self._external:
                self.simulator.report(p, await self._collect(p, reached))
                self._check_open()
            else:
                self._driven[p].resume(None)

    async def _collect(self, p: int, reached: tuple[int, ...]) -> NDArray[np.int64]:
        """The report of population ``p``; whoever waits for what cannot come is named."""
        if self._patience is None:
            return await self._external[p].collect()
        try:
            async with self._patience.limit():
                return await self._external[p].collect()
        except TimeoutError as error:
            ports = [self._external[q] for q in reached if q in self._external and q >= p]
            waiting = [port.waits_for() for port in ports if not port.has_reported]
            raise PopulationError(
                f"no report for {self._patience.limit_s:g} s of who fired at t = "
                f"{self.simulator.time_us} µs: {'; '.join(waiting)}"
            ) from error

    def _compiles(self) -> bool:
        """Whether the compiled engine runs the next passes."""
        run = self.simulator.plan.run
        if run.engine == "coroutines":
            return False
        tapped = any(not tap.is_closed for taps in self._taps.values() for tap in taps)
        if not tapped and self.simulator.plan.is_built_in:
            return True
        if run.engine == "auto":
            return False
        why = "a tap" if tapped else "a policy, stop rule or population of your own"
        raise ValueError(f"engine: 'compiled' has no coroutines for {why}; use 'auto'")

    async def yield_if_due(self) -> None:
        """Wait for a turn, if others wait or this one's budget is spent. Cancellation: safe.

        Raises:
            ClosedError: the session was closed meanwhile.
        """
        if self._turns.must_wait():
            await self._pause()

    async def _pause(self) -> None:
        await self._turns.wait_turn()
        self._check_open()

    def restart(self) -> None:
        """End the populations after a cancelled or failed pass; the next pass starts others."""
        self._end_populations()

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Start a task that is cancelled when the session is closed; it must not fail."""
        task = self._tasks.create_task(work, name=name)
        self._started = (*(other for other in self._started if not other.done()), task)
        return task

    def close(self) -> None:
        """End all tasks and population coroutines; a suspended pass raises ClosedError."""
        self._is_closed = True
        self._end_populations()
        for task in self._started:
            task.cancel()

    def _resumes_of(self, reached: tuple[int, ...]) -> tuple[Callable[[None], object], ...]:
        return tuple(self._driven[p].resume for p in reached)

    def _show(self, reached: tuple[int, ...]) -> None:
        """Show what fired to whoever listens."""
        f = self.simulator
        for p in reached:
            if not (taps := self._taps.get(p)):
                continue
            if (fired := f.fired(p)).size:
                neurons = fired - f.plan.packed.model.starts[p]
                item = TappedSpikes(
                    self.session, self.sample, f.passes - 1, f.step, f.time_us, neurons
                )
                for tap in tuple(taps):
                    tap.push(item)

    def _start_populations(self) -> None:
        self._driven, self._external = {}, {}
        for p, population in enumerate(self.simulator.plan.packed.model.populations):
            if (own := self._own.get(population.name)) is None:
                self._driven[p] = DirectPopulation(self.simulator, p)
            else:
                self._external[p] = TaskPopulation(self.simulator, p, own, self._tasks)

    def _end_populations(self) -> None:
        for driven in self._driven.values():
            driven.close()
        for external in self._external.values():
            external.close()
        self._driven, self._external, self._resumes = _NO_DRIVEN, _NO_EXTERNAL, {}

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the session was closed while it was deciding")
