"""A sample that a replica has begun and that has not ended."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence

from neuroasync.cluster.serving.steps import Reply, SampleStart, SampleStep
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.errors import ClosedError
from neuroasync.runtime.network import Network
from neuroasync.runtime.session import Session

__all__ = ["RunningSample"]


class RunningSample:
    """A session that runs one sample, step by step.

    Args:
        network: the open network.
        sample: number of the sample.
        start: how to begin it. Its chunks run with the first step.

    Raises:
        NeuroasyncError, ValueError: an option is invalid.

    Attributes:
        number: number of the sample.
        position: number of steps that were run, or are being run.
        is_running: whether a step is being run.
    """

    def __init__(self, network: Network, sample: int, position: int, start: SampleStart) -> None:
        options = start.options
        self._session = network.session(
            seed=options.seed, max_cpu_s=options.max_cpu_s, **options.run
        )
        self.number = sample
        if start.snapshot is not None:
            self._session.restore(start.snapshot)
        elif sample:
            self._session.skip(sample)
        self._missed: Sequence[SpikeTrain] = start.chunks
        self._watch = _Watch(self._session) if start.is_watched else None
        self.position = position
        self.is_running = False
        self._idle_since_s = time.monotonic()

    @property
    def idle_s(self) -> float:
        """How long the sample has waited for its next step, s; 0 while a step runs."""
        return 0.0 if self.is_running else time.monotonic() - self._idle_since_s

    def expects(self, step: SampleStep) -> bool:
        """Return whether a step is the next one of this sample, and can be run now."""
        is_next = (step.sample, step.position) == (self.number, self.position)
        return is_next and not self.is_running

    async def run(self, step: SampleStep) -> Reply:
        """Run a step.

        Cancellation: the sample is lost; close it.

        Raises:
            EventsError, LimitError, ValueError: as for :class:`neuroasync.Session`.
            ClosedError: the sample was closed.
        """
        # Counted first: a step that arrives twice is then not the next one.
        self.position += 1
        self.is_running = True
        try:
            return await self._run(step)
        finally:
            self.is_running = False
            self._idle_since_s = time.monotonic()

    def close(self) -> None:
        """End the sample. A step that is running raises ClosedError."""
        if self._watch is not None:
            self._watch.close()
        self._session.close()

    async def _run(self, step: SampleStep) -> Reply:
        missed, self._missed = self._missed, ()
        decisions: list[Decision] = []
        for chunk in missed:
            decisions += await self._run_chunk(chunk, False)
        decisions += await self._run_chunk(step.chunk, step.is_last)
        if step.is_last or (decisions and decisions[-1].is_final):
            return Reply(tuple(decisions), True, 0, None)
        snapshot = None
        if step.wants_snapshot and self._watch is None:
            with contextlib.suppress(RuntimeError):  # custom populations have a state of their own
                snapshot = self._session.snapshot()
        session = self._session
        return Reply(tuple(decisions), session.is_decided, session.waiting_events, snapshot)

    async def _run_chunk(self, chunk: SpikeTrain | None, is_last: bool) -> list[Decision]:
        if self._watch is not None:
            return await self._watch.run(chunk, is_last)
        if is_last:
            finishing = self._session
            return [await (finishing.finish_sample() if chunk is None else finishing.decide(chunk))]
        if chunk is not None:
            await self._session.send(chunk)
        return []


class _Watch:
    """A watched sample, which runs in a task between the arrival of a chunk and its end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._chunks: asyncio.Queue[SpikeTrain | None] = asyncio.Queue()
        self._decisions: list[Decision] = []
        self._pausing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def run(self, chunk: SpikeTrain | None, is_last: bool) -> list[Decision]:
        """Run a chunk, and return the decisions that it leads to."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
            self._task.add_done_callback(self._end)
            await self._pausing.wait()
        self._pausing.clear()
        if chunk is not None:
            self._chunks.put_nowait(chunk)
        if is_last:
            self._chunks.put_nowait(None)
            await asyncio.wait((self._task,))
        elif chunk is not None and not self._task.done():
            await self._pausing.wait()
        if self._task.cancelled():
            raise ClosedError("the sample was closed")
        if self._task.done():
            self._task.result()  # raises the error of the sample
        decisions, self._decisions = self._decisions, []
        return decisions

    def close(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # counts as seen, also if nothing waits for it any more
        self._pausing.set()

    async def _watch(self) -> None:
        async with contextlib.aclosing(self._session.watch(self._arrivals())) as decisions:
            async for decision in decisions:
                self._decisions.append(decision)

    async def _arrivals(self) -> AsyncGenerator[SpikeTrain, None]:
        while True:
            if self._chunks.empty():
                self._pausing.set()
            chunk = await self._chunks.get()
            if chunk is None:
                return
            yield chunk
