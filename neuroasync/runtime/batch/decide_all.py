"""A data set from an event loop: in threads beside it, or sample by sample within."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import Events, SpikeTrain, SpikeTrains, as_train
from neuroasync.core.recording.recorder import Recorder
from neuroasync.errors import SpikeFileError
from neuroasync.runtime.batch.job import BatchJob

__all__ = ["Samples", "checked", "decide_beside_the_loop", "decide_in_turn", "recorders"]

Samples: TypeAlias = SpikeTrains | Sequence[SpikeTrain]
"""A data set; ``SpikeTrains`` may know the labels."""


def checked(samples: Samples | Iterable[Events]) -> Samples:
    """The samples, each as a spike train.

    Raises:
        SpikeFileError: they are no data set.
    """
    if isinstance(samples, SpikeTrains):
        return samples
    if isinstance(samples, SpikeTrain | str | bytes) or not isinstance(samples, Iterable):
        kind = type(samples).__name__
        raise SpikeFileError(f"samples: {kind}, expected SpikeTrains or several spike trains")
    return [as_train(events) for events in samples]


async def decide_beside_the_loop(job: BatchJob) -> list[Decision]:
    """Run ``job`` in threads of its own. Cancellation: waits until they end, some 10 ms."""
    executor = ThreadPoolExecutor(1, "neuroasync")
    work = asyncio.get_running_loop().run_in_executor(executor, job.run)
    executor.shutdown(wait=False)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        job.stop()
        with contextlib.suppress(Exception):
            await work
        raise


async def decide_in_turn(
    decide: Callable[[int, SpikeTrain], Awaitable[Decision]],
    samples: Samples,
    first: int,
    on_decision: Callable[[int], None] | None,
) -> list[Decision]:
    """Decide on one sample after the other. Cancellation: safe at every ``await``."""
    decisions: list[Decision] = []
    for number, events in enumerate(samples, first):
        try:
            decisions.append(await decide(number, events))
        except Exception as error:
            error.add_note(f"in sample {number}")
            raise
        if on_decision is not None:
            on_decision(len(decisions))
        await asyncio.sleep(0)  # a short decision never suspends
    return decisions


def recorders(recorder: Recorder, samples: Samples, first: int) -> Callable[[int], Recorder]:
    """The recorder of each sample, by number; it knows the label if the data set does."""
    labels = samples.labels if isinstance(samples, SpikeTrains) else None

    def recorder_of(number: int) -> Recorder:
        target = None if labels is None else int(labels[number - first])
        return recorder.for_sample(number, target)

    return recorder_of
