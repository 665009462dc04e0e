"""Code of a user: a policy, a stop rule, a population and sources, which may fail and wait.

Each computes what a built-in part computes, so that the result is known.
"""

import itertools
from collections.abc import AsyncIterator, Iterator

import numpy as np
from numpy.typing import ArrayLike

from neuroasync import Fired, Inbox, PendingSpikes, Population, Progress, SpikeTrain
from tests.simulation.disturbances import Disturbances

__all__ = ["UserFifo", "UserSource", "user_population", "user_rule"]


class UserFifo:
    """The policy ``fifo``, written in Python."""

    name = "user fifo"

    def __init__(self, disturbances: Disturbances) -> None:
        self._disturbances = disturbances

    def order(self, pending: PendingSpikes, group_size: int) -> ArrayLike:
        self._disturbances.fault("policy")
        return np.lexsort((pending.neuron, pending.arrival))


def user_rule(disturbances: Disturbances):
    """Return the stop rule ``votes(2)``, written in Python."""

    def has_two_votes(progress: Progress) -> bool:
        disturbances.fault("rule")
        return bool(progress.votes.max() >= 2)

    return has_two_votes


def user_population(disturbances: Disturbances):
    """Return a coroutine function that computes what the population ``hidden2`` computes."""

    async def hidden2(inbox: Inbox, fired: Fired, population: Population) -> None:
        v = np.zeros(population.size, np.float32)
        blocked, last = np.zeros(v.size, bool), None
        decay = np.float32(np.exp(-1000 / 5000.0))
        async for events in inbox:
            disturbances.fault("population")
            if (events.sample, events.pass_index) != last:
                if last is None or last[0] != events.sample:
                    v[:] = 0
                else:
                    for _ in range(events.pass_index - last[1]):
                        v *= decay
                blocked[:], last = False, (events.sample, events.pass_index)
            v[~blocked] += events.current[~blocked]
            fires = (v > 0.5) & ~blocked
            v[fires] = 0
            blocked |= fires
            await disturbances.pause()
            await fired.put(np.flatnonzero(fires))

    return hidden2


class UserSource:
    """The chunks of a stream, of random sizes, with pauses and perhaps an error in between.

    Attributes:
        taken: number of chunks that the reader has received.
    """

    def __init__(self, train: SpikeTrain, disturbances: Disturbances, first: int = 0) -> None:
        self._disturbances = disturbances
        self._chunks = chunks_of(train, 7)
        self.taken = first

    def __aiter__(self) -> AsyncIterator[SpikeTrain]:
        return self

    async def __anext__(self) -> SpikeTrain:
        await self._disturbances.pause()
        if self.taken == len(self._chunks):
            raise StopAsyncIteration
        self._disturbances.fault("source")
        self.taken += 1
        return self._chunks[self.taken - 1]

    def __iter__(self) -> Iterator[SpikeTrain]:
        """Iterate without pauses."""
        while self.taken < len(self._chunks):
            self.taken += 1
            yield self._chunks[self.taken - 1]


def chunks_of(train: SpikeTrain, parts: int) -> list[SpikeTrain]:
    """Return a spike train in this many chunks, of which some may be empty."""
    bounds = [len(train) * k * k // (parts * parts) for k in range(parts + 1)]
    return [SpikeTrain(train.t_us[a:b], train.index[a:b]) for a, b in itertools.pairwise(bounds)]
