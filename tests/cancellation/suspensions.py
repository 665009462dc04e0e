"""Cancel a coroutine at a chosen suspension.

Suspensions are counted where the coroutine yields to its event loop, so that the count does not
depend on the loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Literal, TypeAlias

__all__ = ["CASES", "Cut", "case"]

When: TypeAlias = Literal["suspended", "woken"]
"""When a cancellation arrives: while the task waits, or just after what it waits for happened."""


class Cut:
    """One call that is cancelled at a suspension.

    Args:
        at: number of the suspension, from 1.
        when: when the cancellation arrives.

    Attributes:
        is_cancelled: whether the call has ended as cancelled.
        has_ended: whether the call has ended before the suspension.
        value: what the call has returned, if it was not cancelled.
    """

    def __init__(self, at: int, when: When) -> None:
        self._at = at
        self._when = when
        self._suspensions = 0
        self._has_begun = False
        self.is_cancelled = False
        self.value: Any = None

    @property
    def has_ended(self) -> bool:
        return self._has_begun and self._suspensions < self._at

    async def __call__(self, work: Awaitable[Any]) -> bool:
        """Run ``work`` in a task of its own; return whether it was cancelled."""
        assert not self._has_begun, "a case cuts one call"
        self._has_begun = True
        task = asyncio.ensure_future(self._run(work))
        await asyncio.wait([task])
        self.is_cancelled = task.cancelled()
        if not self.is_cancelled:
            self.value = task.result()
            assert self.has_ended, f"{work} has swallowed a cancellation"
        return self.is_cancelled

    async def _run(self, work: Awaitable[Any]) -> Any:
        return await _Watched(work, self._suspended)

    def _suspended(self, waits_for: asyncio.Future[Any] | None) -> None:
        """Count a suspension of the running task, and cancel the task if it is the one."""
        self._suspensions += 1
        if self._suspensions != self._at:
            return
        task = asyncio.current_task()
        assert task is not None
        if self._when == "suspended" or waits_for is None:
            task.cancel()
        else:
            # This callback runs before the one that resumes the task.
            waits_for.add_done_callback(lambda _: task.cancel())


class _Watched:
    """An awaitable that reports each suspension of another one."""

    def __init__(
        self, work: Awaitable[Any], suspended: Callable[[asyncio.Future[Any] | None], None]
    ) -> None:
        self._work = work
        self._suspended = suspended

    def __await__(self) -> Generator[Any, None, Any]:
        steps = self._work.__await__()
        error: BaseException | None = None
        while True:
            try:
                waits_for = next(steps) if error is None else steps.throw(error)
            except StopIteration as end:
                return end.value
            self._suspended(waits_for)
            error = None
            try:
                yield waits_for
            except BaseException as raised:
                error = raised


Case: TypeAlias = Callable[[Cut], Awaitable[None]]

CASES: dict[str, tuple[tuple[str, ...], Case]] = {}
"""The cases by name, each with the public coroutines that it calls."""


def case(*covers: str) -> Callable[[Case], Case]:
    """Add a function to the cases; ``covers`` are the public coroutines that it cuts."""

    def add(function: Case) -> Case:
        CASES[function.__name__] = (covers, function)
        return function

    return add
