"""Custom populations, which run as tasks of the event loop."""

import asyncio
import contextlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.kernels.delivery.event_values import unpack
from neuroasync.core.kernels.layout import Group
from neuroasync.core.model.connections import INPUT
from neuroasync.errors import ClosedError, PopulationError
from neuroasync.runtime.bounded_queue import BoundedQueue
from neuroasync.runtime.cancellation import ends_this_task
from neuroasync.runtime.populations.coroutine import (
    Fired,
    Inbox,
    PopulationCoroutine,
    SpikeEvents,
)
from neuroasync.runtime.populations.report_timeout import ReportTimeout

__all__ = ["TaskPopulation", "collect_report"]


class TaskPopulation:
    """A custom population, whose coroutine runs as a task of the event loop.

    Args:
        simulator: runs the passes of the sample.
        p: position of the population.
        coroutine: the custom coroutine function.
        task_group: where the task runs.
    """

    def __init__(
        self,
        simulator: Simulator,
        p: int,
        coroutine: PopulationCoroutine,
        task_group: asyncio.TaskGroup,
    ) -> None:
        self._simulator = simulator
        self._p = p
        self._population = simulator.plan.packed.model.populations[p]
        self._start = simulator.plan.packed.model.starts[p]
        self._inbox: Inbox = BoundedQueue(1)
        self._fired: Fired = BoundedQueue(1)
        self._failure: BaseException | None = None
        self._is_closed = False
        self._arrivals: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._latest = (-1, -1, -1)
        self._task = task_group.create_task(
            self._run(coroutine),
            name=f"population {self._population.name}",
        )

    def gather(self, sample: int) -> None:
        """Under layer-sync, keep what the latest group brings until the turn of the population.

        Args:
            sample: number of the sample in the session.
        """
        s = self._simulator
        latest = sample, s.passes, s.step
        if latest != self._latest:
            if latest[:2] != self._latest[:2]:
                self._arrivals.clear()  # of a sample that was stopped before the turn
            self._arrivals.append(_arrivals(s, self._p))
            self._latest = latest

    def deliver(self, sample: int) -> None:
        """Put the open group, or what has arrived since the latest turn, into the inbox.

        Args:
            sample: number of the sample in the session.

        Raises:
            PopulationError: the coroutine has reported on the group already.
        """
        if self._fired:
            raise self._reported_too_early()
        s = self._simulator
        if self._arrivals:
            origin, count = (np.concatenate(parts) for parts in zip(*self._arrivals, strict=True))
            self._arrivals.clear()
        else:
            origin, count = s.group()
        current = s.current(self._p)
        count, value = unpack(count)
        events = SpikeEvents(sample, s.passes - 1, s.step, s.time_us, origin, count, current, value)
        with contextlib.suppress(ClosedError):  # the coroutine has ended; collect() reports that
            self._inbox.push(events)

    async def collect(self) -> NDArray[np.int64]:
        """Wait for the report, and return the network-wide indices i64[fired], ascending.

        Cancellation: the group stays with the coroutine; :meth:`close` the population.

        Raises:
            PopulationError: the coroutine raised, ended, or made an invalid report.
            ClosedError: the population was closed meanwhile.
        """
        name = self._population.name
        try:
            report = await self._fired.get()
        except ClosedError:
            if self._is_closed:
                raise ClosedError("the session is closed") from None
            if self._failure is None:
                raise PopulationError(f"population {name!r} ended without a report") from None
            kind, text = type(self._failure).__name__, str(self._failure)
            raise PopulationError(
                f"population {name!r} raised {kind}{': ' if text else ''}{text}"
            ) from self._failure
        if self._inbox:
            raise self._reported_too_early()
        return self._checked(report) + self._start

    @property
    def time_us(self) -> int:
        """Virtual time of the current pass, µs."""
        return self._simulator.time_us

    @property
    def has_reported(self) -> bool:
        """Whether there is a report that was not collected yet."""
        return len(self._fired) > 0

    def describe_wait(self) -> str:
        """Return a description of what the coroutine is waiting for, for an error message."""
        name = self._population.name
        if self._inbox.is_awaited:
            return (
                f"population {name!r} waits for its next group, but has not reported on the one "
                "that it took"
            )
        # The task runs `_run`, which awaits the custom coroutine.
        frame = getattr(getattr(self._task.get_coro(), "cr_await", None), "cr_frame", None)
        if frame is None:
            return f"population {name!r} waits at an unknown place"
        code = frame.f_code
        return f"population {name!r} waits in {code.co_name} ({code.co_filename}:{frame.f_lineno})"

    def close(self) -> None:
        """Cancel the task; a :meth:`collect` that waits raises ClosedError."""
        self._is_closed = True
        self._inbox.close()
        self._fired.close()
        self._task.cancel()

    async def _run(self, coroutine: PopulationCoroutine) -> None:
        # The task never fails, because an error of one session would end the task group of all.
        try:
            await coroutine(self._inbox, self._fired, self._population)
        except BaseException as error:
            self._failure = error  # raised again by collect()
            if ends_this_task(error):
                raise
        finally:
            self._inbox.close()
            self._fired.close()

    def _reported_too_early(self) -> PopulationError:
        return PopulationError(
            f"population {self._population.name!r} reported before it took the group; it must "
            "make one report after each group that it takes"
        )

    def _checked(self, report: ArrayLike) -> NDArray[np.int64]:
        """Return the reported positions, validated and in ascending order."""
        name, size = self._population.name, self._population.size
        try:
            fired = np.atleast_1d(np.array(report))  # a copy, which the population does not hold
        except ValueError:  # for example, nested lists of different lengths
            fired = np.zeros(1)
        if fired.size == 0:
            return np.empty(0, np.int64)
        is_valid = fired.ndim == 1 and fired.dtype.kind in "iu"
        if not is_valid or fired.min() < 0 or fired.max() >= size:
            hint = "; use np.flatnonzero for a mask" if fired.dtype == np.bool_ else ""
            raise PopulationError(
                f"the report of population {name!r} must contain positions from 0 to {size - 1}, "
                f"got {report!r:.120}{hint}"
            )
        unique = np.unique(fired).astype(np.int64)
        if unique.size < fired.size:
            raise PopulationError(
                f"the report of population {name!r} contains a neuron twice: {report!r:.120}"
            )
        return unique


async def collect_report(
    tasks: Mapping[int, TaskPopulation], p: int, report_timeout: ReportTimeout | None
) -> NDArray[np.int64]:
    """Return the report of the population at ``p``, as :meth:`TaskPopulation.collect` does.

    Cancellation: as :meth:`TaskPopulation.collect`.

    Args:
        tasks: the custom populations that the group has reached, by ascending position. The
            reports of those before ``p`` have been collected already.
        p: position of the population.
        report_timeout: how long it may take; None for no limit.

    Raises:
        PopulationError: the population failed, or did not report in time. The message names all
            that have not reported.
        ClosedError: the population was closed meanwhile.
    """
    if report_timeout is None:
        return await tasks[p].collect()
    try:
        async with report_timeout.limit():
            return await tasks[p].collect()
    except TimeoutError as error:
        states = [
            task.describe_wait() for q, task in tasks.items() if q >= p and not task.has_reported
        ]
        t_us = tasks[p].time_us
        raise PopulationError(
            f"no report within {report_timeout.limit_s:g} s for the group at t = {t_us} µs: "
            f"{'; '.join(states)}"
        ) from error


def _arrivals(simulator: Simulator, p: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return origins and multiplicities of the slots of the group that reach population ``p``."""
    state, model = simulator.state, simulator.plan.packed.model
    group, target = state.acquire_scratch().slots(state.control), model.populations[p].name
    names = [*(q.name for q in model.populations), INPUT]
    mine = [(k, c) for k, c in enumerate(model.connections) if c.target == target]
    delayed = [k for k, c in mine if c.delay_us]
    senders = [names.index(c.source) for _, c in mine if not c.delay_us]
    via = group[Group.CONNECTION]
    reaches = np.where(via < 0, np.isin(group[Group.OWNER], senders), np.isin(via, delayed))
    return group[Group.ORIGIN, reaches], group[Group.MULTIPLICITY, reaches]
