"""A session whose samples run on the replicas of a deployment."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine
from typing import Any, Final, Self, TypeVar

from neuroasync.cluster.serving.journal import Journal
from neuroasync.cluster.serving.replica_calls import ReplicaCalls
from neuroasync.cluster.serving.steps import Reply, SampleOptions, SampleStep
from neuroasync.cluster.tasks import ClusterError
from neuroasync.core.engine.decision import Decision
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.kernels.order_keys import sample_seed
from neuroasync.errors import ClosedError

__all__ = ["RemoteSession"]

Result = TypeVar("Result")

_MAX_MOVES: Final = 10
"""How often the replicas may lose the sample of one step."""


class RemoteSession:
    """A session for one connection of a server; it is a ``SampleSession``.

    A complete sample depends on nothing but its events, its number and the options, so that any
    replica can decide it. A sample in chunks stays on one replica. If another one has to continue,
    it gets the latest snapshot and the chunks since then, and comes to the same spikes.

    Args:
        calls: calls of the replicas.
        options: how to run the samples.
    """

    def __init__(self, calls: ReplicaCalls, options: SampleOptions) -> None:
        self._calls = calls
        self._options = options
        self._name = uuid.uuid4().hex
        self._sample = 0
        self._journal: Journal | None = None
        self._is_decided = False
        self._waiting_events = 0
        self._is_closed = False
        self._call: asyncio.Task[Any] | None = None

    @property
    def sample(self) -> int:
        """The number of the current sample, from 0."""
        return self._sample

    @property
    def is_decided(self) -> bool:
        """Whether the stop rule has ended the sample."""
        return self._is_decided

    @property
    def waiting_events(self) -> int:
        """The number of events of the sample that no pass has read yet."""
        return self._waiting_events

    async def __aenter__(self) -> Self:
        """Return the session."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session. This never suspends."""
        self.close()

    def decide_nowait(self, events: SpikeTrain) -> Decision | None:
        """Return None: a call of a replica always waits."""
        del events
        return None

    async def send(self, events: SpikeTrain) -> None:
        """Add events to the sample, and run every pass whose input is complete.

        Cancellation: the sample is abandoned.

        Raises:
            EventsError, LimitError: as for :meth:`neuroasync.Session.send`.
            ClusterError: replicas were lost too often, or one failed in another way.
            ClosedError: the session is closed.
        """
        await self._run(events, False, False)

    async def decide(self, events: SpikeTrain) -> Decision:
        """Add the last events of the sample and finish it.

        Cancellation: the sample is abandoned.

        Raises:
            EventsError, LimitError, ValueError: as for :meth:`neuroasync.Session.decide`.
            ClusterError, ClosedError: as for :meth:`send`.
        """
        if self._journal is not None:
            return (await self._run(events, True, False))[-1]
        seed = sample_seed(self._options.seed, self._sample)
        decision = await self._interruptible(
            self._calls.decide(self._name, self._options, seed, events)
        )
        self._sample += 1
        return decision

    async def finish_sample(self) -> Decision:
        """Run the remaining passes of the sample and return its decision.

        Cancellation: the sample is abandoned.

        Raises:
            LimitError, ValueError: as for :meth:`neuroasync.Session.finish_sample`.
            ClusterError, ClosedError: as for :meth:`send`.
        """
        return (await self._run(None, True, False))[-1]

    async def watch(self, events: AsyncIterable[SpikeTrain]) -> AsyncGenerator[Decision, None]:
        """Decide one sample, and yield a decision whenever another class leads.

        The provisional decisions of a chunk are yielded together.

        Cancellation: the sample is abandoned.

        Args:
            events: source of the chunks of the sample, in order of time.

        Raises:
            EventsError, LimitError, ValueError: as for :meth:`neuroasync.Session.watch`.
            ClusterError, ClosedError: as for :meth:`send`.
        """
        try:
            async for chunk in events:
                for decision in await self._run(chunk, False, True):
                    yield decision
                    if decision.is_final:
                        return
            for decision in await self._run(None, True, True):
                yield decision
        finally:
            self._abandon()

    def skip(self, samples: int = 1) -> None:
        """Discard the current sample and use up this many numbers."""
        self._abandon()
        self._sample += samples

    def close(self) -> None:
        """End the session. A call that is running raises ClosedError."""
        if not self._is_closed:
            self._is_closed = True
            self._abandon()
            if self._call is not None:
                self._call.cancel()

    async def _run(
        self, chunk: SpikeTrain | None, is_last: bool, is_watched: bool
    ) -> tuple[Decision, ...]:
        """Run a step of the current sample, and return the decisions that are new."""
        is_new = self._journal is None
        journal = self._journal = self._journal or Journal()
        try:
            reply, returned = await self._interruptible(
                self._advance(journal, chunk, is_last, is_watched, is_new)
            )
            decisions = reply.decisions[returned:]
            if reply.is_final:
                # The replica has forgotten the sample already.
                self._sample += 1
                self._begin()
                return decisions
            if chunk is not None:
                journal.add(chunk, reply.snapshot)
        except BaseException:
            self._abandon()
            raise
        journal.decisions += len(decisions)
        self._is_decided, self._waiting_events = reply.is_decided, reply.waiting_events
        return decisions

    async def _advance(
        self,
        journal: Journal,
        chunk: SpikeTrain | None,
        is_last: bool,
        is_watched: bool,
        begins: bool,
    ) -> tuple[Reply, int]:
        """Run a step, on another replica if that of the sample has lost it.

        Returns:
            The reply, and how many of its decisions were returned before.
        """
        for _ in range(_MAX_MOVES):
            start = journal.start(self._options, is_watched) if begins else None
            step = SampleStep(
                self._name, self._sample, journal.position, chunk, is_last,
                journal.wants_snapshot, start,
            )  # fmt: skip
            reply = await self._calls.run(step)
            # A last step without a final decision has not run on the whole sample.
            if reply is not None and (reply.is_final or not is_last):
                return reply, journal.decisions if begins else 0
            begins = True
        raise ClusterError("the replicas do not keep the sample; they may have too little memory")

    async def _interruptible(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Await a call that :meth:`close` can end."""
        if self._is_closed:
            call.close()
            raise ClosedError("the session is closed")
        self._call = task = asyncio.create_task(call)
        try:
            return await task
        except asyncio.CancelledError:
            cancelled = asyncio.current_task()
            if self._is_closed and not (cancelled is not None and cancelled.cancelling()):
                raise ClosedError("the session was closed") from None
            raise
        finally:
            self._call = None

    def _abandon(self) -> None:
        """Discard the current sample."""
        if self._journal is not None:
            self._calls.release(self._name, self._sample)
        self._begin()

    def _begin(self) -> None:
        self._journal = None
        self._is_decided, self._waiting_events = False, 0
