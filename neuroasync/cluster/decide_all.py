"""Decides a data set by Ray tasks, with several chunks per worker under way at a time."""

import asyncio
from collections.abc import Callable
from typing import Any

from neuroasync.cluster.chunks import Chunks
from neuroasync.cluster.packed_samples import PackedSamples
from neuroasync.cluster.tasks import TASKS_PER_CPU, cancel, result_of, submit
from neuroasync.cluster.worker import DecidedChunk, StoredNetwork, decide_chunk, pickled
from neuroasync.core.engine.decision import Decision
from neuroasync.runtime.batch.cluster_job import ClusterJob
from neuroasync.runtime.network import Network

__all__ = ["decide_all"]


async def decide_all(
    job: ClusterJob[Network], on_decision: Callable[[int], None] | None, cpus: int
) -> list[Decision]:
    """Decide the samples of a job; see :meth:`neuroasync.cluster.Cluster.run_job`.

    Cancellation: the tasks are cancelled, and have ended.
    """
    for name, value in job.options.items():
        pickled(f"`{name}`", value)  # so that an error names it
    stored = await asyncio.to_thread(StoredNetwork.put, job.network)
    data = job.data
    seed, first, duration_us = data.seed, data.first, data.duration_us

    def start(chunk: range) -> Any:
        samples = PackedSamples.of(data.samples[chunk.start : chunk.stop])
        number = first + chunk.start
        return submit(decide_chunk, stored, samples, seed, number, duration_us, job.options)

    return await _Run(len(data.samples), cpus, start, on_decision).run()


class _Run:
    """The tasks of one data set."""

    def __init__(
        self,
        size: int,
        cpus: int,
        start: Callable[[range], Any],
        on_decision: Callable[[int], None] | None,
    ) -> None:
        self._chunks = Chunks(size, cpus)
        self._max_tasks = TASKS_PER_CPU * cpus
        self._start, self._on_decision = start, on_decision
        self._tasks: dict[asyncio.Task[DecidedChunk], tuple[range, Any]] = {}
        self._decisions: list[Decision | None] = [None] * size
        self._count = 0
        self._errors: dict[int, BaseException] = {}

    async def run(self) -> list[Decision]:
        """Decide all samples, and raise the error of the first one that has one."""
        try:
            while self._submit_next() or self._awaits_result():
                done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    chunk, _ = self._tasks.pop(task)
                    if (error := task.exception()) is not None:
                        self._errors[chunk.start] = error
                    else:
                        self._keep(chunk, task.result())
            if self._errors:
                raise self._errors[min(self._errors)]
            return [decision for decision in self._decisions if decision is not None]
        finally:
            await self._end()

    def _submit_next(self) -> bool:
        """Submit chunks while there are some and workers need them; return whether any was."""
        submitted = False
        while not self._errors and len(self._tasks) < self._max_tasks:
            if (chunk := self._chunks.take()) is None:
                break
            self._submit(chunk)
            submitted = True
        return submitted

    def _submit(self, chunk: range) -> None:
        reference = self._start(chunk)
        self._tasks[asyncio.create_task(result_of(reference))] = chunk, reference

    def _awaits_result(self) -> bool:
        """Return whether a task may still change the result."""
        first_error = min(self._errors, default=len(self._decisions) + 1)
        return any(chunk.start < first_error for chunk, _ in self._tasks.values())

    def _keep(self, chunk: range, decided: DecidedChunk) -> None:
        self._decisions[chunk.start : chunk.stop] = decided.decisions.unpack()
        self._chunks.measured(len(chunk), decided.seconds)
        for _ in chunk:
            self._count += 1
            if self._on_decision is not None:
                self._on_decision(self._count)

    async def _end(self) -> None:
        """Cancel what is left, and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await cancel([reference for _, reference in self._tasks.values()])
        await asyncio.gather(*self._tasks, return_exceptions=True)
