"""Decides a data set from an event loop: in threads beside the loop, or sample by sample in it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self, TypeAlias

from neuroasync import limits
from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.run_settings import RunOptions, check_seed
from neuroasync.core.events.spike_train import Events, SpikeTrain, as_train
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.core.model.checks import check_int
from neuroasync.core.recording.recorder import Recorder, check_recorder
from neuroasync.errors import EventsError
from neuroasync.runtime.batch.job import BatchJob

__all__ = ["DataSet", "Samples", "check_samples", "decide_beside_the_loop",
           "decide_in_turn", "sample_recorders"]  # fmt: skip

Samples: TypeAlias = SpikeTrains | Sequence[SpikeTrain]
"""A data set. ``SpikeTrains`` can have labels."""


def check_samples(samples: Samples | Iterable[Events]) -> Samples:
    """Return the samples, each as a spike train.

    Raises:
        EventsError: ``samples`` is no data set, or one of them is no spike train.
    """
    if isinstance(samples, SpikeTrains):
        return samples
    if isinstance(samples, SpikeTrain | str | bytes) or not isinstance(samples, Iterable):
        raise EventsError(
            f"`samples` must be SpikeTrains or a sequence of spike trains, got "
            f"{type(samples).__name__}"
        )
    return [as_train(events) for events in samples]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Samples with what their decisions depend on, as :meth:`checked` makes it.

    Attributes:
        samples: the samples.
        seed: seed of the data set: sample number i runs with ``sample_seed(seed, i)``.
        first: number of the first sample.
        duration_us: length of each sample, µs. If None, a sample ends with its last event.
    """

    samples: Samples
    seed: int
    first: int
    duration_us: int | None

    @classmethod
    def checked(
        cls, samples: Samples | Iterable[Events], seed: int, first: int, duration_us: int | None
    ) -> Self:
        """Return a data set, with each of its samples as a spike train.

        Raises:
            EventsError: ``samples`` is no data set, or one of them is no spike train.
            ValueError: ``seed`` or ``first`` is out of range.
        """
        first = check_int("first", first, 0, limits.MAX_TIME_US, ValueError)
        return cls(check_samples(samples), check_seed(seed), first, duration_us)


async def decide_beside_the_loop(
    job: BatchJob, on_decision: Callable[[int], None] | None
) -> list[Decision]:
    """Run ``job`` in its threads and return its decisions.

    Cancellation, or an exception of ``on_decision``: stops the job and waits until its threads
    have ended, about 10 ms.

    Args:
        job: the job.
        on_decision: called by this task with the number of decisions so far.
    """
    loop, counts = asyncio.get_running_loop(), asyncio.Queue[int | None]()

    def report(count: int) -> None:
        loop.call_soon_threadsafe(counts.put_nowait, count)

    executor = ThreadPoolExecutor(1, "neuroasync")
    work = loop.run_in_executor(executor, job.run, None if on_decision is None else report)
    executor.shutdown(wait=False)
    work.add_done_callback(lambda _: counts.put_nowait(None))
    try:
        while (count := await counts.get()) is not None:
            if on_decision is not None:
                on_decision(count)
            await asyncio.sleep(0)  # many counts may wait, so other tasks would starve
        return await work
    except BaseException:
        job.stop()
        with contextlib.suppress(Exception):  # the first exception takes precedence
            await work
        raise


async def decide_in_turn(
    decide: Callable[..., Awaitable[Decision]],
    data: DataSet,
    recorder_of: Callable[[int], Recorder] | None,
    on_decision: Callable[[int], None] | None,
    options: RunOptions,
) -> list[Decision]:
    """Decide one sample after the other in the event loop. Cancellation: safe at every ``await``.

    Args:
        decide: :meth:`neuroasync.Network.decide`.
        data: the data set.
        recorder_of: returns the recorder of a sample, given its number; None to record nothing.
        on_decision: called with the number of decisions so far.
        options: options of ``decide``.
    """
    decisions: list[Decision] = []
    for number, events in enumerate(data.samples, data.first):
        recorder = None if recorder_of is None else recorder_of(number)
        seed, duration_us = sample_seed(data.seed, number), data.duration_us
        try:
            decision = await decide(
                events, seed=seed, duration_us=duration_us, recorder=recorder, **options
            )
        except Exception as error:
            error.add_note(f"in sample {number}")
            raise
        decisions.append(decision)
        if on_decision is not None:
            on_decision(len(decisions))
        await asyncio.sleep(0)  # a short decision never suspends, so other tasks would starve
    return decisions


def sample_recorders(
    recorder: Recorder | None, data: DataSet, plan: ExecutionPlan
) -> Callable[[int], Recorder] | None:
    """Return a function that returns the recorder of a sample, given its number.

    Args:
        recorder: collects the recordings of all samples. If None, return None.
        data: the data set; the labels of its samples, if any, become the targets.
        plan: how the samples run.

    Raises:
        TypeError: ``recorder`` is neither a recorder nor None.
        ValueError: the recorder was made for another network or other settings.
    """
    check_recorder(recorder, plan)
    if recorder is None:
        return None
    samples = data.samples
    labels = samples.labels if isinstance(samples, SpikeTrains) else None

    def recorder_of(number: int) -> Recorder:
        target = None if labels is None else int(labels[number - data.first])
        return recorder.for_sample(number, target)

    return recorder_of
