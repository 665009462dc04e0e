"""The runtime side of an open network: its tasks, sessions, batch jobs and taps."""

import asyncio
import logging
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.warm_up import warm_up
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.quantity import quantity
from neuroasync.core.recording.recorder import Recorder, check_recorder
from neuroasync.errors import ClosedError
from neuroasync.runtime.batch.cluster_job import ClusterRuns
from neuroasync.runtime.batch.decide_all import decide_beside_the_loop
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.clock import Clock, RealTimeClock, VirtualClock
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount
from neuroasync.runtime.input.thread_calls import ThreadCalls
from neuroasync.runtime.loop_guard import LoopGuard
from neuroasync.runtime.populations.coroutine import PopulationCoroutine
from neuroasync.runtime.populations.report_timeout import check_report_timeout
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.scheduler import Scheduler
from neuroasync.runtime.tap import Tap

__all__ = ["NetworkLifecycle"]

_NOT_OPEN: Final = "the network is not open; use it inside `async with`, or await its open()"

_MAX_IDLE: Final = 4
"""Maximum number of runners that wait for the next ``decide``, with one plan each."""

_log = logging.getLogger("neuroasync.network")


class _SessionTasks(asyncio.TaskGroup):
    """The tasks of all sessions: custom populations, and those that read streams for a clock."""

    def __init__(self) -> None:
        super().__init__()
        self._coroutines: weakref.WeakSet[Any] = weakref.WeakSet()

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Start a task, as the base class does."""
        self._coroutines.add(coro)  # not the task, because an eager one runs before it is returned
        return super().create_task(coro, **options)

    @property
    def has_current_task(self) -> bool:
        """Whether the task that is running now belongs to the group."""
        task = asyncio.current_task()
        return task is not None and task.get_coro() in self._coroutines


class NetworkLifecycle:
    """Everything that a network opens in an event loop, and closes when it is left.

    Args:
        bundle: the network.
        custom_populations: coroutines that replace populations, by name.
        clock: the network's clock. A virtual clock does not time reports; wall time does.
        report_timeout_s: how long a custom population may take to report, s; None for no limit.

    Raises:
        ValueError: ``report_timeout_s`` is out of range.

    Attributes:
        cluster_runs: the jobs that run on clusters. Closing the network ends them.
    """

    def __init__(
        self,
        bundle: Bundle,
        custom_populations: Mapping[str, PopulationCoroutine],
        clock: Clock,
        report_timeout_s: float | None,
    ) -> None:
        self._rebuild = partial(type(self), bundle, custom_populations, clock, report_timeout_s)
        self._bundle = bundle
        self._name = bundle.model.sizes
        self._custom_populations = custom_populations
        # Virtual time jumps ahead immediately, but a custom population may wait for a real device.
        self._report_clock = RealTimeClock() if isinstance(clock, VirtualClock) else clock
        self._report_timeout_s = check_report_timeout(report_timeout_s)
        self._closed_counts = Counts()
        self._taps: dict[int, weakref.WeakSet[Tap]] = {}
        self._runners: set[SampleRunner] = set()
        self._idle: dict[ExecutionPlan, SampleRunner] = {}  # open, but no session
        self._jobs: set[BatchJob] = set()
        self.cluster_runs = ClusterRuns()
        self._sessions_opened = 0
        self._on_close = self._remove_runner  # one bound method for all sessions
        self._task_group: _SessionTasks | None = None
        self._latest_tasks: _SessionTasks | None = None  # also while they are being closed
        self._loop_guard: LoopGuard | None = None  # from the start of opening to the end of closing
        self._transition = asyncio.Lock()
        self._thread_calls = ThreadCalls()

    def __reduce__(self) -> tuple[Callable[[], "NetworkLifecycle"], tuple[()]]:
        """Return how to make the one of a pickled or copied network, which is not open.

        Raises:
            TypeError: the network is open, or is being opened or closed.
        """
        if self._loop_guard is not None:
            raise TypeError(
                "an open network and its sessions cannot be pickled or copied; copy the network "
                "before it is opened, or use session.snapshot()"
            )
        return self._rebuild, ()

    def renewed(self) -> "NetworkLifecycle":
        """Return one of the same network, which is not open."""
        return self._rebuild()

    @property
    def counts(self) -> Counts:
        """The sums of all sessions' counts, including closed ones."""
        total = Counts()
        total.add(self._closed_counts)
        for runner in self._runners:
            total.add(runner.counts)
        return total

    @property
    def open_sessions(self) -> int:
        """The number of open sessions, including one for each ``decide`` that is running."""
        return len(self._runners) - len(self._idle)

    @property
    def is_tapped(self) -> bool:
        """Whether a tap is open."""
        return any(not tap.is_closed for taps in self._taps.values() for tap in taps)

    async def open(self, plan: ExecutionPlan) -> None:
        """Load the kernels for ``plan`` in a thread, and open in the running event loop.

        Cancellation: safe; the network is not open.

        Raises:
            RuntimeError: the network is already open, in this event loop or another, or its event
                loop has ended.
        """
        if self._loop_guard is not None:
            self._loop_guard.check_running()
            raise RuntimeError("the network is already open")
        self._loop_guard, self._transition = LoopGuard(), asyncio.Lock()
        try:
            async with self._transition:
                await asyncio.to_thread(warm_up, plan)
                self._task_group = self._latest_tasks = await _SessionTasks().__aenter__()
        except BaseException:
            self._loop_guard = None
            raise
        _log.info("opened: %s", self._name, extra={"network": self._name})

    async def close(self) -> None:
        """Close all sessions and taps, and wait until no task and no thread is left.

        A network that is not open stays as it is. If another task is opening or closing the
        network, this waits for it first.

        Cancellation: the network is closed nevertheless, and all its tasks have ended. Threads of
        batch jobs have been told to stop, and may still run for about 10 ms, and jobs on clusters
        have been cancelled; threads that check events end on their own.

        Raises:
            RuntimeError: the network is open in another event loop, or its own task calls this.
        """
        if self._loop_guard is None:
            return
        self._loop_guard.check_running()
        if self._latest_tasks is not None and self._latest_tasks.has_current_task:
            raise RuntimeError(
                "a custom population, or the source of a stream that a clock paces, runs in a task "
                "of the network and cannot close it, because closing waits for the task to end; "
                "close the network in another task, which this one must not wait for"
            )
        async with self._transition:
            if self._task_group is not None:
                try:
                    await self._close(self._task_group)
                finally:
                    self._loop_guard = None

    async def _close(self, task_group: _SessionTasks) -> None:
        self._idle.clear()
        for runner in tuple(self._runners):
            runner.close()
        for job in self._jobs:
            job.stop()
        self.cluster_runs.stop()
        for taps in self._taps.values():
            for tap in tuple(taps):
                tap.close()
        self._taps.clear()
        self._task_group = None
        try:
            for job in tuple(self._jobs):
                await asyncio.to_thread(job.join)
            await self.cluster_runs.join()
            await self._thread_calls.join()
        finally:
            # The group's own tasks never fail. An exception of the `async with` block is not
            # passed to the group, which would wrap it in an ExceptionGroup.
            await task_group.__aexit__(None, None, None)
        _log.info("closed: %s, %s", self._name, self.counts, extra={"network": self._name})

    @property
    def loop_guard(self) -> LoopGuard:
        """The guard of the event loop in which the network is open.

        Raises:
            ClosedError: the network is not open.
        """
        if self._loop_guard is None:
            raise ClosedError(_NOT_OPEN)
        return self._loop_guard

    def __str__(self) -> str:
        """Return whether the network is open, and the number of open sessions."""
        if self._task_group is None:
            return "not open"
        return f"open, {quantity(self.open_sessions, 'session')}"

    def check_open(self) -> asyncio.TaskGroup:
        """Return the task group of the open network.

        Raises:
            ClosedError: the network is not open.
            RuntimeError: the network is open in another event loop.
        """
        self.loop_guard.check_running()
        if self._task_group is None:  # another task is opening or closing the network
            raise ClosedError(_NOT_OPEN)
        return self._task_group

    def open_runner(
        self,
        plan: ExecutionPlan,
        seed_of: Callable[[int], int],
        recorder: Recorder | None,
        account: CpuAccount,
    ) -> SampleRunner:
        """Open a runner for the samples of one session.

        Args:
            plan: the execution plan.
            seed_of: returns the seed of the order keys for a sample number.
            recorder: records every spike, or None.
            account: the CPU time of the session.

        Raises:
            ClosedError: the network is not open.
            TypeError: ``recorder`` is neither a recorder nor None.
            ValueError: the recorder was made for another network or other settings.
        """
        task_group = self.check_open()
        check_recorder(recorder, plan)
        scheduler = Scheduler(
            Simulator(plan),
            self._custom_populations,
            self._taps,
            task_group,
            self._sessions_opened,
            self._report_clock,
            self._report_timeout_s,
            account,
        )
        self._sessions_opened += 1
        runner = SampleRunner(
            scheduler, seed_of, self._bundle, recorder, self._thread_calls, self._on_close
        )
        self._runners.add(runner)
        return runner

    def lend_runner(
        self,
        plan: ExecutionPlan,
        seed_of: Callable[[int], int],
        recorder: Recorder | None,
        account: CpuAccount,
    ) -> SampleRunner:
        """Return a runner for one sample: an idle one, or a new one, which takes long.

        The caller must call :meth:`take_back` afterwards. The arguments and the errors are those of
        :meth:`open_runner`.
        """
        self.check_open()
        runner = None if recorder is not None else self._idle.pop(plan, None)
        if runner is None:
            return self.open_runner(plan, seed_of, recorder, account)
        runner.reuse(self._sessions_opened, seed_of, account)
        self._sessions_opened += 1
        return runner

    def take_back(self, runner: SampleRunner) -> None:
        """End the session of a runner that was lent; keep it if it is open and can be reused."""
        plan, idle = runner.simulator.plan, self._idle
        # A custom population may keep something of a sample.
        is_reusable = not (runner.is_closed or runner.is_recording or self._custom_populations)
        if not is_reusable or plan in idle:
            runner.close()
            return
        idle[plan] = runner
        if len(idle) > _MAX_IDLE:
            idle.pop(next(iter(idle))).close()  # the one that has waited longest

    def add_tap(self, tap: Tap) -> None:
        """Let ``tap`` receive what its population fires, until it is closed or no longer used.

        Raises:
            ModelError: there is no such population.
            ClosedError: the network is not open.
        """
        self.check_open()
        p = self._bundle.model.index(tap.population)
        self._taps.setdefault(p, weakref.WeakSet()).add(tap)

    async def run_job(
        self, job: BatchJob, on_decision: Callable[[int], None] | None
    ) -> list[Decision]:
        """Run ``job`` in threads; closing the network stops it.

        Cancellation, or an exception of ``on_decision``: stops the job and waits until its threads
        have ended, about 10 ms.
        """
        self._jobs.add(job)
        try:
            return await decide_beside_the_loop(job, on_decision)
        finally:
            self._jobs.discard(job)

    def _remove_runner(self, runner: SampleRunner) -> None:
        self._closed_counts.add(runner.counts)
        self._runners.discard(runner)
