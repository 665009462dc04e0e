"""Decides many samples in threads. The kernels release the GIL, so that all cores work."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision, decision_of
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.run_sample import (
    WORK_PER_CHECK,
    check_sample,
    in_queue_order,
    last_pass_us,
    run_sample,
)
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.events.input_buffer import check_duration
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.events.values import Values, joined_values
from neuroasync.core.kernels.entry_points import run_samples
from neuroasync.core.kernels.layout import Interrupt
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import ClosedError, NeuroasyncError
from neuroasync.runtime.batch.sample_threads import SampleThreads, Worker

__all__ = ["BatchJob"]

_NO_EVENTS: Final = np.empty(0, np.int64)


class BatchJob:
    """A batch of samples, each decided from rest. Results do not depend on the number of threads.

    Args:
        plan: the execution plan, which must use built-in parts only.
        trains: the samples.
        seed: unsigned 64-bit integer; sample number i runs with ``sample_seed(seed, i)``.
        workers: maximum number of threads, at least 1.
        first: number of the first sample.
        duration_us: length of each sample, µs. If None, a sample ends with its last event.
        classes: names of the output neurons, or None.
        recorder_of: returns the recorder of a sample, given its number; None to record nothing.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        trains: SpikeTrains | Sequence[SpikeTrain],
        seed: int,
        workers: int,
        *,
        first: int = 0,
        duration_us: int | None = None,
        classes: tuple[str, ...] | None = None,
        recorder_of: Callable[[int], Recorder] | None = None,
    ) -> None:
        self._plan = plan
        self._trains = trains
        self._seed = seed
        self._first = first
        self._duration_us = duration_us
        self._classes = classes
        self._recorder_of = recorder_of
        self._threads = SampleThreads[Decision](len(trains), workers, first)
        self._ended = threading.Event()

    def run(self, on_decision: Callable[[int], object] | None = None) -> list[Decision]:
        """Decide all samples. Blocks the calling thread until the worker threads have ended.

        :meth:`stop` ends it early from another thread; the decisions made so far are discarded.

        Args:
            on_decision: called in one of the threads with the number of decisions so far.

        Returns:
            The decisions, in the order of the samples.

        Raises:
            ValueError, EventsError, ForwardStepLimitError, LimitError: the error of the first
                sample that has one, with a note of its number.
            ClosedError: the job was stopped.
        """
        try:
            _warm_up(self._plan)
            decisions = self._threads.run(self._worker, on_decision)
        finally:
            self._ended.set()
        if self._threads.is_stopped:
            raise ClosedError("the network was closed while it was deciding a data set")
        return decisions

    def join(self) -> None:
        """Wait until all threads have ended."""
        self._ended.wait()

    def stop(self) -> None:
        """Make all threads end soon; decisions in progress are discarded."""
        self._threads.stop()

    def _worker(self) -> Worker[Decision]:
        simulator = Simulator(self._plan)
        simulator.state.keep = self._recorder_of is not None
        decide = self._decide_together if self._recorder_of is None else self._decide_and_record
        return partial(decide, simulator)

    def _decide_and_record(
        self, simulator: Simulator, samples: range
    ) -> Iterator[tuple[int, Decision]]:
        """Decide samples one by one, and record each."""
        for k in samples:
            train, seed = self._trains[k], self._seed_of(k)
            if self._duration_us is not None:
                check_duration(self._duration_us, int(train.t_us[-1]) if len(train) else -1)
            began = time.perf_counter()
            decision = run_sample(simulator, train, seed, self._duration_us, self._threads.check)
            label, wall_s = decision.label, time.perf_counter() - began
            name = None if label is None or self._classes is None else self._classes[label]
            decision = replace(decision, class_name=name, wall_s=wall_s)
            if self._recorder_of is not None:
                number, duration = self._first + k, self._duration_us
                recorder = self._recorder_of(number)
                with self._threads.lock:
                    recorder.add(
                        simulator, train, decision, number=number, seed=seed, duration_us=duration
                    )
            yield k, decision

    def _decide_together(
        self, simulator: Simulator, samples: range
    ) -> Iterator[tuple[int, Decision]]:
        """Decide samples in one kernel call."""
        trains = [self._trains[k] for k in samples]
        plan = self._plan
        for k, train in zip(samples, trains, strict=True):
            try:
                check_sample(plan, train, self._duration_us)
            except Exception:
                # run() raises the error of the first sample that fails. A sample before this one
                # may fail in a pass, so those samples are still decided.
                if k > samples.start:
                    yield from self._decide_together(simulator, range(samples.start, k))
                raise
        batch = _Batch(plan, trains, [self._seed_of(k) for k in samples], self._duration_us)
        for n, decision in enumerate(batch.run(simulator, self._threads.check, self._classes)):
            yield samples[n], decision

    def _seed_of(self, k: int) -> int:
        return sample_seed(self._seed, self._first + k)


def _warm_up(plan: ExecutionPlan) -> None:
    """Load the kernel, so that no sample's time includes loading it."""
    for _ in _Batch(plan, [], [], None).run(Simulator(plan), lambda: None, None):
        raise RuntimeError("the kernel returned a decision for an empty batch")


class _Batch:
    """The samples of one kernel call."""

    def __init__(
        self,
        plan: ExecutionPlan,
        trains: list[SpikeTrain],
        seeds: list[int],
        duration_us: int | None,
    ) -> None:
        parts: list[tuple[NDArray[np.int64], Values]] = [(t.index, t.value) for t in trains]
        if plan.run.input == "queued":
            parts = [in_queue_order(train) for train in trains]
        value = joined_values((index.size, values) for index, values in parts)
        self._plan = plan
        self._t_us = np.concatenate([_NO_EVENTS, *(train.t_us for train in trains)])
        self._index = np.concatenate([_NO_EVENTS, *(index for index, _ in parts)])
        self._value = np.empty(0, np.float32) if value is None else value
        self._offsets = np.cumsum([0, *(len(train) for train in trains)], dtype=np.int64)
        self._seeds = np.array(seeds, np.uint64).view(np.int64)
        self._end_us = np.array([last_pass_us(train, duration_us) for train in trains], np.int64)

    def run(
        self,
        simulator: Simulator,
        check: Callable[[], None],
        classes: tuple[str, ...] | None,
    ) -> Iterator[Decision]:
        """Yield the decisions of all samples, or of those before the first one that fails."""
        size = self._seeds.size
        heads = np.zeros((size, self._plan.layout.size), np.int64)
        cycles = np.zeros(size, np.int64)
        began, k, is_resumed, failure = time.perf_counter(), 0, False, None
        while failure is None:
            simulator.state.acquire_scratch()
            k, reason, is_resumed = run_samples(
                simulator.state.context, k, is_resumed, self._t_us, self._index, self._value,
                self._offsets, self._seeds, self._end_us, WORK_PER_CHECK, heads, cycles,
            )  # fmt: skip
            check()
            if reason == Interrupt.DONE:
                break
            try:
                simulator.handle_interrupt(reason)
            except NeuroasyncError as error:
                failure = error
        if not cycles.any():  # this processor has no cycle counter: share the time equally
            cycles[:] = 1
        seconds = (time.perf_counter() - began) / max(int(cycles[: k + 1].sum()), 1)
        for n in range(k):
            yield decision_of(self._plan.layout, heads[n], cycles[n] * seconds, classes)
        if failure is not None:
            raise failure
        simulator.release_scratch()
