"""Many samples at once: threads around the GIL, which the kernels release."""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from neuroasync.decision import Decision
from neuroasync.forward import Forward
from neuroasync.kernels.order import sample_seed
from neuroasync.recording import Recorder
from neuroasync.sample import run_sample
from neuroasync.spikes import SpikeTrain, SpikeTrains
from neuroasync.state import Plan

__all__ = ["ManySamples", "cores"]


def cores() -> int:
    """Cores that this process may use, where the system says; else all."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ManySamples:
    """Decides on samples, each from rest; no result depends on how many threads do it.

    Args:
        plan: the network, and how it is run; of kernels alone.
        trains: the samples.
        seed: 64 bits; the sample with number i runs with ``sample_seed(seed, i)``.
        workers: threads, from 1.
        first: number of the first sample.
        duration_us: length of each sample; without, it ends with its last event.
        classes: names of the output neurons, or None.
        recorder_of: the recorder of a sample, by its number; None for none.
        on_decision: called in some thread, with the number of decisions made so far.
    """

    def __init__(
        self,
        plan: Plan,
        trains: SpikeTrains | Sequence[SpikeTrain],
        seed: int,
        workers: int,
        *,
        first: int = 0,
        duration_us: int | None = None,
        classes: tuple[str, ...] | None = None,
        recorder_of: Callable[[int], Recorder] | None = None,
        on_decision: Callable[[int], object] | None = None,
    ) -> None:
        self._plan = plan
        self._trains = trains
        self._seed = seed
        self._workers = workers
        self._first = first
        self._duration_us = duration_us
        self._classes = classes
        self._recorder_of = recorder_of
        self._on_decision = on_decision
        self._decisions: dict[int, Decision] = {}
        self._errors: dict[int, Exception] = {}
        self._next = 0
        self._is_stopped = False
        self._lock = threading.Lock()

    def run(self) -> list[Decision]:
        """All decisions, in the order of the samples.

        Raises:
            SpikeFileError, ForwardStepLimitError, LimitError: of the first sample that has one.
        """
        with ThreadPoolExecutor(self._workers, "neuroasync") as pool:
            for worker in [pool.submit(self._work) for _ in range(self._workers)]:
                worker.result()
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._decisions[k] for k in range(len(self._decisions))]

    def stop(self) -> None:
        """Let all threads end soon, whatever they are at."""
        self._is_stopped = True

    def _take(self) -> int | None:
        with self._lock:
            if self._is_stopped or self._next >= len(self._trains):
                return None
            self._next += 1
            return self._next - 1

    def _work(self) -> None:
        forward = Forward(self._plan)
        forward.state.keep = self._recorder_of is not None
        while (k := self._take()) is not None:
            try:
                decision = self._decide(forward, k)
            except _StoppedError:
                return
            except Exception as error:  # raised by run(), unless an earlier sample has one, too
                with self._lock:
                    self._errors[k] = error
                    self._next = len(self._trains)  # those before it may have one, too
                return
            with self._lock:
                self._decisions[k] = decision
                if self._on_decision is not None:
                    self._on_decision(len(self._decisions))

    def _decide(self, forward: Forward, k: int) -> Decision:
        train, seed = self._trains[k], sample_seed(self._seed, self._first + k)
        began = time.perf_counter()
        decision = run_sample(forward, train, seed, self._duration_us, self._check)
        label = decision.label
        name = None if label is None or self._classes is None else self._classes[label]
        decision = replace(decision, class_name=name, wall_s=time.perf_counter() - began)
        if self._recorder_of is not None:
            recorder = self._recorder_of(self._first + k)
            with self._lock:
                recorder.add(
                    forward,
                    train,
                    decision,
                    number=self._first + k,
                    seed=seed,
                    duration_us=self._duration_us,
                )
        return decision

    def _check(self) -> None:
        if self._is_stopped:
            raise _StoppedError


class _StoppedError(Exception):
    """The sample is wanted no more."""
