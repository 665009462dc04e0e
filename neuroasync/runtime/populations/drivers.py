"""How the scheduler reaches a population: resumed directly, or as a task of the event loop."""

import asyncio
import contextlib
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.engine.simulator import Simulator
from neuroasync.errors import ClosedError, PopulationError
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.populations.coroutine import (
    DirectInbox,
    Fired,
    Inbox,
    PopulationCoroutine,
    SpikeEvents,
    run_population,
)

__all__ = ["DirectPopulation", "TaskPopulation"]


class DirectPopulation:
    """A population of neurons, whose coroutine the scheduler resumes itself.

    Args:
        forward: the sample's passes.
        p: position of the population.

    Attributes:
        resume: lets it integrate the group that has reached it.
    """

    def __init__(self, simulator: Simulator, p: int) -> None:
        self._coroutine = run_population(simulator, p, DirectInbox())
        self.resume: Callable[[None], object] = self._coroutine.send
        self.resume(None)  # to its first await

    def close(self) -> None:
        """End the coroutine."""
        self._coroutine.close()


class TaskPopulation:
    """A population of the user's, whose coroutine is a task of the event loop.

    Args:
        forward: the sample's passes.
        p: position of the population.
        coroutine: what runs in its place.
        tasks: where the task lives.
    """

    def __init__(
        self,
        simulator: Simulator,
        p: int,
        coroutine: PopulationCoroutine,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._simulator = simulator
        self._p = p
        self._population = simulator.plan.packed.model.populations[p]
        self._start = simulator.plan.packed.model.starts[p]
        self._inbox: Inbox = BoundedQueue(1)
        self._fired: Fired = BoundedQueue(1)
        self._failure: Exception | None = None
        self._is_closed = False
        self._task = tasks.create_task(
            self._run(coroutine),
            name=f"population {self._population.name}",
        )

    def deliver(self, sample: int) -> None:
        """Hand over the open group.

        Raises:
            PopulationError: the coroutine has reported on it already.
        """
        if self._fired:
            raise self._out_of_turn()
        f = self._simulator
        origin, count = f.group()
        current = f.current(self._p)
        events = SpikeEvents(sample, f.passes - 1, f.step, f.time_us, origin, count, current)
        with contextlib.suppress(ClosedError):  # it has ended: collect() says so
            self._inbox.push(events)

    async def collect(self) -> NDArray[np.int64]:
        """Wait for the report of who fired: network-wide indices i64[fired], ascending.

        Cancellation: the group stays with the coroutine; :meth:`close` this port.

        Raises:
            PopulationError: the coroutine raised, ended, or reported nonsense.
        """
        try:
            report = await self._fired.get()
        except ClosedError:
            if self._is_closed:
                raise ClosedError("the session was closed while it was deciding") from None
            name = self._population.name
            if self._failure is None:
                raise PopulationError(
                    f"population {name!r} ended without reporting who fired"
                ) from None
            raise PopulationError(
                f"population {name!r} raised {type(self._failure).__name__}: {self._failure}"
            ) from self._failure
        if self._inbox:
            raise self._out_of_turn()
        return self._checked(report) + self._start

    @property
    def has_reported(self) -> bool:
        """Whether a report is there that was not collected."""
        return len(self._fired) > 0

    def waits_for(self) -> str:
        """What the coroutine waits for, in words."""
        name = self._population.name
        if self._inbox.is_awaited:
            return (
                f"population {name!r} waits for its next group, but has not reported who fired on "
                "the one it took"
            )
        # The task's own coroutine awaits the user's.
        frame = getattr(getattr(self._task.get_coro(), "cr_await", None), "cr_frame", None)
        if frame is None:
            return f"population {name!r} waits for something"
        code = frame.f_code
        return f"population {name!r} waits in {code.co_name} ({code.co_filename}:{frame.f_lineno})"

    def close(self) -> None:
        """Cancel the task; a :meth:`collect` that waits raises ClosedError."""
        self._is_closed = True
        self._inbox.close()
        self._fired.close()
        self._task.cancel()

    async def _run(self, coroutine: PopulationCoroutine) -> None:
        # The task never fails: in a task group, one session's error would end all others.
        try:
            await coroutine(self._inbox, self._fired, self._population)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # handed on by collect()
            self._failure = error
        finally:
            self._inbox.close()
            self._fired.close()

    def _out_of_turn(self) -> PopulationError:
        return PopulationError(
            f"population {self._population.name!r} reported who fired before it took the group, "
            "expected one report after each group taken"
        )

    def _checked(self, report: ArrayLike) -> NDArray[np.int64]:
        size = self._population.size
        try:
            fired = np.atleast_1d(np.asarray(report))
        except ValueError:  # lists of different lengths, for one
            fired = np.zeros(1)
        if fired.size == 0:
            return np.empty(0, np.int64)
        valid = fired.ndim == 1 and fired.dtype.kind in "iu"
        if not valid or fired.min() < 0 or fired.max() >= size:
            hint = ", as of np.flatnonzero(..)" if fired.dtype == np.bool_ else ""
            raise PopulationError(
                f"population {self._population.name!r} reported {report!r:.120}, "
                f"expected positions from 0 to {size - 1}{hint}"
            )
        unique = np.unique(fired).astype(np.int64)
        if unique.size < fired.size:
            raise PopulationError(
                f"population {self._population.name!r} reported a neuron twice: {report!r:.120}"
            )
        return unique
