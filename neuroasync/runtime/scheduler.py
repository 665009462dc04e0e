"""The scheduler of a session: drives the population coroutines through its passes."""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.network_state import positions
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.input_buffer import MergedEvents
from neuroasync.core.kernels.entry_points import run_to_delivery
from neuroasync.core.kernels.layout import Interrupt
from neuroasync.errors import ClosedError, PopulationError
from neuroasync.runtime.clock import Clock
from neuroasync.runtime.populations.coroutine import PopulationCoroutine
from neuroasync.runtime.populations.drivers import DirectPopulation, TaskPopulation
from neuroasync.runtime.populations.report_timeout import ReportTimeout
from neuroasync.runtime.tap import Tap, TappedSpikes
from neuroasync.runtime.time_slice import CpuAccount, TimeSlice

__all__ = ["Scheduler"]

_MAX_CACHED_SETS: Final = 1024
"""Maximum number of cache entries; each has the functions that resume one set of populations."""

_NO_DIRECT: Final[dict[int, DirectPopulation]] = {}
_NO_TASKS: Final[dict[int, TaskPopulation]] = {}


class Scheduler:
    """Runs the passes of one session, one at a time.

    Built-in populations are coroutines that the scheduler resumes directly. Custom populations
    are tasks of the event loop, which may await anything. After each forward step the scheduler
    yields to the event loop if the time slice, which all sessions of the loop share, is exhausted.

    Args:
        simulator: runs the passes up to the points where populations integrate.
        custom: coroutines that replace populations, by name.
        taps: open taps, by position of the population.
        task_group: where the tasks of custom populations run.
        session: number of the session, for taps.
        clock: measures ``report_timeout_s``.
        report_timeout_s: how long a custom population may take to report, s; None for no limit.
        account: the CPU time of the session.

    Attributes:
        session: number of the session.
        sample: number of the current sample.
        simulator: as given.
        is_closed: whether :meth:`close` was called.
    """

    __slots__ = ("_account", "_custom", "_direct_populations", "_report_timeout", "_resumed_cpu_s",
                 "_resumes", "_started_tasks", "_taps", "_task_group", "_task_populations",
                 "_time_slice", "is_closed", "sample", "session", "simulator")  # fmt: skip

    def __init__(
        self,
        simulator: Simulator,
        custom: Mapping[str, PopulationCoroutine],
        taps: Mapping[int, Collection[Tap]],
        task_group: asyncio.TaskGroup,
        session: int,
        clock: Clock,
        report_timeout_s: float | None,
        account: CpuAccount,
    ) -> None:
        self.simulator = simulator
        self._account = account
        self._resumed_cpu_s = 0.0
        self.sample = 0
        self._custom = custom
        self._taps = taps
        self._task_group = task_group
        self._started_tasks: tuple[asyncio.Task[None], ...] = ()
        self.session = session
        self._report_timeout = (
            ReportTimeout(clock, report_timeout_s, self.start)
            if custom and report_timeout_s is not None
            else None
        )
        self._time_slice = TimeSlice.of_running_loop()
        self.is_closed = False
        self._direct_populations = _NO_DIRECT
        self._task_populations = _NO_TASKS
        self._resumes: dict[int, tuple[Callable[[None], object], ...]] = {}

    async def run(self, events: MergedEvents, end_us: int) -> int:
        """Run every pass at a virtual time up to ``end_us``, unless the stop rule ends the sample.

        Cancellation: the pass is left incomplete, but no population loses a spike. The caller must
        call :meth:`restart` and begin a new sample.

        Args:
            events: times, indices and values of the events, as :meth:`Simulator.feed` takes them.
            end_us: virtual time of the last pass, µs.

        Returns:
            The number of events that were consumed.

        Raises:
            PopulationError: a custom population failed or did not report in time.
            ForwardStepLimitError, PassLimitError, PolicyError: see
                :meth:`Simulator.run_to_delivery`.
            CpuTimeLimitError: the sample used too much CPU time.
            ClosedError: the session was closed meanwhile.
            ValueError: ``engine="compiled"`` was requested but cannot run this session.
        """
        if self._time_slice.must_wait():
            await self.yield_if_due()
        uses_compiled_engine = self._uses_compiled_engine()
        self._resumed_cpu_s = time.thread_time()
        simulator = self.simulator
        simulator.feed(*events)
        if uses_compiled_engine:
            while not self._run_slice(end_us):
                if self._time_slice.is_exhausted():
                    await self._pause()
        else:
            if not self._direct_populations and not self._task_populations:
                self._start_populations()
            if self._task_populations:
                await self._run_tasks(end_us)
            else:
                await self._run_direct(end_us)
        self._charge()
        consumed = simulator.events_consumed
        simulator.release_scratch()
        return consumed

    @property
    def may_run_now(self) -> bool:
        """Whether :meth:`run_now` may run passes."""
        return not self._time_slice.must_wait() and self._uses_compiled_engine()

    def run_now(self, events: MergedEvents, end_us: int) -> bool:
        """Run passes as :meth:`run` does, but only in this time slice; return whether all ran."""
        self._resumed_cpu_s = time.thread_time()
        self.simulator.feed(*events)
        while not (is_done := self._run_slice(end_us)) and not self._time_slice.is_exhausted():
            pass
        self._charge()
        self.simulator.release_scratch()
        return is_done

    def _run_slice(self, end_us: int) -> bool:
        """Run passes in the compiled engine for a part of the slice; return whether all ran."""
        simulator, time_slice, clock = self.simulator, self._time_slice, time.perf_counter
        work_before, began_s = simulator.work, clock()
        is_done = simulator.run_compiled(end_us, time_slice.work())
        time_slice.measured(simulator.work - work_before, clock() - began_s)
        return is_done

    async def _run_direct(self, end_us: int) -> None:
        """Run passes by resuming each built-in population that a group has reached."""
        simulator, time_slice, clock = self.simulator, self._time_slice, time.perf_counter
        context, resumes = simulator.state.context, self._resumes
        work = time_slice.work()
        while True:
            reason = run_to_delivery(context, end_us, work)
            if reason >= 0:  # a bit mask of the populations that the group has reached
                if reason not in resumes:
                    if len(resumes) >= _MAX_CACHED_SETS:
                        resumes.clear()
                    resumes[reason] = self._resumes_of(positions(reason))
                for resume in resumes[reason]:
                    resume(None)
                if self._taps:
                    self._feed_taps(positions(reason))
            elif reason == Interrupt.MANY_POPULATIONS:  # too many for a bit mask
                reached = simulator.reached()
                for resume in self._resumes_of(reached):
                    resume(None)
                self._feed_taps(reached)
            elif not simulator.handle_interrupt(reason):
                if reason != Interrupt.BUDGET_SPENT:
                    return
            else:
                self.check_open()  # a custom policy or stop rule may have closed the session
            if clock() > time_slice.deadline:
                await self._pause()
                work = time_slice.work()

    async def _run_tasks(self, end_us: int) -> None:
        """Run passes of a network with custom populations, which work concurrently."""
        simulator, time_slice = self.simulator, self._time_slice
        while True:
            reason = run_to_delivery(simulator.state.context, end_us, time_slice.work())
            if reason >= 0 or reason == Interrupt.MANY_POPULATIONS:
                if simulator.plan.has_turns:
                    for task in self._task_populations.values():
                        task.gather(self.sample)
                reached = simulator.reached()
                # Other sessions use the thread while the populations work on the group.
                self._charge()
                await self._deliver_to_tasks(reached)
                self._resumed_cpu_s = time.thread_time()
                self._feed_taps(reached)
            elif not simulator.handle_interrupt(reason):
                if reason != Interrupt.BUDGET_SPENT:
                    return
            else:
                self.check_open()  # a custom policy or stop rule may have closed the session
            if time_slice.is_exhausted():
                await self._pause()

    async def _deliver_to_tasks(self, reached: tuple[int, ...]) -> None:
        """Deliver the open group to the populations at ``reached``, and collect the reports."""
        # All custom populations get the group before the first report is awaited, so that they
        # work on it at the same time.
        for p in reached:
            if p in self._task_populations:
                self._task_populations[p].deliver(self.sample)
        for p in reached:
            if p in self._task_populations:
                self.simulator.report(p, await self._collect(p, reached))
                self.check_open()
            else:
                self._direct_populations[p].resume(None)

    async def _collect(self, p: int, reached: tuple[int, ...]) -> NDArray[np.int64]:
        """Return the report of population ``p``; on a timeout, name all that have not reported."""
        if self._report_timeout is None:
            return await self._task_populations[p].collect()
        try:
            async with self._report_timeout.limit():
                return await self._task_populations[p].collect()
        except TimeoutError as error:
            # The reports of the populations before ``p`` have been collected already.
            custom = [
                self._task_populations[q] for q in reached if q in self._task_populations and q >= p
            ]
            states = [task.describe_wait() for task in custom if not task.has_reported]
            raise PopulationError(
                f"no report within {self._report_timeout.limit_s:g} s for the group at t = "
                f"{self.simulator.time_us} µs: {'; '.join(states)}"
            ) from error

    def _uses_compiled_engine(self) -> bool:
        """Return whether the compiled engine runs the next passes."""
        plan = self.simulator.plan
        settings = plan.run
        if settings.engine == "coroutines":
            return False
        is_tapped = bool(self._taps) and any(
            not tap.is_closed for taps in self._taps.values() for tap in taps
        )
        if not is_tapped and plan.is_built_in:
            return True
        if settings.engine == "auto":
            return False
        reason = "a tap" if is_tapped else "a custom policy, stop rule or population"
        raise ValueError(f"engine 'compiled' does not support {reason}; use engine='auto'")

    async def yield_if_due(self) -> None:
        """Wait for a new time slice if other sessions wait or the current one is over.

        Cancellation: safe.

        Raises:
            ClosedError: the session was closed meanwhile.
        """
        if self._time_slice.must_wait():
            await self._time_slice.wait_turn(self._account)
            self.check_open()

    async def _pause(self) -> None:
        """Let other tasks run in the middle of the sample."""
        self._charge()
        await self._time_slice.wait_turn(self._account)
        self.check_open()
        self._resumed_cpu_s = time.thread_time()

    def _charge(self) -> None:
        """Charge the CPU time since the session was resumed. Raises CpuTimeLimitError."""
        self._account.charge(time.thread_time() - self._resumed_cpu_s)

    def begin_sample(self, number: int) -> None:
        """Prepare for a new sample with this number."""
        self.sample = number
        self._account.begin_sample()

    def restart(self) -> None:
        """End the populations after a cancelled or failed pass; the next pass starts new ones."""
        self._end_populations()

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Start a task that is cancelled when the session closes; the coroutine must not raise."""
        task = self._task_group.create_task(work, name=name)
        running = (other for other in self._started_tasks if not other.done())
        self._started_tasks = (*running, task)
        return task

    def close(self) -> None:
        """End all tasks and population coroutines; a suspended pass raises ClosedError."""
        self.is_closed = True
        self._end_populations()
        for task in self._started_tasks:
            task.cancel()

    def check_open(self) -> None:
        """Raise ClosedError if the session is closed."""
        if self.is_closed:
            raise ClosedError("the session is closed")

    def _resumes_of(self, reached: tuple[int, ...]) -> tuple[Callable[[None], object], ...]:
        return tuple(self._direct_populations[p].resume for p in reached)

    def _feed_taps(self, reached: tuple[int, ...]) -> None:
        """Push what the populations at ``reached`` fired to their taps."""
        simulator = self.simulator
        for p in reached:
            if not (taps := self._taps.get(p)):
                continue
            if (fired := simulator.fired(p)).size:
                neurons = fired - simulator.plan.packed.model.starts[p]
                neurons.flags.writeable = False  # all taps get the same array
                item = TappedSpikes(
                    self.session,
                    self.sample,
                    simulator.passes - 1,
                    simulator.step,
                    simulator.time_us,
                    neurons,
                )
                for tap in tuple(taps):
                    tap.push(item)

    def _start_populations(self) -> None:
        self._direct_populations, self._task_populations = {}, {}
        simulator, task_group = self.simulator, self._task_group
        for p, population in enumerate(simulator.plan.packed.model.populations):
            if (custom := self._custom.get(population.name)) is None:
                self._direct_populations[p] = DirectPopulation(simulator, p)
            else:
                self._task_populations[p] = TaskPopulation(simulator, p, custom, task_group)

    def _end_populations(self) -> None:
        for direct in self._direct_populations.values():
            direct.close()
        for task in self._task_populations.values():
            task.close()
        self._direct_populations, self._task_populations = _NO_DIRECT, _NO_TASKS
        self._resumes = {}
