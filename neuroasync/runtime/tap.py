"""Taps: what a population fires, as an async iterator."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neuroasync import limits
from neuroasync.runtime.bounded_queue import BoundedQueue

__all__ = ["Tap", "TappedSpikes"]


@dataclass(frozen=True, slots=True)
class TappedSpikes:
    """Neurons of one population that fired in one forward step.

    Attributes:
        session: number of the session in its network, from 0.
        sample: number of the sample in the session, from 0.
        pass_index: of the pass.
        step: forward step of the pass.
        t_us: virtual time, µs.
        neurons: i64[fired], positions within the population, ascending.
    """

    session: int
    sample: int
    pass_index: int
    step: int
    t_us: int
    neurons: NDArray[np.int64]


class Tap:
    """Spikes of one population as they happen, in all sessions of a network.

    Iterate over it in a task of its own; several tasks share its items. It listens from when it
    is made until it is closed, the network is, or nobody holds it any more. A reader that is too
    slow loses the oldest items, which ``dropped`` counts; it never slows the network.

    Attributes:
        population: its name.
    """

    def __init__(self, population: str, capacity: int = limits.MAX_TAP_ITEMS) -> None:
        self.population = population
        self._items: BoundedQueue[TappedSpikes] = BoundedQueue(capacity, "drop-oldest")

    @property
    def dropped(self) -> int:
        """Items lost to a slow reader."""
        return self._items.dropped

    @property
    def is_closed(self) -> bool:
        """Whether it has stopped listening."""
        return self._items.is_closed

    def push(self, item: TappedSpikes) -> None:
        """Append ``item``, dropping the oldest if there is no room."""
        if not self._items.is_closed:
            self._items.push(item)

    def close(self) -> None:
        """Stop listening; what has arrived can still be read."""
        self._items.close()

    def __aiter__(self) -> Self:
        """Items until the tap is closed."""
        return self

    async def __anext__(self) -> TappedSpikes:
        """The next item. Cancellation: safe; nothing is taken."""
        return await self._items.__anext__()

    async def __aenter__(self) -> Self:
        """Listen until the block ends."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        self.close()
