"""How long the event loop may be held: one time budget, shared by all sessions of a loop.

A budget for each session would add up: 100 busy sessions of 1 ms each make a turn of the loop
last 100 ms. Here a turn of the loop runs sessions for one budget in all; the others wait their
turn, first come, first served.
"""

import asyncio
import time
from collections import deque
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

__all__ = ["TimeSlice"]

BUDGET_S: Final = 1e-3
_LEAST_WORK: Final = 2000
_MAX_CALLED: Final = 64
"""Sessions that are called up for one turn: short ones share it, one after the other."""


class TimeSlice:
    """The turns of one event loop. Those that sessions share are :meth:`of_running_loop`.

    Args:
        budget_s: how long a turn may last.

    Attributes:
        deadline: of the turn that is open, by ``time.perf_counter``.
    """

    _by_loop: ClassVar["WeakKeyDictionary[asyncio.AbstractEventLoop, TimeSlice]"] = (
        WeakKeyDictionary()
    )

    def __init__(self, budget_s: float = BUDGET_S) -> None:
        self._budget_s = budget_s
        # No reference to the loop: it is the weak key that this is kept by.
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._called_in_vain: list[asyncio.Future[None]] = []
        self._max_called = 1
        self._called = 0
        self._came = 0
        self.deadline = 0.0
        self._is_open = False
        self._rate = 1e8

    @classmethod
    def of_running_loop(cls) -> "TimeSlice":
        """The turns of the event loop that runs now."""
        loop = asyncio.get_running_loop()
        turns = cls._by_loop.get(loop)
        if turns is None:
            turns = cls._by_loop[loop] = cls()
        return turns

    def is_exhausted(self) -> bool:
        """Whether this turn of the loop has used its budget. Opens a turn if none is."""
        if not self._is_open:
            if self._waiting or self._called_in_vain:
                return True
            self._open()
        return time.perf_counter() > self.deadline

    def must_wait(self) -> bool:
        """Whether who comes now has to wait: for those who came before, or for the budget."""
        return bool(self._called or self._waiting or self._called_in_vain) or self.is_exhausted()

    def work(self) -> int:
        """How many synaptic operations fit into what is left of this turn's budget, at a guess."""
        left = self.deadline - time.perf_counter()
        return max(_LEAST_WORK, int(left * self._rate))

    def measured(self, work: int, seconds: float) -> None:
        """Learn how fast this machine is: ``work`` synaptic operations took ``seconds``."""
        if seconds > 0 and work >= _LEAST_WORK:
            self._rate += (work / seconds - self._rate) / 8

    async def wait_turn(self) -> None:
        """Let the event loop run, and wait for a turn. Cancellation: safe."""
        loop = asyncio.get_running_loop()
        line: deque[asyncio.Future[None]] | list[asyncio.Future[None]] = self._waiting
        while True:
            turn = loop.create_future()
            line.append(turn)
            if not self._is_open:
                self._open()
            try:
                await turn
            finally:
                self._called -= turn.done() and not turn.cancelled()
            now = time.perf_counter()
            if not self._came:
                self.deadline = now + self._budget_s
            if now <= self.deadline:
                self._came += 1
                return
            line = self._called_in_vain  # those before have used it up: back to the front

    def _open(self) -> None:
        self._is_open = True
        self.deadline = time.perf_counter() + self._budget_s
        asyncio.get_running_loop().call_soon(self._close)

    def _close(self) -> None:
        """At the next turn of the loop: call up those who wait longest, as many as may fit in."""
        self._is_open = False
        # One more than came in last time, if there were more; twice as many if all did.
        unserved = bool(self._called_in_vain)
        self._max_called = min(_MAX_CALLED, self._came + 1 if unserved else 2 * self._max_called)
        self._came = 0
        self._waiting.extendleft(reversed(self._called_in_vain))
        self._called_in_vain.clear()
        called = 0
        while self._waiting and called < self._max_called:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                called += 1
        self._called += called
        if called:
            self._open()
