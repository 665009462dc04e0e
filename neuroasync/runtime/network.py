"""A loaded network in an event loop."""

from __future__ import annotations  # signatures that help() shows as they are written

import asyncio
import os
import weakref
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, Self, Unpack

from neuroasync import limits
from neuroasync.core.cpu import cores
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import RunOptions, check_seed
from neuroasync.core.events.spike_train import Events, SpikeTrain
from neuroasync.core.formats.bundle import read_bundle
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.recording.recorder import Recorder
from neuroasync.runtime.batch.decide_all import (
    Samples,
    checked,
    decide_beside_the_loop,
    decide_in_turn,
    recorders,
)
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.clock import Clock
from neuroasync.runtime.network_lifecycle import NetworkLifecycle
from neuroasync.runtime.populations.coroutine import PopulationCoroutine
from neuroasync.runtime.session import Session
from neuroasync.runtime.tap import Tap
from neuroasync.runtime.time_slice import TimeSlice

__all__ = ["Network"]

_MAX_WORKERS: Final = 64


class Network(NetworkLifecycle):
    """A trained network, to be used inside ``async with``.

    Weights are shared by all sessions; each session has the state of its own stream. Leaving
    the block closes the sessions and leaves no task behind.

    Args:
        bundle: the network, and the order it was trained for, which is the default here.
        populations: coroutines of your own, by the name of the population they stand in for. What
            the bundle was calibrated to, ``confidence(p)``, does not hold with them.
        seed: default seed of the order keys, 64 bits.
        clock: what the passes of streams go by, and ``report_timeout_s``: a
            :class:`~neuroasync.RealTimeClock`, for one. If None, a
            :class:`~neuroasync.VirtualClock`, by which passes take place as soon as they can, and
            patience is wall time.
        report_timeout_s: how long a population of yours may take to report on a group, s,
        before its
            decision fails with an error that says what it waits for; None: for ever.
        **options: how to run by default; see :class:`RunOptions`.

    Raises:
        TypeError: ``bundle`` is none, or ``populations`` are no coroutine functions by name.
        ModelError: ``populations`` names one that the network does not have.
        PolicyError, StopRuleError, ValueError: an option is not valid.

    Attributes:
        bundle: the network.
        clock: what the passes of streams go by.
        seed: default seed of the order keys.
        settings: how to run by default.
    """

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | bytes,
        *,
        max_bytes: int = limits.MAX_BUNDLE_BYTES,
        populations: Mapping[str, PopulationCoroutine] | None = None,
        seed: int = 0,
        clock: Clock | None = None,
        report_timeout_s: float | None = limits.REPORT_TIMEOUT_S,
        **options: Unpack[RunOptions],
    ) -> Self:
        """A network from a bundle's path or bytes.

        Raises:
            BundleError: the bundle cannot be read; see :func:`neuroasync.read_bundle`.
        """
        bundle = read_bundle(source, max_bytes)
        return cls(
            bundle,
            populations=populations,
            seed=seed,
            clock=clock,
            report_timeout_s=report_timeout_s,
            **options,
        )

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
        if (turns := TimeSlice.of_running_loop()).must_wait():  # making a session takes time, too
            await turns.wait_turn()
        async with self._open_session(seed, True, recorder, options) as session:
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
        job = BatchJob(
            plan,
            samples,
            base,
            min(workers or cores(), max(len(samples), 1), _MAX_WORKERS),
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
        return self._open_session(base, False, recorder, options)

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


def _tell(loop: asyncio.AbstractEventLoop, listener: Callable[[int], None], done: int) -> None:
    """From a thread: call ``listener`` in the loop."""
    loop.call_soon_threadsafe(listener, done)
