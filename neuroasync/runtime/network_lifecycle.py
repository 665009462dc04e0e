"""A network while it is open: its sessions, taps, tasks and threads; not its public face."""

from __future__ import annotations  # signatures that help() shows as they are written

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Final, Self, Unpack

from neuroasync import limits
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import make_policy
from neuroasync.core.engine.run_settings import RunOptions, RunSettings, check_seed
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.warm_up import warm_up
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import ClosedError
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.clock import Clock, RealTimeClock, VirtualClock, check_clock
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.option_resolver import settled
from neuroasync.runtime.populations.coroutine import PopulationCoroutine
from neuroasync.runtime.populations.report_timeout import check_report_timeout
from neuroasync.runtime.sample_runner import SampleRunner
from neuroasync.runtime.scheduler import Scheduler
from neuroasync.runtime.session import Session
from neuroasync.runtime.tap import Tap

__all__ = ["NetworkLifecycle"]

_log = logging.getLogger("neuroasync.network")
_MAX_PLANS: Final = 16


class NetworkLifecycle:
    """Opens in an event loop, and leaves nothing behind there. For arguments see ``Network``."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        populations: Mapping[str, PopulationCoroutine] | None = None,
        seed: int = 0,
        clock: Clock | None = None,
        report_timeout_s: float | None = limits.REPORT_TIMEOUT_S,
        **options: Unpack[RunOptions],
    ) -> None:
        if not isinstance(bundle, Bundle):
            raise TypeError(
                f"bundle: {type(bundle).__name__}, expected a Bundle; Network.load(path) reads one"
            )
        self.bundle = bundle
        self.seed = check_seed(seed)
        self.clock: Clock = VirtualClock() if clock is None else check_clock(clock)
        self._counts = Counts()
        # By a virtual clock an hour is over at once, and what populations wait for is not.
        is_virtual = isinstance(self.clock, VirtualClock)
        self._waits_by: Clock = RealTimeClock() if is_virtual else self.clock
        self._patience_s = check_report_timeout(report_timeout_s)
        trained = bundle.policy
        self._until = options.get("until")
        default = RunSettings(
            make_policy(trained.name, trained.noise), trained.group_size, trained.input
        )
        self._own = _checked_own(bundle, {} if populations is None else populations)
        self.settings = settled(bundle, default, options, self._own)
        self._packed = PackedNetwork(bundle.model, self._own)
        self._plans: deque[ExecutionPlan] = deque(maxlen=_MAX_PLANS)
        self._taps: dict[int, weakref.WeakSet[Tap]] = {}
        self._sessions: set[SampleRunner] = set()
        self._jobs: set[BatchJob] = set()
        self._opened = 0
        self._on_close = self._close_session  # one for all sessions
        self._tasks: asyncio.TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def counts(self) -> Counts:
        """What all its sessions have taken, refused and lost so far; ``decide`` uses one, too."""
        total = Counts()
        total.add(self._counts)
        for session in self._sessions:
            total.add(session.counts)
        return total

    @property
    def open_sessions(self) -> int:
        """Sessions that are open, those of a ``decide`` under way included."""
        return len(self._sessions)

    async def __aenter__(self) -> Self:
        """Open the network in the running event loop, which goes on while kernels are made ready.

        Cancellation: safe; the network is not open.
        """
        if self._tasks is not None:
            raise RuntimeError("the network is open already")
        await asyncio.to_thread(warm_up, self._plan(self.settings))
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._loop = asyncio.get_running_loop()
        _log.info("opened: %s", self._name, extra={"network": self._name})
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all sessions and taps; wait until no task is left."""
        tasks = self._running()
        for session in tuple(self._sessions):
            session.close()
        for job in self._jobs:
            job.stop()
        for taps in self._taps.values():
            for tap in tuple(taps):
                tap.close()
        self._taps.clear()
        self._tasks = self._loop = None
        try:
            for job in tuple(self._jobs):
                await asyncio.to_thread(job.join)
        finally:
            # The group's own tasks never fail. What the block raised is not shown to it: it would
            # come out wrapped in an ExceptionGroup.
            await tasks.__aexit__(None, None, None)
        _log.info("closed: %s, %s", self._name, self.counts, extra={"network": self._name})

    def _open_session(
        self, seed: int, is_one_sample: bool, recorder: Recorder | None, options: RunOptions
    ) -> Session:
        tasks = self._running()
        settings = self._settings(options)
        simulator = Simulator(self._plan(settings))
        scheduler = Scheduler(
            simulator, self._own, self._taps, tasks, self._opened, self._waits_by, self._patience_s
        )
        self._opened += 1
        session = Session(
            scheduler, seed, is_one_sample, self.bundle, self.clock, recorder, self._on_close
        )
        self._sessions.add(session)
        return session

    @property
    def _name(self) -> str:
        sizes = [population.size for population in self.bundle.model.populations]
        return "-".join(map(str, (self.bundle.model.input_size, *sizes)))

    def _close_session(self, session: SampleRunner) -> None:
        self._counts.add(session.counts)
        self._sessions.discard(session)

    def _settings(self, options: RunOptions) -> RunSettings:
        """How to run with ``options``; the default rule is looked up again: orders differ in it."""
        if not options:
            return self.settings
        if options.get("until") is None:
            options = {**options, "until": self._until}
        return settled(self.bundle, self.settings, options, self._own)

    def _is_tapped(self) -> bool:
        return any(not tap.is_closed for taps in self._taps.values() for tap in taps)

    def _plan(self, settings: RunSettings) -> ExecutionPlan:
        """What sessions with these settings share; the latest ones are kept."""
        for plan in self._plans:
            if plan.run is settings or plan.run == settings:
                return plan
        self._plans.append(plan := ExecutionPlan(self._packed, settings))
        return plan

    def _running(self) -> asyncio.TaskGroup:
        if self._tasks is None:
            raise ClosedError("the network is not open; use it inside `async with`")
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the network is open in another event loop; open one in each")
        return self._tasks


def _checked_own(
    bundle: Bundle, populations: Mapping[str, PopulationCoroutine]
) -> dict[str, PopulationCoroutine]:
    """Populations of the user's, each in the place of one that the network has."""
    if not isinstance(populations, Mapping):
        raise TypeError(
            f"populations: {type(populations).__name__}, expected coroutine functions by the names "
            "of populations"
        )
    for name, own in populations.items():
        bundle.model.index(name)
        if not callable(own):
            raise TypeError(f"populations[{name!r}]: {own!r:.80}, expected a coroutine function")
    return dict(populations)
