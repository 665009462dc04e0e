"""A time slice that all sessions of an event loop share; at its end, they yield.

A separate slice for each session would add up: with 100 busy sessions and 1 ms each, a turn of the
event loop would last 100 ms. Here, sessions run for one slice in total in each turn, and the other
sessions wait for a later turn, first come, first served.
"""

import asyncio
import time
from collections import deque
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

__all__ = ["TimeSlice"]

SLICE_S: Final = 1e-3
"""Default length of a time slice, s."""

_MIN_WORK: Final = 2000
"""Minimum number of synaptic operations of a speed measurement, and of a result of `work`."""

_MAX_SHARE: Final = 0.25
"""Maximum share of a slice that one measurement may use. A wrong estimate of the speed, after the
density of the events has changed, then delays the event loop by little."""

_MAX_WOKEN: Final = 64
"""Maximum number of sessions that are woken in one turn, which they use one after the other."""


class TimeSlice:
    """The time slice of one event loop; :meth:`of_running_loop` returns the shared one.

    Args:
        slice_s: how long sessions may run in one turn of the event loop, s.

    Attributes:
        deadline: end of the current time slice, by ``time.perf_counter``, s.
    """

    _by_loop: ClassVar["WeakKeyDictionary[asyncio.AbstractEventLoop, TimeSlice]"] = (
        WeakKeyDictionary()
    )

    def __init__(self, slice_s: float = SLICE_S) -> None:
        self._slice_s = slice_s
        # This object must not refer to the loop, which is the weak key that it is stored under.
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._unserved: list[asyncio.Future[None]] = []
        self._max_woken = 1
        self._woken = 0
        self._served = 0
        self.deadline = 0.0
        self._is_open = False
        self._rate = 1e8

    @classmethod
    def of_running_loop(cls) -> "TimeSlice":
        """Return the time slice that all sessions of the running event loop share."""
        loop = asyncio.get_running_loop()
        time_slice = cls._by_loop.get(loop)
        if time_slice is None:
            time_slice = cls._by_loop[loop] = cls()
        return time_slice

    def is_exhausted(self) -> bool:
        """Return whether the slice of this turn is used up. Begin a slice if there is none."""
        if not self._is_open:
            if self._waiting or self._unserved:
                return True
            self._open()
        return time.perf_counter() > self.deadline

    def must_wait(self) -> bool:
        """Return whether a new session has to wait for earlier ones, or for the next slice."""
        return bool(self._woken or self._waiting or self._unserved) or self.is_exhausted()

    def work(self) -> int:
        """Return how many synaptic operations to run before looking at the time again.

        They are estimated to fit into the rest of the slice, and into a quarter of a whole slice.
        """
        left = min(self.deadline - time.perf_counter(), _MAX_SHARE * self._slice_s)
        return max(_MIN_WORK, int(left * self._rate))

    def measured(self, work: int, seconds: float) -> None:
        """Update the speed estimate: ``work`` synaptic operations took ``seconds``."""
        if seconds > 0 and work >= _MIN_WORK:
            rate = work / seconds
            # A lower speed counts at once, so that the next measurement is not too long as well.
            self._rate = rate if rate < self._rate else self._rate + (rate - self._rate) / 8

    async def wait_turn(self) -> None:
        """Let the event loop run, and wait for a time slice. Cancellation: safe."""
        loop = asyncio.get_running_loop()
        queue: deque[asyncio.Future[None]] | list[asyncio.Future[None]] = self._waiting
        while True:
            turn = loop.create_future()
            queue.append(turn)
            if not self._is_open:
                self._open()
            try:
                await turn
            finally:
                self._woken -= turn.done() and not turn.cancelled()
            now = time.perf_counter()
            if not self._served:
                self.deadline = now + self._slice_s
            if now <= self.deadline:
                self._served += 1
                return
            # Earlier sessions have used up the slice, so this one returns to the front.
            queue = self._unserved

    def _open(self) -> None:
        self._is_open = True
        self.deadline = time.perf_counter() + self._slice_s
        asyncio.get_running_loop().call_soon(self._close)

    def _close(self) -> None:
        """End the slice; wake the sessions that wait longest, as many as may fit into the next."""
        self._is_open = False
        # If the last slice could not serve all that were woken, wake one more than it served;
        # otherwise wake twice as many.
        unserved = bool(self._unserved)
        self._max_woken = min(_MAX_WOKEN, self._served + 1 if unserved else 2 * self._max_woken)
        self._served = 0
        self._waiting.extendleft(reversed(self._unserved))
        self._unserved.clear()
        woken = 0
        while self._waiting and woken < self._max_woken:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                woken += 1
        self._woken += woken
        if woken:
            self._open()
