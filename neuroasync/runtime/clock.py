"""Clocks, which pace the passes of streams and measure timeouts of custom populations.

Timers of an event loop cannot serve as a clock: asyncio runs equal deadlines out of order, and
uvloop rounds them to milliseconds. The clocks here keep waiting tasks in a heap, ordered by
(time, order of the calls).
"""

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from itertools import count
from typing import Final, Protocol, Self

from neuroasync.core.copies import cannot_copy
from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.model.checks import as_number

__all__ = ["Clock", "ManualClock", "RealTimeClock", "VirtualClock", "check_clock"]

_US: Final = 1_000_000
_SETTLE_TURNS: Final = 16
"""Turns of the event loop after which a task that was woken has reached its next wait."""


class Clock(Protocol):
    """A source of time, in integer µs, which never goes back."""

    def now_us(self) -> int:
        """Return the time, µs."""
        ...

    async def sleep_until(self, t_us: int) -> None:
        """Wait until the time is at least ``t_us``, µs. Cancellation: safe."""
        ...


def check_clock(clock: Clock) -> Clock:
    """Return ``clock``; raise TypeError if it is not an instance of a clock."""
    is_instance = not isinstance(clock, type)
    if not (is_instance and hasattr(clock, "now_us") and hasattr(clock, "sleep_until")):
        raise TypeError(f"`clock` must be a clock, such as RealTimeClock(), got {clock!r:.80}")
    return clock


class _Sleepers:
    """The tasks that wait for a time, in the order of (time, order of the calls)."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []
        self._cleanup_size = 64
        self._sequence = count()

    def add(self, t_us: int) -> asyncio.Future[None]:
        # Cancelled sleepers stay in the heap until their time, so they are removed now and then.
        if len(self._heap) >= self._cleanup_size:
            self._heap = [sleeper for sleeper in self._heap if not sleeper[2].done()]
            heapq.heapify(self._heap)
            self._cleanup_size = max(2 * len(self._heap), 64)
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (t_us, next(self._sequence), woken))
        return woken

    def first_us(self) -> int | None:
        """Return the earliest time that a task waits for, µs; None if no task waits."""
        while self._heap and self._heap[0][2].done():  # cancelled
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def check_none(self, clock: object) -> None:
        """Raise TypeError if a task waits for ``clock``, which is to be pickled or copied."""
        if self.first_us() is not None:
            raise cannot_copy(clock, "a task of an event loop waits for it")

    def wake(self) -> None:
        """Wake the first sleeper."""
        heapq.heappop(self._heap)[2].set_result(None)


class _ClockWithSleepers:
    """The time of a clock that moves only when its tasks or its user say so."""

    def __init__(self) -> None:
        self._now_us = 0
        self._sleepers = _Sleepers()

    def __reduce__(self) -> tuple[Callable[[int], Self], tuple[int]]:
        """Return how to make a clock with the same time, for a pickle or a copy."""
        self._sleepers.check_none(self)
        return self._at, (self._now_us,)

    @classmethod
    def _at(cls, now_us: int) -> Self:
        clock = cls()
        clock._now_us = now_us
        return clock


class VirtualClock(_ClockWithSleepers):
    """A clock that jumps to the next time that a task waits for, so that no task really waits.

    Tasks that call :meth:`sleep_until` in the same turn of the event loop are woken in the order of
    their times, each in a separate turn. The clock has the time of the task that was woken last.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_waking = False

    def now_us(self) -> int:
        """Return the time of the task that was woken last, µs; 0 at first."""
        return self._now_us

    async def sleep_until(self, t_us: int) -> None:
        """Wait for the next turn of the event loop, and for tasks with earlier times.

        Cancellation: safe.
        """
        woken = self._sleepers.add(t_us)
        if not self._is_waking:
            self._is_waking = True
            asyncio.get_running_loop().call_soon(self._wake)
        await woken

    def _wake(self) -> None:
        t_us = self._sleepers.first_us()
        self._is_waking = t_us is not None
        if t_us is not None:
            self._now_us = max(self._now_us, t_us)
            self._sleepers.wake()
            asyncio.get_running_loop().call_soon(self._wake)


class RealTimeClock:
    """The wall clock, which starts at 0 when it is first read.

    It never wakes a task early. How late it wakes a task depends on the event loop: on the
    resolution of its timers, and on how long other tasks hold it.

    Args:
        speed: µs of this clock per µs of wall time, greater than 0.

    Raises:
        ValueError: ``speed`` is not a finite number above 0.
    """

    def __init__(self, speed: float = 1.0) -> None:
        number = as_number(speed)
        if number is None or not 0 < number < math.inf:
            raise ValueError(f"`speed` must be a finite number above 0, got {speed!r:.80}")
        self.speed = float(number)
        self._began: float | None = None

    def __reduce__(self) -> tuple[type[Self], tuple[float]]:
        """Return how to make a clock of the same speed, for a pickle or a copy; it starts at 0.

        The wall clock of another machine has another time.
        """
        return type(self), (self.speed,)

    def now_us(self) -> int:
        """Return the time since the first call, µs, times the speed."""
        # The loop's own time is no alternative: uvloop does not update it while callbacks run.
        now = time.monotonic()
        if self._began is None:
            self._began = now
        return int((now - self._began) * _US * self.speed)

    async def sleep_until(self, t_us: int) -> None:
        """Wait until the time is at least ``t_us``, µs. Cancellation: safe."""
        # Both loops round to whole milliseconds. uvloop rounds down, so a shorter sleep would
        # return immediately, again and again. Its timers may still be early, hence the loop.
        while (left_us := t_us - self.now_us()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(math.ceil(left_us / self.speed / 1000) / 1000)


class ManualClock(_ClockWithSleepers):
    """A clock for tests, whose time only changes when :meth:`advance` is called."""

    def now_us(self) -> int:
        """Return the time, µs; 0 at first."""
        return self._now_us

    async def sleep_until(self, t_us: int) -> None:
        """Wait until the clock was advanced to ``t_us``, µs. Cancellation: safe."""
        if t_us > self._now_us:
            await self._sleepers.add(t_us)

    async def advance(self, us: Duration) -> None:
        """Advance the time, and wake the tasks whose time has come, one by one.

        Each task runs up to its next wait before the next task is woken.

        Cancellation: safe; the time is that of the task that was woken last.

        Args:
            us: by how much, µs or such as ``"20ms"``.

        Raises:
            ValueError: ``us`` is not a duration of at least 0 µs.
        """
        end_us = self._now_us + microseconds(us, "us")
        while (t_us := self._sleepers.first_us()) is not None and t_us <= end_us:
            self._now_us = max(self._now_us, t_us)
            self._sleepers.wake()
            await _settle()
        self._now_us = max(self._now_us, end_us)  # another task may have advanced it
        await _settle()


async def _settle() -> None:
    """Let all ready tasks run; a pass may take several turns of the event loop."""
    for _ in range(_SETTLE_TURNS):
        await asyncio.sleep(0)
