"""A loaded network that runs in an event loop."""

from __future__ import annotations  # help() then shows signatures as they are written

import copy
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Self, Unpack

from neuroasync import limits
from neuroasync.core.cpu import cores
from neuroasync.core.durations import Duration, optional_microseconds
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.run_settings import RunOptions, RunSettings, check_seed
from neuroasync.core.events.spike_train import Events
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import check_callback, check_int
from neuroasync.core.recording.recorder import Recorder
from neuroasync.runtime.batch.cluster_job import ClusterJob, SampleCluster, check_cluster
from neuroasync.runtime.batch.decide_all import (
    DataSet,
    Samples,
    decide_in_turn,
    sample_recorders,
)
from neuroasync.runtime.batch.job import BatchJob
from neuroasync.runtime.clock import Clock, VirtualClock, check_clock
from neuroasync.runtime.counts import Counts
from neuroasync.runtime.cpu_time.cpu_account import CpuAccount, check_max_cpu
from neuroasync.runtime.cpu_time.time_slice import TimeSlice
from neuroasync.runtime.network_lifecycle import NetworkLifecycle
from neuroasync.runtime.option_resolver import OptionResolver
from neuroasync.runtime.populations.coroutine import PopulationCoroutine, check_populations
from neuroasync.runtime.session import Session
from neuroasync.runtime.tap import Tap
from neuroasync.shipped import load_bundle

__all__ = ["Network"]


class Network:
    """A trained network, to be used inside ``async with``, or between ``open()`` and ``close()``.

    All sessions share the weights, and each session has a state of its own. Leaving the block
    closes the sessions and leaves no task behind.

    Args:
        bundle: the network, and the order it was trained with, which is the default order.
        populations: custom coroutines, by the name of the population that they replace. A stop
            rule ``confidence(p)`` cannot be used with them.
        seed: default seed of the order keys, an unsigned 64-bit integer.
        clock: the clock that paces streams and measures ``report_timeout_s``, such as a
            :class:`~neuroasync.RealTimeClock`. The default is a :class:`~neuroasync.VirtualClock`:
            passes run as soon as they can, and the timeout is measured in wall time.
        report_timeout_s: how long a custom population may take to report on a group, s, before
            the decision fails with an error that says where it waits. None means no limit.
        **options: default options of all calls; see :class:`RunOptions`.

    Raises:
        TypeError: an argument has the wrong type, or an option does not exist.
        ModelError: ``populations`` has the name of a population that does not exist.
        PolicyError, StopRuleError, ValueError: an option is invalid.

    Attributes:
        bundle: the network.
        clock: the clock that paces streams.
        seed: default seed of the order keys.
    """

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
                f"`bundle` must be a Bundle, got {type(bundle).__name__}; Network.load(path) "
                "reads one"
            )
        self.bundle = bundle
        self.seed = check_seed(seed)
        self.clock: Clock = VirtualClock() if clock is None else check_clock(clock)
        custom = check_populations(bundle.model, {} if populations is None else populations)
        self._lifecycle = NetworkLifecycle(bundle, custom, self.clock, report_timeout_s)
        self._resolver = OptionResolver(bundle, options, custom)

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
        """Load a shipped network by its name, or a network from the path or bytes of a bundle.

        ``Network.load("unlayered")`` loads a network of :mod:`neuroasync.shipped`;
        ``Network.load("./unlayered")`` reads a file.

        Raises:
            BundleError: the bundle cannot be read, or nothing has this name.
        """
        bundle = load_bundle(source, max_bytes)
        return cls(
            bundle, populations=populations, seed=seed, clock=clock,
            report_timeout_s=report_timeout_s, **options,
        )  # fmt: skip

    def __getstate__(self) -> dict[str, object]:
        """Return the state of a pickle or a copy, which is not open and has counted nothing."""
        return self.__dict__ | {"_lifecycle": copy.copy(self._lifecycle)}

    def _closed_copy(self) -> Network:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _lifecycle=self._lifecycle.renewed())
        return twin

    @property
    def settings(self) -> RunSettings:
        """The settings of a call without options."""
        return self._resolver.defaults

    @property
    def counts(self) -> Counts:
        """The sums of all sessions' counts so far; each ``decide`` counts as a session."""
        return self._lifecycle.counts

    @property
    def open_sessions(self) -> int:
        """The number of open sessions, including one for each ``decide`` that is running."""
        return self._lifecycle.open_sessions

    async def open(self) -> Self:
        """Open the network in the running event loop, and return it; ``async with`` does the same.

        Use it with :meth:`close`, for example in a notebook; a closed network can be opened again.

        Cancellation: safe; the network is not open.

        Raises:
            RuntimeError: the network is already open.
        """
        await self._lifecycle.open(self._resolver.plan(self.settings))
        return self

    async def close(self) -> None:
        """Close the network, if it is open, and wait until no task and no thread is left.

        Cancellation: the network is closed nevertheless, and all its tasks have ended. Threads
        that decide a data set have been told to stop, and may still run for about 10 ms.

        Raises:
            RuntimeError: the network is open in another event loop, or the caller runs in a task
                of the network: a custom population, or the source of a stream that a clock paces.
        """
        await self._lifecycle.close()

    async def __aenter__(self) -> Self:
        """Return the network after :meth:`open`."""
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        """Close the network as :meth:`close` does."""
        await self.close()

    def __repr__(self) -> str:
        """Return one line with the sizes, the default options and the state."""
        return f"<Network {self.bundle.model.sizes}, {self.settings.summary}, {self._lifecycle}>"

    async def decide(
        self,
        events: Events,
        *,
        seed: int | None = None,
        duration_us: Duration | None = None,
        recorder: Recorder | None = None,
        max_cpu_s: float | None = None,
        **options: Unpack[RunOptions],
    ) -> Decision:
        """Decide one sample, from rest. Any number of decisions may run concurrently.

        Cancellation: safe at every ``await``; the network is unchanged.

        Args:
            events: a spike train, or its (t_us, index).
            seed: seed for this sample's order keys. Defaults to the network's seed. Use
                ``sample_seed(seed, i)`` for sample number i of a data set.
            duration_us: length, µs or such as ``"20ms"``. Defaults to the bundle's; if it has none,
                the sample ends with its last event.
            recorder: records every spike; made by :meth:`recorder` with the same options.
            max_cpu_s: as for :meth:`session`.
            **options: options that differ from the network's; see :class:`RunOptions`.

        Raises:
            EventsError: the events are not valid for this network.
            TypeError, ValueError: an argument is invalid, or an event is not before the end.
            LimitError: the sample exceeded a limit; the subclass and the message say which.
            PopulationError: a custom population failed.
            PolicyError, StopRuleError: an option is invalid, or a custom policy or stop rule
                returned an invalid value. An exception it raises is passed on unchanged.
            ClosedError: the network is not open.
        """
        seed = self.seed if seed is None else check_seed(seed)
        length_us = optional_microseconds(duration_us, "duration_us", self.bundle.duration_us)
        self._lifecycle.check_open()
        # Opening a session takes time as well, so it must not begin in an exhausted time slice.
        account = CpuAccount(check_max_cpu(max_cpu_s))
        if (time_slice := TimeSlice.of_running_loop()).must_wait():
            await time_slice.wait_turn(account)
        plan = self._resolver.plan(self._resolver.resolve(options))
        runner = self._lifecycle.lend_runner(plan, lambda _: seed, recorder, account)
        try:
            return await runner.decide(events, length_us)
        finally:
            self._lifecycle.take_back(runner)

    async def decide_all(
        self,
        samples: Samples,
        *,
        seed: int | None = None,
        first: int = 0,
        workers: int | None = None,
        duration_us: Duration | None = None,
        recorder: Recorder | None = None,
        on_decision: Callable[[int], None] | None = None,
        cluster: SampleCluster | None = None,
        **options: Unpack[RunOptions],
    ) -> list[Decision]:
        """Decide each sample of a data set, from rest, on all cores of this machine or a cluster.

        Threads run the compiled engine beside the event loop, which stays responsive. Where the
        compiled engine does not apply (``engine="coroutines"``, an open tap, or a custom policy,
        stop rule or population), the samples are decided one after the other in the event loop.
        The workers of a cluster decide with copies of the network. The decisions are the same
        wherever the samples are decided, except for ``wall_s``.

        Cancellation: safe; the threads end within about 10 ms, and all tasks on a cluster.

        Args:
            samples: the data set.
            seed: seed of the data set: sample number i runs with ``sample_seed(seed, i)``.
                Defaults to the network's seed.
            first: number of the first sample.
            workers: number of threads. Defaults to the number of cores.
            duration_us: as for :meth:`decide`.
            recorder: as for :meth:`decide`; the labels of ``samples`` become targets.
            on_decision: called by this task with the number of decisions so far, once for each.
                An exception that it raises ends the call.
            cluster: a connected :class:`neuroasync.cluster.Cluster`, whose workers decide, without
                ``workers`` and ``recorder``.
            **options: options that differ from the network's; see :class:`RunOptions`.

        Returns:
            The decisions, in the order of the samples. With threads, the time that a batch took is
            divided among its samples by their CPU cycles; ``wall_s`` is the sample's share.

        Raises:
            ValueError: an argument is out of range, or an event comes at or after
                ``duration_us``.
            EventsError: ``samples`` is no data set, or events are not valid for this network.
            ForwardStepLimitError, LimitError: a sample exceeded a limit.
            ClosedError: the network is not open, or was closed meanwhile; or the cluster is not
                connected.
            TypeError: ``cluster`` or ``recorder`` has another type, or an option cannot be pickled.
            ClusterError: Ray could not run a task, even after retries.
        """
        self._lifecycle.check_open()
        if workers is not None:
            workers = check_int("workers", workers, 1, limits.MAX_TIME_US, ValueError)
        check_callback("on_decision", on_decision)
        length_us = optional_microseconds(duration_us, "duration_us", self.bundle.duration_us)
        data = DataSet.checked(samples, self.seed if seed is None else seed, first, length_us)
        plan = self._resolver.plan(self._resolver.resolve(options))
        if cluster is not None:
            check_cluster(cluster, workers, recorder, self._lifecycle.is_tapped)
            run = cluster.run_job(ClusterJob(self._closed_copy(), data, options), on_decision)
            return await self._lifecycle.cluster_runs.run(run)
        recorder_of = sample_recorders(recorder, data, plan)
        if not plan.allows_compiled or self._lifecycle.is_tapped:
            return await decide_in_turn(self.decide, data, recorder_of, on_decision, options)
        job = BatchJob(
            plan, data.samples, data.seed, workers or cores(), first=data.first,
            duration_us=length_us, classes=self.bundle.classes, recorder_of=recorder_of,
        )  # fmt: skip
        return await self._lifecycle.run_job(job, on_decision)

    def session(
        self,
        *,
        seed: int | None = None,
        recorder: Recorder | None = None,
        max_cpu_s: float | None = None,
        **options: Unpack[RunOptions],
    ) -> Session:
        """Open a session with a state of its own; use it inside ``async with``.

        Its sample number i runs with ``sample_seed(seed, i)``.

        Args:
            seed: seed of the session. Defaults to the network's seed.
            recorder: records every spike; made by :meth:`recorder` with the same options.
            max_cpu_s: maximum CPU time of the passes of one sample, s. None means no limit. Runs
                of up to 1 ms count with their wall time.
            **options: options that differ from the network's; see :class:`RunOptions`.

        Raises:
            PolicyError, StopRuleError, TypeError, ValueError: an argument is invalid.
            ClosedError: the network is not open.
        """
        account = CpuAccount(check_max_cpu(max_cpu_s))
        base = self.seed if seed is None else check_seed(seed)
        plan = self._resolver.plan(self._resolver.resolve(options))
        runner = self._lifecycle.open_runner(plan, partial(sample_seed, base), recorder, account)
        return Session(runner, self.clock, self._lifecycle.loop_guard)

    def recorder(self, **options: Unpack[RunOptions]) -> Recorder:
        """Return a recorder for decisions and sessions that run with the same ``options``."""
        return Recorder(self.bundle, self._resolver.resolve(options))

    def tap(self, population: str, capacity: int = limits.MAX_TAP_ITEMS) -> Tap:
        """Return an async iterator over what ``population`` fires from now on, in all sessions.

        While a tap is open, passes run in the coroutine engine.

        Args:
            population: name of the population.
            capacity: maximum number of items to buffer for a slow reader. When the buffer is
                full, the oldest item is dropped and counted.

        Raises:
            ModelError: there is no such population.
            ValueError: ``capacity`` is less than 1.
            ClosedError: the network is not open.
        """
        tap = Tap(population, capacity, self._lifecycle.loop_guard)
        self._lifecycle.add_tap(tap)
        return tap
