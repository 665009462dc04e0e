"""The timeout for reports of custom populations, measured by a clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from neuroasync import limits
from neuroasync.core.model.checks import as_number
from neuroasync.runtime.cancellation import ends_this_task
from neuroasync.runtime.clock import Clock

__all__ = ["ReportTimeout", "StartTask", "check_report_timeout"]

StartTask: TypeAlias = Callable[[Coroutine[None, None, None], str], asyncio.Task[None]]
"""Starts a task with this name, which ends with the session at the latest."""

_US: Final = 1_000_000
_MAX_S: Final = limits.MAX_TIME_US // _US


class ReportTimeout:
    """A timeout that limits one wait at a time.

    One task sleeps for all waits, one after the other, because starting a timer for each wait
    would take longer than most of the waits.

    Args:
        clock: measures the time.
        limit_s: how long a wait may take, s.
        start_task: starts the task; it ends with the session at the latest.

    Attributes:
        limit_s: as given.
    """

    __slots__ = ("_clock", "_deadline_us", "_failure", "_start_task", "_timeout", "_watchdog",
                 "limit_s")  # fmt: skip

    def __init__(self, clock: Clock, limit_s: float, start_task: StartTask) -> None:
        self.limit_s = limit_s
        self._clock = clock
        self._start_task = start_task
        self._deadline_us = 0
        self._failure: BaseException | None = None
        self._timeout: asyncio.Timeout | None = None
        self._watchdog: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Limit the time that the block inside may take. Cancellation: safe.

        Raises:
            TimeoutError: the block was cancelled because it took too long.
            BaseException: the block was cancelled because the clock raised this.
        """
        self._deadline_us = self._clock.now_us() + round(self.limit_s * _US)
        try:
            async with asyncio.timeout(None) as self._timeout:
                if self._watchdog is None or self._watchdog.done():
                    self._watchdog = self._start_task(self._run(), "report timeout")
                try:
                    yield
                finally:
                    self._timeout = None
        except TimeoutError:
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure from None
            raise

    async def _run(self) -> None:
        while self._timeout is not None:
            # The wait that is limited now may be another one when the sleep is over; its deadline
            # is then later, and the task sleeps again.
            deadline_us = self._deadline_us
            try:
                await self._clock.sleep_until(deadline_us)
            except BaseException as error:
                if ends_this_task(error):
                    raise
                self._failure = error  # an error of this task would end the task group of all
            if self._timeout is not None and (
                self._failure is not None or self._deadline_us <= deadline_us
            ):
                self._timeout.reschedule(asyncio.get_running_loop().time())
                return


def check_report_timeout(report_timeout_s: float | None) -> float | None:
    """Return ``report_timeout_s``; raise ValueError unless it is a valid number of seconds."""
    if report_timeout_s is None:
        return None
    timeout_s = as_number(report_timeout_s)
    if timeout_s is None or not 0 <= timeout_s <= _MAX_S:
        raise ValueError(
            "`report_timeout_s` must be a number of seconds of at least 0, or None, got "
            f"{report_timeout_s!r:.80}"
        )
    return timeout_s
