"""Decide over time: a decision at the end of each interval of each sample of a data set."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Unpack

import numpy as np

from neuroasync import limits
from neuroasync.core.cpu import cores
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.run_sample import check_passes, feed_sample, run_passes
from neuroasync.core.engine.run_settings import RunOptions, check_seed
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.events.labels_over_time import LabelsOverTime
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, VoteWindow
from neuroasync.core.kernels.layout import Votes
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import check_int, must_be
from neuroasync.core.recording.recorder import Recorder, check_recorder
from neuroasync.runtime.batch.sample_threads import SampleThreads, Worker
from neuroasync.runtime.option_resolver import OptionResolver
from neuroasync.runtime.over_time.decisions import DecisionsOverTime, checked_window, window_sums

__all__ = ["decide_over_time"]


def decide_over_time(
    bundle: Bundle,
    samples: SpikeTrains,
    *,
    vote_window: VoteWindow | None = None,
    seed: int = 0,
    first: int = 0,
    workers: int | None = None,
    recorder: Recorder | None = None,
    on_decision: Callable[[int], object] | None = None,
    **options: Unpack[RunOptions],
) -> list[DecisionsOverTime]:
    """Decide at the end of each labelled interval of each sample, from rest, on all cores.

    This blocks; ``await asyncio.to_thread(decide_over_time, ..)`` does not. For live events, see
    :func:`neuroasync.stream_over_time`.

    Args:
        bundle: the network.
        samples: samples with labels over time, which give the interval of the decisions and the
            length of each sample. Intervals without a class (-1) are decided as well.
        vote_window: which votes count for a decision. Defaults to the bundle's.
        seed: seed of the data set: sample number i runs with ``sample_seed(seed, i)``.
        first: number of the first sample.
        workers: number of threads. Defaults to the number of cores.
        recorder: records every spike; made by ``Network(bundle).recorder`` with the same options.
        on_decision: called in one of the threads with the number of samples decided so far.
        **options: options that differ from those of the training; see :class:`RunOptions`. The stop
            rule must be ``quiet``, and the engine must not be ``coroutines``.

    Returns:
        The decisions, in the order of the samples. They do not depend on the number of workers.

    Raises:
        ValueError: an argument is out of range, the samples have no labels over time, the stop rule
            is not ``quiet``, the engine cannot run the network, or the vote window does not consist
            of whole intervals.
        TypeError: ``recorder`` is neither a recorder nor None.
        PolicyError, StopRuleError: an option is invalid.
        EventsError, ForwardStepLimitError, LimitError: a sample does not fit the network, or
            exceeded a limit; a note has its number.
    """
    labels = samples.labels_over_time
    if labels is None:
        raise ValueError(must_be("samples", "samples with labels over time", "none of them"))
    window = checked_window(bundle, vote_window)
    resolver = OptionResolver(bundle, options, ())
    settings = resolver.defaults
    if settings.until != StopRule():
        raise ValueError(must_be("until", "quiet with labels over time", f"{settings.until!s:.80}"))
    plan = resolver.plan(settings)
    if settings.engine == "coroutines" or (settings.engine == "compiled" and not plan.is_built_in):
        requirement = "'auto', or 'compiled' without a custom policy"
        raise ValueError(must_be("engine", requirement, repr(settings.engine)))
    timestep_us = bundle.model.timestep_us
    if timestep_us and labels.every_us % timestep_us:
        requirement = f"a multiple of the network's timestep, {timestep_us} µs"
        raise ValueError(must_be("label_every_us", requirement, f"{labels.every_us}"))
    window.intervals(labels.every_us)
    check_recorder(recorder, plan)
    first = check_int("first", first, 0, limits.MAX_TIME_US, ValueError)
    if workers is not None:
        workers = check_int("workers", workers, 1, limits.MAX_TIME_US, ValueError)
    job = _Job(bundle, plan, samples, labels, window, check_seed(seed), first, recorder)
    return job.run(workers or cores(), on_decision)


class _Job:
    """The samples of one call, as given to :func:`decide_over_time`."""

    def __init__(
        self,
        bundle: Bundle,
        plan: ExecutionPlan,
        samples: SpikeTrains,
        labels: LabelsOverTime,
        window: VoteWindow,
        seed: int,
        first: int,
        recorder: Recorder | None,
    ) -> None:
        self._classes, self._plan, self._samples = bundle.classes, plan, samples
        self._labels, self._window = labels, window
        self._seed, self._first, self._recorder = seed, first, recorder
        self._threads: SampleThreads[DecisionsOverTime]

    def run(
        self, workers: int, on_decision: Callable[[int], object] | None
    ) -> list[DecisionsOverTime]:
        """Decide all samples."""
        self._threads = SampleThreads(len(self._samples), workers, self._first)
        # Load the kernels first, so that no sample's time includes loading them.
        simulator = Simulator(self._plan)
        feed_sample(simulator, SpikeTrain([], []), 0)
        run_passes(simulator, -1, self._threads.check)
        return self._threads.run(self._worker, on_decision)

    def _worker(self) -> Worker[DecisionsOverTime]:
        simulator = Simulator(self._plan)
        simulator.state.keep = self._recorder is not None
        return partial(self._decide, simulator)

    def _decide(
        self, simulator: Simulator, positions: range
    ) -> Iterator[tuple[int, DecisionsOverTime]]:
        every_us = self._labels.every_us
        for k in positions:
            number, train, intervals = self._first + k, self._samples[k], self._labels[k].size
            seed, began = sample_seed(self._seed, number), time.perf_counter()
            found = _run_sample(
                simulator, train, seed, intervals, every_us, self._window, self._threads.check
            )
            label, wall_s = found.decision.label, time.perf_counter() - began
            name = None if label is None or self._classes is None else self._classes[label]
            decision = replace(found.decision, class_name=name, wall_s=wall_s)
            if self._recorder is not None:
                duration_us = intervals * every_us
                with self._threads.lock:
                    self._recorder.add(
                        simulator, train, decision,
                        number=number, seed=seed, duration_us=duration_us,
                    )  # fmt: skip
            yield k, replace(found, decision=decision)


def _run_sample(
    simulator: Simulator,
    events: SpikeTrain,
    seed: int,
    intervals: int,
    every_us: int,
    window: VoteWindow,
    check: Callable[[], None],
) -> DecisionsOverTime:
    """Run one sample to its end, and decide at the end of each of its intervals.

    The spikes are those of :func:`~neuroasync.core.engine.run_sample.run_sample`. The wall time of
    the decision is 0.

    Args:
        simulator: the simulator, with built-in populations and the stop rule ``quiet``; its current
            sample is discarded.
        events: the whole input.
        seed: seed of the sample's order keys.
        intervals: number of intervals. The sample ends with the last one.
        every_us: length of an interval, µs.
        window: which votes count for a decision.
        check: called about every 10 ms; an exception that it raises abandons the sample.

    Raises:
        EventsError: an event is not one of the network's inputs.
        ForwardStepLimitError, LimitError, PolicyError: see ``run_sample``.
    """
    check_passes(simulator.plan, intervals * every_us - 1)
    feed_sample(simulator, events, seed)
    rows = []
    for k in range(intervals):
        run_passes(simulator, (k + 1) * every_us - 1, check)
        rows.append(_row(simulator))
    decision = simulator.decision(0.0)
    simulator.release_scratch()
    classes = decision.votes.size
    values = np.array(rows, np.float64).reshape(intervals, classes)
    if decision.potentials is None:
        values = np.diff(values, axis=0, prepend=np.zeros((1, classes)))
    scores = window_sums(values, window.intervals(every_us))
    return DecisionsOverTime.from_scores(scores, window, every_us, decision)


def _row(simulator: Simulator) -> list[float]:
    """Return the votes of each class so far; the potentials for leaky integrators."""
    plan, head = simulator.plan, simulator.state.head
    potentials = plan.layout.readout(head)
    values: list[float] = (
        plan.layout.split(head)[1][Votes.COUNT] if potentials is None else potentials
    ).tolist()
    return values
