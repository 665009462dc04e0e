"""The coroutine of a population, and the protocol for one of your own."""

from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.kernels.entry_points import integrate_and_fire
from neuroasync.core.model.model import Population
from neuroasync.runtime.bounded_queue import BoundedQueue

__all__ = ["DirectInbox", "Fired", "Inbox", "PopulationCoroutine", "SpikeEvents", "run_population"]


@dataclass(frozen=True, slots=True)
class SpikeEvents:
    """One delivered group, as a population of your own receives it.

    Attributes:
        sample: number of the sample in the session, from 0; another one starts from rest, but
            in a stream whose windows carry.
        pass_index: of the pass, from 0; a new pass clears refractoriness.
        step: forward step of the pass; 0 is its input.
        t_us: virtual time, µs.
        origin: i64[slots], network-wide index of the neuron that fired, or N + the flattened
            input index of an event; all of the group, in slot order.
        count: i64[slots], how many times it fired.
        current: f32[n], what the group brings to each neuron of this population: its weights
            times counts, summed in slot order.
    """

    sample: int
    pass_index: int
    step: int
    t_us: int
    origin: NDArray[np.int64]
    count: NDArray[np.int64]
    current: NDArray[np.float32]


Inbox: TypeAlias = BoundedQueue[SpikeEvents]
Fired: TypeAlias = BoundedQueue[ArrayLike]


class PopulationCoroutine(Protocol):
    """A population of your own: receives spike events, and reports who fired.

    It is started once for each session, and ends when the session does::

        async def gate(inbox: Inbox, fired: Fired, population: Population) -> None:
            async for events in inbox:
                allowed = await ask_some_service(events.current)
                await fired.put(np.flatnonzero(allowed))

    For each group taken from ``inbox`` it puts one report into ``fired``: the positions, within
    the population, of the neurons that fire now (an empty list if none does). It may await
    whatever it likes in between; the pass waits, other sessions go on. What it raises is raised
    from the decision, as :class:`~neuroasync.PopulationError`. When a decision is cancelled, so
    is the coroutine; a new one is started for the next sample.
    """

    def __call__(self, inbox: Inbox, fired: Fired, population: Population, /) -> Awaitable[None]:
        """Run until the inbox is closed."""
        ...


class DirectInbox:
    """The inbox of a population that the scheduler resumes itself: one group of spike events.

    The group stands in the session's memory, where the scheduler has delivered it; awaiting the
    inbox waits until there is one. No future and no event loop is involved: a round trip through
    two asyncio queues takes 8 µs, this 0.3.
    """

    __slots__ = ()
    _waits: ClassVar = (None,)

    def __await__(self) -> Generator[None, None, None]:
        """Suspend once. Cancellation: safe; nothing is held."""
        # Any iterator will do, and this one is made and run in C.
        return iter(self._waits)  # type: ignore[return-value]


async def run_population(simulator: Simulator, p: int, inbox: DirectInbox) -> None:
    """Integrate each group that reaches the population, and say who fires.

    Cancellation: safe at its ``await``; no spike is held while this coroutine is suspended.

    Args:
        simulator: the sample's passes, which hold the group and the population's state.
        p: position of the population.
        inbox: ready when a group has reached the population.
    """
    state = simulator.state
    while True:
        await inbox
        # No await from here on: taking, integrating and handing on are one step.
        integrate_and_fire(state.context, p)
