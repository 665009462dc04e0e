"""A loaded network in an event loop."""

import asyncio
import os
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self, Unpack

from neuroasync import limits
from neuroasync._confidence import settled
from neuroasync._data_set import Samples, checked, decide_beside_the_loop, decide_in_turn, recorders
from neuroasync._inlet import Events
from neuroasync.bundle import Bundle, read_bundle
from neuroasync.decision import Decision
from neuroasync.errors import ClosedError
from neuroasync.forward import Forward
from neuroasync.kernels.order import sample_seed
from neuroasync.many import ManySamples, cores
from neuroasync.policies import make_policy
from neuroasync.population import PopulationCoroutine
from neuroasync.recording import Recorder
from neuroasync.scheduler import Scheduler
from neuroasync.session import Session
from neuroasync.settings import RunOptions, RunSettings, check_seed
from neuroasync.spikes import SpikeTrain
from neuroasync.state import Plan
from neuroasync.tap import Tap
from neuroasync.turns import Turns
from neuroasync.warm import warm_up
from neuroasync.wiring import Wiring

__all__ = ["Network"]

_MOST_PLANS: Final = 16
_MOST_WORKERS: Final = 64


class Network:
    """A trained network, to be used inside ``async with``.

    Weights are shared by all sessions; each session has the state of its own stream. Leaving
    the block closes the sessions and leaves no task behind.

    Args:
        bundle: the network, and the order it was trained for, which is the default here.
        populations: coroutines of your own, by the name of the population they stand in for. What
            the bundle was calibrated to, ``confidence(p)``, does not hold with them.
        seed: default seed of the order keys, 64 bits.
        **options: how to run by default; see :class:`RunOptions`.

    Raises:
        ModelError: ``populations`` names one that the network does not have.
        PolicyError, StopRuleError, ValueError: an option is not valid.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        populations: Mapping[str, PopulationCoroutine] | None = None,
        seed: int = 0,
        **options: Unpack[RunOptions],
    ) -> None:
        self.bundle = bundle
        self.seed = check_seed(seed)
        trained = bundle.policy
        self._until = options.get("until")
        default = RunSettings(
            make_policy(trained.name, trained.noise), trained.group_size, trained.input
        )
        self._own = dict(populations or {})
        for name in self._own:
            bundle.model.index(name)
        self.settings = settled(bundle, default, options, self._own)
        self._wiring = Wiring(bundle.model, self._own)
        self._plans: deque[Plan] = deque(maxlen=_MOST_PLANS)
        self._taps: dict[int, weakref.WeakSet[Tap]] = {}
        self._sessions: set[Session] = set()
        self._jobs: set[ManySamples] = set()
        self._opened = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | bytes,
        *,
        max_bytes: int = limits.MAX_BUNDLE_BYTES,
        populations: Mapping[str, PopulationCoroutine] | None = None,
        seed: int = 0,
        **options: Unpack[RunOptions],
    ) -> Self:
        """A network from a bundle's path or bytes.

        Raises:
            BundleError: the bundle cannot be read; see :func:`neuroasync.read_bundle`.
        """
        bundle = read_bundle(source, max_bytes)
        return cls(bundle, populations=populations, seed=seed, **options)

    async def decide(
        self,
        events: Events,
        *,
        seed: int | None = None,
        duration_us: int | None = None,
        recorder: Recorder | None = None,
        **options: Unpack[RunOptions],
    ) -> Decision:
        """Decide on one sample, from rest. Any number of decisions may run side by side.

        Cancellation: safe at every ``await``; the network is as before.

        Args:
            events: a spike train, or its (t_us, index).
            seed: of this sample's order keys; the network's if None. For sample number i of a
                data set use ``sample_seed(seed, i)``.
            duration_us: length of the sample; without, it ends with its last event.
            recorder: writes down every spike.
            **options: how to run, where other than the network; see :class:`RunOptions`.

        Raises:
            SpikeFileError: the events are not valid for this network.
            ForwardStepLimitError: a pass did not end.
            PopulationError: a population of yours failed.
            PolicyError, StopRuleError: a policy or stop rule of yours answered nonsense. What it
                raises comes out as it is.
            ClosedError: outside the network's ``async with`` block.
        """
        seed = self.seed if seed is None else check_seed(seed)
        self._running()
        if (turns := Turns.of_running_loop()).is_taken():  # making a session takes time, too
            await turns.pause()
        async with self._open_session(lambda _: seed, recorder, options) as session:
            return await session.decide(events, duration_us=duration_us)

    async def decide_all(
        self,
        samples: Samples,
        *,
        seed: int | None = None,
        first: int = 0,
        workers: int | None = None,
        duration_us: int | None = None,
        recorder: Recorder | None = None,
        on_decision: Callable[[int], None] | None = None,
        **options: Unpack[RunOptions],
    ) -> list[Decision]:
        """Decide on each sample of a data set, from rest, on all cores.

        Threads run the compiled engine beside the event loop, which goes on. Where that does
        not apply (``engine="coroutines"``, a tap, or a policy, stop rule or population of your
        own), the samples are decided on one after the other, in the loop. The decisions are the
        same whatever the number of workers.

        Cancellation: safe; the threads end within some 10 ms.

        Args:
            samples: the data set.
            seed: sample number i runs with ``sample_seed(seed, i)``; the network's if None.
            first: number of the first sample.
            workers: threads; None for as many as there are cores.
            duration_us: length of each sample; without, it ends with its last event.
            recorder: writes down every spike, and the labels of ``samples`` as targets.
            on_decision: called in the loop with the number of decisions made so far.
                ``wall_s`` of a decision is its share, by cycles, of the time of its chunk.
            **options: how to run, where other than the network; see :class:`RunOptions`.

        Raises:
            ValueError: an argument is out of range, or an event comes at or after
                ``duration_us``.
            SpikeFileError: events of a sample are not valid for this network.
            ForwardStepLimitError, LimitError: a pass or sample did not end.
            ClosedError: outside the network's ``async with`` block.
        """
        self._running()
        for name, value, least in (
            ("workers", 1 if workers is None else workers, 1),
            ("first", first, 0),
        ):
            if type(value) is not int or not least <= value < limits.MAX_TIME_US:
                raise ValueError(f"{name}: {value!r:.80}, expected an integer from {least}")
        if on_decision is not None and not callable(on_decision):
            raise ValueError(f"on_decision: {on_decision!r:.80}, expected a function")
        samples = checked(samples)
        settings = self._settings(options)
        base, plan = self.seed if seed is None else check_seed(seed), self._plan(settings)
        recorder_of = None if recorder is None else recorders(recorder, samples, first)
        if not plan.is_built_in or settings.engine == "coroutines" or self._is_tapped():

            def decide(number: int, events: SpikeTrain) -> Awaitable[Decision]:
                return self.decide(
                    events,
                    seed=sample_seed(base, number),
                    duration_us=duration_us,
                    recorder=recorder_of and recorder_of(number),
                    **options,
                )

            return await decide_in_turn(decide, samples, first, on_decision)
        loop, told = asyncio.get_running_loop(), None
        if on_decision is not None:
            told = partial(_tell, loop, on_decision)
        job = ManySamples(
            plan,
            samples,
            base,
            min(workers or cores(), max(len(samples), 1), _MOST_WORKERS),
            first=first,
            duration_us=duration_us,
            classes=self.bundle.classes,
            recorder_of=recorder_of,
            on_decision=told,
        )
        self._jobs.add(job)
        try:
            return await decide_beside_the_loop(job)
        finally:
            self._jobs.discard(job)

    def session(
        self,
        *,
        seed: int | None = None,
        recorder: Recorder | None = None,
        **options: Unpack[RunOptions],
    ) -> Session:
        """A session of its own state, to be used inside ``async with``.

        Its sample number i runs with ``sample_seed(seed, i)``.

        Raises:
            ClosedError: outside the network's ``async with`` block.
        """
        base = self.seed if seed is None else check_seed(seed)
        return self._open_session(lambda i: sample_seed(base, i), recorder, options)

    def recorder(self, **options: Unpack[RunOptions]) -> Recorder:
        """A recorder for decisions and sessions that run with the same ``options``."""
        return Recorder(self.bundle, self._settings(options))

    def tap(self, population: str, capacity: int = limits.MAX_TAP_ITEMS) -> Tap:
        """What ``population`` fires from now on, in all sessions, as an async iterator.

        While a tap is open, passes run in the coroutine engine.

        Args:
            population: its name.
            capacity: items held for a slow reader, before the oldest are dropped and counted.

        Raises:
            ModelError: there is no such population.
            ClosedError: outside the network's ``async with`` block.
        """
        self._running()
        tap = Tap(population, capacity)
        p = self.bundle.model.index(population)
        self._taps.setdefault(p, weakref.WeakSet()).add(tap)
        return tap

    async def __aenter__(self) -> Self:
        """Open the network in the running event loop, which goes on while kernels are made ready.

        Cancellation: safe; the network is not open.
        """
        if self._tasks is not None:
            raise RuntimeError("the network is open already")
        await asyncio.to_thread(warm_up, self._plan(self.settings))
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        for job in tuple(self._jobs):
            await asyncio.to_thread(job.join)
        # The group's own tasks never fail. What the block raised is not shown to it: it would
        # come out wrapped in an ExceptionGroup.
        await tasks.__aexit__(None, None, None)

    def _open_session(
        self, seed_of: Callable[[int], int], recorder: Recorder | None, options: RunOptions
    ) -> Session:
        tasks = self._running()
        settings = self._settings(options)
        forward = Forward(self._plan(settings))
        scheduler = Scheduler(forward, self._own, self._taps, tasks, self._opened)
        self._opened += 1
        session = Session(scheduler, seed_of, self.bundle, recorder, self._sessions.discard)
        self._sessions.add(session)
        return session

    def _settings(self, options: RunOptions) -> RunSettings:
        """How to run with ``options``; the default rule is looked up again: orders differ in it."""
        if not options:
            return self.settings
        if options.get("until") is None:
            options = {**options, "until": self._until}
        return settled(self.bundle, self.settings, options, self._own)

    def _is_tapped(self) -> bool:
        return any(not tap.is_closed for taps in self._taps.values() for tap in taps)

    def _plan(self, settings: RunSettings) -> Plan:
        """What sessions with these settings share; the latest ones are kept."""
        for plan in self._plans:
            if plan.run is settings or plan.run == settings:
                return plan
        self._plans.append(plan := Plan(self._wiring, settings))
        return plan

    def _running(self) -> asyncio.TaskGroup:
        if self._tasks is None:
            raise ClosedError("the network is not open; use it inside `async with`")
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the network is open in another event loop; open one in each")
        return self._tasks


def _tell(loop: asyncio.AbstractEventLoop, listener: Callable[[int], None], done: int) -> None:
    """From a thread: call ``listener`` in the loop."""
    loop.call_soon_threadsafe(listener, done)
