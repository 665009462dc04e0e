"""Taps: async iterators over the spikes of a population."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.copies import cannot_copy
from neuroasync.core.engine.simulator import Simulator
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.loop_guard import LoopGuard

__all__ = ["Tap", "TappedSpikes", "feed_taps"]


@dataclass(frozen=True, slots=True)
class TappedSpikes:
    """The neurons of one population that fired in one forward step.

    Attributes:
        session: number of the session in its network, from 0.
        sample: number of the sample in the session, from 0.
        pass_index: index of the pass in the sample, from 0.
        step: forward step within the pass.
        t_us: virtual time, µs.
        neurons: i64[fired], positions within the population, ascending; read-only.
    """

    session: int
    sample: int
    pass_index: int
    step: int
    t_us: int
    neurons: NDArray[np.int64]


class Tap:
    """The spikes of one population as they occur, in all sessions of a network.

    A tap is an async iterator, created by :meth:`neuroasync.Network.tap`. Read it in a separate
    task; if several tasks read it, each item goes to one of them. It receives spikes until it is
    closed, the network is closed, or it is no longer referenced. A slow reader never slows the
    network: when the buffer is full, the oldest item is dropped and counted by ``dropped``.

    Args:
        population: name of the population.
        capacity: maximum number of items to buffer.
        loop_guard: the guard of the network's event loop.

    Raises:
        ValueError: ``capacity`` is less than 1.

    Attributes:
        population: name of the population.
    """

    def __init__(self, population: str, capacity: int, loop_guard: LoopGuard) -> None:
        self.population = population
        self._loop_guard = loop_guard
        self._items: BoundedQueue[TappedSpikes] = BoundedQueue(capacity, "drop-oldest")

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise cannot_copy(self, "network.tap() opens another")

    @property
    def dropped(self) -> int:
        """The number of items that were dropped because the reader was too slow."""
        return self._items.dropped

    @property
    def is_closed(self) -> bool:
        """Whether the tap is closed and receives no more spikes."""
        return self._items.is_closed

    def push(self, item: TappedSpikes) -> None:
        """Add ``item`` to the buffer; if it is full, drop the oldest item."""
        if not self._items.is_closed:
            self._items.push(item)

    def close(self) -> None:
        """Stop receiving spikes; the items in the buffer can still be read.

        Raises:
            RuntimeError: the network is open in another event loop or thread.
        """
        if not self.is_closed:
            self._loop_guard.check_caller()
            self._items.close()

    def __aiter__(self) -> Self:
        """Return this iterator, which ends when the tap is closed."""
        return self

    async def __anext__(self) -> TappedSpikes:
        """Wait for the next item. Cancellation: safe; no item is removed.

        Raises:
            RuntimeError: the network is open in another event loop.
        """
        self._loop_guard.check_running()
        return await self._items.__anext__()

    async def __aenter__(self) -> Self:
        """Return the tap; it is closed at the end of the block. This never suspends."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the tap. This never suspends."""
        self.close()


def feed_taps(
    simulator: Simulator,
    taps: Mapping[int, Collection[Tap]],
    session: int,
    sample: int,
    reached: Iterable[int],
) -> None:
    """Push what populations have just fired to their taps.

    Args:
        simulator: the passes of the sample.
        taps: open taps, by position of the population.
        session: number of the session.
        sample: number of the sample.
        reached: positions of the populations that the group has reached.
    """
    for p in reached:
        if not (listeners := taps.get(p)):
            continue
        if (fired := simulator.fired(p)).size:
            neurons = fired - simulator.plan.packed.model.starts[p]
            neurons.flags.writeable = False  # all taps get the same array
            item = TappedSpikes(
                session, sample, simulator.passes - 1, simulator.step, simulator.time_us, neurons
            )
            for tap in tuple(listeners):
                tap.push(item)
