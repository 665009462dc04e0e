"""Clocks: when the passes of a stream take place, and how long a population of yours waits.

Timers of an event loop are no such clock: equal deadlines run out of order in asyncio, and uvloop
rounds them to milliseconds. Here whoever waits stands in a heap, by (time, order of asking).
"""

import asyncio
import heapq
import math
import time
from itertools import count
from typing import Final, Protocol

__all__ = ["Clock", "ManualClock", "RealTimeClock", "VirtualClock", "check_clock"]

_US: Final = 1_000_000
_TURNS: Final = 16
"""Of the event loop, in which what was woken comes to its next wait."""


class Clock(Protocol):
    """What a stream goes by. The time is an integer in µs, and never goes back."""

    def now_us(self) -> int:
        """The time, µs."""
        ...

    async def sleep_until(self, t_us: int) -> None:
        """Wait until it is ``t_us``. Cancellation: safe."""
        ...


def check_clock(clock: Clock) -> Clock:
    """Return it, or raise TypeError if it is none, or the class of one."""
    is_made = not isinstance(clock, type)
    if not (is_made and hasattr(clock, "now_us") and hasattr(clock, "sleep_until")):
        raise TypeError(f"clock: {clock!r:.80}, expected a clock, such as RealTimeClock()")
    return clock


class _Sleepers:
    """Who waits for which time, woken in the order of (time, order of asking)."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []
        self._room = 64
        self._asked = count()

    def add(self, t_us: int) -> asyncio.Future[None]:
        if len(self._heap) >= self._room:  # who was cancelled stands in it until it is its time
            self._heap = [sleeper for sleeper in self._heap if not sleeper[2].done()]
            heapq.heapify(self._heap)
            self._room = max(2 * len(self._heap), 64)
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (t_us, next(self._asked), woken))
        return woken

    def first_us(self) -> int | None:
        """Time of the first who still waits; None if nobody does."""
        while self._heap and self._heap[0][2].done():  # cancelled
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def wake(self) -> None:
        """Wake the first."""
        heapq.heappop(self._heap)[2].set_result(None)


class VirtualClock:
    """As fast as can be: the time is that of whoever was woken last, and nobody really waits.

    Who asks in the same turn of the event loop is woken in the order of the times asked for, each
    in a turn of its own.
    """

    def __init__(self) -> None:
        self._now_us = 0
        self._sleepers = _Sleepers()
        self._is_waking = False

    def now_us(self) -> int:
        """Time of the latest who was woken, µs; 0 at first."""
        return self._now_us

    async def sleep_until(self, t_us: int) -> None:
        """Let the event loop run, and those go first who wait for earlier. Cancellation: safe."""
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
    """The wall clock, from 0 when it is first read.

    Nobody is woken early; how late depends on the event loop (its timers, and what holds it).

    Args:
        speed: µs of this clock per µs of the wall clock, above 0.

    Raises:
        ValueError: ``speed`` is not a finite number above 0.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not isinstance(speed, int | float) or not 0 < speed < math.inf:
            raise ValueError(f"speed: {speed!r:.80}, expected a number above 0")
        self.speed = float(speed)
        self._began: float | None = None

    def now_us(self) -> int:
        """Time since it was first read, µs, times the speed."""
        now = time.monotonic()  # not the loop's: uvloop's stands still while callbacks run
        if self._began is None:
            self._began = now
        return int((now - self._began) * _US * self.speed)

    async def sleep_until(self, t_us: int) -> None:
        """Wait until it is ``t_us``. Cancellation: safe."""
        # In whole milliseconds, which both loops round to: uvloop rounds down, too, and would
        # come back at once, again and again. Still its timers may be early.
        while (left_us := t_us - self.now_us()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(math.ceil(left_us / self.speed / 1000) / 1000)


class ManualClock:
    """For tests: the time is what :meth:`advance` makes of it."""

    def __init__(self) -> None:
        self._now_us = 0
        self._sleepers = _Sleepers()

    def now_us(self) -> int:
        """The time, µs; 0 at first."""
        return self._now_us

    async def sleep_until(self, t_us: int) -> None:
        """Wait until the clock was advanced that far. Cancellation: safe."""
        if t_us > self._now_us:
            await self._sleepers.add(t_us)

    async def advance(self, us: int) -> None:
        """Let ``us`` go by; who waits is woken when it is their time, and runs before the next.

        Cancellation: safe; the time is that of the latest who was woken.

        Raises:
            ValueError: ``us`` is negative.
        """
        if us < 0:
            raise ValueError(f"us: {us}, expected an integer from 0")
        end_us = self._now_us + us
        while (t_us := self._sleepers.first_us()) is not None and t_us <= end_us:
            self._now_us = max(self._now_us, t_us)
            self._sleepers.wake()
            await _settle()
        self._now_us = max(self._now_us, end_us)  # another may have advanced it meanwhile
        await _settle()


async def _settle() -> None:
    """Let all that is ready run; a pass may take several turns of the loop."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
