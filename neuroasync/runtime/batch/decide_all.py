"""Decides a data set from an event loop: in threads beside the loop, or sample by sample in it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import Events, SpikeTrain, as_train
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import EventsError
from neuroasync.runtime.batch.job import BatchJob

__all__ = ["Samples", "check_samples", "decide_beside_the_loop",
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
    decide: Callable[[int, SpikeTrain], Awaitable[Decision]],
    samples: Samples,
    first: int,
    on_decision: Callable[[int], None] | None,
) -> list[Decision]:
    """Decide one sample after the other in the event loop. Cancellation: safe at every ``await``.

    Args:
        decide: decides the sample with the given number.
        samples: the data set.
        first: number of the first sample.
        on_decision: called with the number of decisions so far.
    """
    decisions: list[Decision] = []
    for number, events in enumerate(samples, first):
        try:
            decisions.append(await decide(number, events))
        except Exception as error:
            error.add_note(f"in sample {number}")
            raise
        if on_decision is not None:
            on_decision(len(decisions))
        await asyncio.sleep(0)  # a short decision never suspends, so other tasks would starve
    return decisions


def sample_recorders(recorder: Recorder, samples: Samples, first: int) -> Callable[[int], Recorder]:
    """Return a function that returns the recorder of a sample, given its number.

    Args:
        recorder: collects the recordings of all samples.
        samples: the data set; its labels, if any, become the targets.
        first: number of the first sample.
    """
    labels = samples.labels if isinstance(samples, SpikeTrains) else None

    def recorder_of(number: int) -> Recorder:
        target = None if labels is None else int(labels[number - first])
        return recorder.for_sample(number, target)

    return recorder_of
