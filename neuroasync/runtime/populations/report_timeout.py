"""How long a session waits for populations of the user's, by a clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from neuroasync import limits
from neuroasync.runtime.clock import Clock

__all__ = ["ReportTimeout", "StartTask", "check_report_timeout"]

StartTask: TypeAlias = Callable[[Coroutine[None, None, None], str], asyncio.Task[None]]
"""Starts a task of this name, which ends with the session at the latest."""

_US: Final = 1_000_000
_MAX_S: Final = limits.MAX_TIME_US // _US


class ReportTimeout:
    """Ends waits that take too long, one at a time.

    A single task sleeps for all of them, one after the other: a timer each would be more than the
    wait itself.

    Args:
        clock: what it goes by.
        limit_s: how long a wait may take, s.
        start: starts the task; it ends with the session at the latest.
    """

    __slots__ = ("_clock", "_start", "_timeout", "_until_us", "_watch", "limit_s")

    def __init__(self, clock: Clock, limit_s: float, start: StartTask) -> None:
        self.limit_s = limit_s
        self._clock = clock
        self._start = start
        self._until_us = 0
        self._timeout: asyncio.Timeout | None = None
        self._watch: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Cancel what waits inside when it has taken too long.

        Raises:
            TimeoutError: that was the case.
        """
        self._until_us = self._clock.now_us() + round(self.limit_s * _US)
        async with asyncio.timeout(None) as self._timeout:
            if self._watch is None or self._watch.done():
                self._watch = self._start(self._run(), "patience")
            try:
                yield
            finally:
                self._timeout = None

    async def _run(self) -> None:
        while self._timeout is not None:
            until_us = self._until_us  # of the present wait; of another, when this has slept
            await self._clock.sleep_until(until_us)
            if self._timeout is not None and self._until_us <= until_us:
                self._timeout.reschedule(asyncio.get_running_loop().time())
                return


def check_report_timeout(report_timeout_s: float | None) -> float | None:
    """Return it, or raise ValueError unless it is a number of seconds, or None for no end."""
    is_number = isinstance(report_timeout_s, int | float) and 0 <= report_timeout_s <= _MAX_S
    if report_timeout_s is not None and not is_number:
        raise ValueError(
            f"report_timeout_s: {report_timeout_s!r:.80}, expected a number from 0 to "
            f"{_MAX_S}, or None"
        )
    return report_timeout_s
