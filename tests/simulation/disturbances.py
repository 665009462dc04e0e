"""Disturbances: cancellations at any ``await``, exceptions in user code, and pauses.

The number of cancellations and exceptions of a schedule is limited, so that a caller that tries
again succeeds in the end.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, cast

from tests.simulation.loop import SimulatedLoop

__all__ = ["Disturbances", "Outcome", "PlannedError"]


_OF_A_SESSION: Final = ("population ", "stream reader", "report timeout")
"""How the names of tasks begin that may run until their session closes."""


class PlannedError(Exception):
    """An exception that user code raises on purpose."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: with a value, with an error, or because it was cancelled."""

    value: Any = None
    error: Exception | None = None
    is_cancelled: bool = False


class Disturbances:
    """The disturbances of one schedule.

    Args:
        random: makes all choices.
        cancellations: how many attempts may be cancelled.
        faults: how many times user code may raise :class:`PlannedError`.
        rate: probability of a cancellation before a step of the loop, and of each fault.
    """

    def __init__(self, random: Random, cancellations: int, faults: int, rate: float) -> None:
        self.random = random
        self._cancellations = cancellations
        self._faults = faults
        self._rate = rate
        self._attempts: dict[asyncio.Task[Any], bool] = {}

    def before_step(self) -> None:
        """Perhaps cancel one of the attempts that are running."""
        if self._cancellations and self._attempts and self.random.random() < self._rate:
            tasks = list(self._attempts)
            # A cancellation is most dangerous when what the task waits for has just happened.
            woken = [task for task in tasks if task._fut_waiter is None or task._fut_waiter.done()]
            task = self.random.choice(woken if woken and self.chance(0.5) else tasks)
            if task.cancel():
                self._cancellations -= 1
                self._attempts[task] = True

    def end(self) -> None:
        """Disturb nothing from now on."""
        self._cancellations = self._faults = 0

    def fault(self, where: str) -> None:
        """Perhaps raise :class:`PlannedError`; user code calls this."""
        if self._faults and self.random.random() < self._rate:
            self._faults -= 1
            raise PlannedError(where)

    async def attempt(self, work: Awaitable[Any]) -> Outcome:
        """Run ``work`` in a task of its own, which may be cancelled at each ``await``.

        A task that was cancelled must end as cancelled, or with an error: an operation that
        swallows a cancellation keeps its caller running.
        """
        task = asyncio.get_running_loop().create_task(self._begin(work))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:  # the schedule has failed elsewhere
            task.cancel()
            await asyncio.wait([task])
            if (close := getattr(work, "close", None)) is not None:
                close()  # the task may have ended before it began the work
            raise
        was_struck = self._attempts.pop(task)
        _check_no_task_is_left(task, work)
        if task.cancelled():
            assert was_struck, f"{work} was cancelled by itself"
            return Outcome(is_cancelled=True)
        if (error := task.exception()) is not None:
            if not isinstance(error, Exception):
                raise error
            return Outcome(error=error)
        assert not was_struck, f"{work} has swallowed a cancellation"
        return Outcome(task.result())

    async def _begin(self, work: Awaitable[Any]) -> Any:
        # A task that is cancelled before its first step has not called anything, so it is only now
        # that the promises of the call apply.
        if (task := asyncio.current_task()) is not None:
            self._attempts[task] = False
        return await work

    async def pause(self) -> None:
        """Wait for a random time: not at all, for a few steps, or by the clock."""
        kind = self.random.randrange(4)
        if kind == 1:
            for _ in range(self.random.randrange(1, 6)):
                await asyncio.sleep(0)
        elif kind == 2:
            await asyncio.sleep(self.random.expovariate(1) / 100)

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.random.random() < probability


def _check_no_task_is_left(task: asyncio.Task[Any], work: Awaitable[Any]) -> None:
    """Check that ``work`` has left no task behind, other than those that end with a session."""
    loop = cast("SimulatedLoop", asyncio.get_running_loop())
    names = [child.get_name() for child in loop.descendants(task)]
    left = [name for name in names if not name.startswith(_OF_A_SESSION)]
    assert not left, f"{work} has left tasks behind: {left}"
