"""The scheduler of a session: drives the population coroutines through its passes."""

import asyncio
import time
from collections.abc import Collection, Coroutine, Mapping
from typing import Final

from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.input_buffer import MergedEvents
from neuroasync.core.kernels.layout import Interrupt
from neuroasync.errors import ClosedError
from neuroasync.runtime.clock import Clock
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.runtime.populations.coroutine import PopulationCoroutine
from neuroasync.runtime.populations.direct import DirectPopulations
from neuroasync.runtime.populations.report_timeout import ReportTimeout
from neuroasync.runtime.populations.tasks import TaskPopulation, collect_report
from neuroasync.runtime.tap import Tap, feed_taps

__all__ = ["Scheduler"]

_LEAST_WORK: Final = 2**16
"""Least work of coroutines until they look at the clock, in synaptic operations: about 45 groups of
a small network, or 0.1 ms. The estimate of the speed is that of the compiled engine."""

_SHORT_S: Final = 1e-3
"""Wall time of the first call of a run up to which it is charged as CPU time, s. Reading the CPU
time of the thread before and after each call would take a tenth of a short one. During a longer
call, other processes may have run. It is then charged at most what the thread has used since the
time slice was opened."""

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
        is_midway: whether passes have begun in the compiled engine that :meth:`run` must continue.
    """

    __slots__ = ("_account", "_custom", "_direct", "_report_timeout", "_resumed_cpu_s",
                 "_started_tasks", "_taps", "_task_group", "_task_populations", "_time_slice",
                 "is_closed", "is_midway", "sample", "session", "simulator")  # fmt: skip

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
        self.is_midway = False
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
        self._direct: DirectPopulations | None = None  # None until the coroutine engine runs
        self._task_populations = _NO_TASKS

    async def run(self, events: MergedEvents, end_us: int) -> None:
        """Run every pass at a virtual time up to ``end_us``, unless the stop rule ends the sample.

        Cancellation: the pass is left incomplete, but no population loses a spike. The caller must
        call :meth:`restart` and begin a new sample.

        Args:
            events: times, indices and values of the events, as :meth:`Simulator.feed` takes them.
            end_us: virtual time of the last pass, µs.

        Raises:
            PopulationError: a custom population failed or did not report in time.
            ForwardStepLimitError, PassLimitError, PolicyError: see
                :meth:`Simulator.run_to_delivery`.
            CpuTimeLimitError: the sample used too much CPU time.
            ClosedError: the session was closed meanwhile.
            ValueError: ``engine="compiled"`` was requested but cannot run this session.
        """
        if not self.is_midway:
            await self.yield_if_due()
            if not self._uses_compiled_engine():
                await self._run_coroutines(events, end_us)
                return
            if self._run_slice(end_us, events) or self._run_slices(end_us):
                return
        while True:
            await self._pause()
            if self._run_slice(end_us) or self._run_slices(end_us):
                return

    def run_now(self, events: MergedEvents, end_us: int) -> bool:
        """Run passes as :meth:`run` does, but only in this time slice.

        Returns:
            Whether all ran. If not, call :meth:`run` with the same arguments, or :meth:`restart`.
        """
        return not self._time_slice.must_wait() and self.run_in_slice(events, end_us)

    def run_in_slice(self, events: MergedEvents, end_us: int) -> bool:
        """Do what :meth:`run_now` does after :meth:`must_wait` has returned False."""
        return self._uses_compiled_engine() and (
            self._run_slice(end_us, events) or self._run_slices(end_us)
        )

    def _run_slices(self, end_us: int) -> bool:
        """Continue the passes for the rest of the slice; return whether all ran."""
        time_slice = self._time_slice
        while self.is_midway and not time_slice.is_exhausted():
            self._run_slice(end_us)
        return not self.is_midway

    def _run_slice(self, end_us: int, events: MergedEvents | None = None) -> bool:
        """Run passes for a part of the slice, with new events if given; return whether all ran."""
        simulator, time_slice = self.simulator, self._time_slice
        work_before, began_s = simulator.work, time.perf_counter()
        is_done = simulator.run_compiled(end_us, time_slice.work(), events)
        elapsed_s = time.perf_counter() - began_s
        time_slice.measured(simulator.work - work_before, elapsed_s)
        self.is_midway = not is_done
        is_first = events is not None
        if is_first and is_done and elapsed_s <= _SHORT_S:
            self._account.charge(elapsed_s)
        else:
            if is_first:
                began_cpu_s = time.thread_time() - elapsed_s
                self._resumed_cpu_s = max(began_cpu_s, time_slice.opened_cpu_s)
            if is_done:
                self._charge()
        if is_done:
            simulator.state.release_scratch()
        return is_done

    async def _run_coroutines(self, events: MergedEvents, end_us: int) -> None:
        """Run passes by coroutines."""
        self._resumed_cpu_s = time.thread_time()
        self.simulator.feed(*events)
        direct = self._direct or self._start_populations()
        if self._task_populations:
            await self._run_tasks(direct, end_us)
        else:
            await self._run_direct(direct, end_us)
        self._charge()
        self.simulator.release_scratch()

    async def _run_direct(self, direct: DirectPopulations, end_us: int) -> None:
        """Run passes by resuming each built-in population that a group has reached."""
        simulator, time_slice = self.simulator, self._time_slice
        direct.begin_slice(end_us, max(time_slice.work(), _LEAST_WORK))
        reason = direct.advance()
        while True:
            is_spent, is_handled = reason == Interrupt.BUDGET_SPENT, True
            if reason >= 0 and not self._taps:
                reason, is_handled = direct.run(reason), False
            elif reason >= 0 or reason == Interrupt.MANY_POPULATIONS:
                self._deliver_to_direct(direct)
            elif simulator.handle_interrupt(reason):
                self.check_open()  # a custom policy or stop rule may have closed the session
            elif not is_spent:
                return
            is_over = time.perf_counter() > time_slice.deadline
            if is_over:
                await self._pause()
            if is_over or is_spent:
                direct.begin_slice(end_us, max(time_slice.work(), _LEAST_WORK))
            if is_handled:
                reason = direct.advance()

    def _deliver_to_direct(self, direct: DirectPopulations) -> None:
        """Let all populations that the open group has reached integrate it, and feed the taps.

        A tap is fed between two steps, so then no population runs on to the next one. Nor does one
        if there are too many populations for a bit mask.
        """
        reached = self.simulator.reached()
        for p in reached:
            direct.integrate(p)
        feed_taps(self.simulator, self._taps, self.session, self.sample, reached)

    async def _run_tasks(self, direct: DirectPopulations, end_us: int) -> None:
        """Run passes of a network with custom populations, which work concurrently."""
        simulator, time_slice = self.simulator, self._time_slice
        while True:
            direct.begin_slice(end_us, time_slice.work())
            reason = direct.advance()
            if reason >= 0 or reason == Interrupt.MANY_POPULATIONS:
                if simulator.plan.has_turns:
                    for task in self._task_populations.values():
                        task.gather(self.sample)
                reached = simulator.reached()
                # Other sessions use the thread while the populations work on the group.
                self._charge()
                await self._deliver_to_tasks(direct, reached)
                self._resumed_cpu_s = time.thread_time()
                feed_taps(simulator, self._taps, self.session, self.sample, reached)
            elif not simulator.handle_interrupt(reason):
                if reason != Interrupt.BUDGET_SPENT:
                    return
            else:
                self.check_open()  # a custom policy or stop rule may have closed the session
            if time_slice.is_exhausted():
                await self._pause()

    async def _deliver_to_tasks(self, direct: DirectPopulations, reached: tuple[int, ...]) -> None:
        """Deliver the open group to the populations at ``reached``, and collect the reports."""
        # All custom populations get the group before any report is awaited, to work concurrently.
        tasks = {p: self._task_populations[p] for p in reached if p in self._task_populations}
        for task in tasks.values():
            task.deliver(self.sample)
        for p in reached:
            if p in tasks:
                report = await collect_report(tasks, p, self._report_timeout)
                self.simulator.report(p, report)
                self.check_open()
            else:
                direct.integrate(p)

    def _uses_compiled_engine(self) -> bool:
        """Return whether the compiled engine runs the next passes."""
        is_tapped = bool(self._taps) and any(
            not tap.is_closed for taps in self._taps.values() for tap in taps
        )
        if self.simulator.plan.allows_compiled and not is_tapped:
            return True
        if self.simulator.plan.run.engine != "compiled":
            return False
        reason = "a tap" if is_tapped else "a custom policy, stop rule or population"
        raise ValueError(f"engine 'compiled' does not support {reason}; use engine='auto'")

    def must_wait(self) -> bool:
        """Return whether :meth:`yield_if_due` waits."""
        return self._time_slice.must_wait()

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

    def reuse(self, session: int, account: CpuAccount) -> None:
        """Become the scheduler of the session with this number and account."""
        self.session, self._account = session, account

    def restart(self) -> None:
        """End the populations after a cancelled or failed pass; the next pass starts new ones."""
        self.is_midway = False
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

    def _start_populations(self) -> DirectPopulations:
        """Start the coroutines and tasks of all populations."""
        simulator, populations = self.simulator, self.simulator.plan.packed.model.populations
        custom = {
            p: self._custom[population.name]
            for p, population in enumerate(populations)
            if population.name in self._custom
        }
        built_in = [p for p in range(len(populations)) if p not in custom]
        self._direct = DirectPopulations(simulator, built_in)
        self._task_populations = {
            p: TaskPopulation(simulator, p, coroutine, self._task_group)
            for p, coroutine in custom.items()
        }
        return self._direct

    def _end_populations(self) -> None:
        if self._direct is not None:
            self._direct.close()
        for task in self._task_populations.values():
            task.close()
        self._direct, self._task_populations = None, _NO_TASKS
